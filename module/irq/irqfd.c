// SPDX-License-Identifier: GPL-2.0
/*
 * Eventfds that are interrupt sources. Who signals one runs our function in its wait
 * queue, which sends the source's message there and then.
 *
 * A level is the program's device's: it stays up until the device is served. So the
 * eventfd says "up", and when the guest has acknowledged the interrupt, another one asks
 * the device whether it still is; if so, it says "up" again. Nothing is kept of it here,
 * that a reset of the guest could leave behind.
 *
 * One goes by a call, with its VM, or with the last file of its eventfd. That comes in
 * the wait queue as well, where nothing can be waited for, so a work item does it. Who
 * unlinks it, under the lock, has it for himself but for that item, which may be on its
 * way to find it gone: so that is waited for before it is freed.
 */
#include <linux/errno.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "../compat.h"
#include "../lodge.h"
#include "signals.h"

/**
 * struct irqfd - an eventfd that is an interrupt source
 * @vm: whose; it outlives us. Constant
 * @route: the source's number; constant
 * @eventfd: says that the interrupt is there; constant
 * @resample: is told of EOIs, or NULL; constant
 * @wait: our entry in @eventfd's wait queue
 * @linked: nobody has taken it off yet; under the lock
 * @all: in lodge_signals.irqfds while @linked; under the lock
 * @resampler: in lodge_signals.resamplers, if @resample
 * @closed: takes it down when the eventfd's last file is closed
 */
struct irqfd {
	struct lodge_vm *vm;
	u32 route;
	struct eventfd_ctx *eventfd;
	struct eventfd_ctx *resample;
	wait_queue_entry_t wait;
	bool linked;
	struct list_head all;
	struct list_head resampler;
	struct work_struct closed;
};

/**
 * struct irqfd_poll - the way into an eventfd's wait queue
 * @table: leads there
 * @irqfd: what is to wait
 * @queue: out: the queue
 */
struct irqfd_poll {
	poll_table table;
	struct irqfd *irqfd;
	wait_queue_head_t *queue;
};

static struct workqueue_struct *irqfd_wq;

/* ------------------------------------------------------------------ the hot path */

/* The queue's lock is held, maybe with interrupts off. */
static void take_signal(struct irqfd *irqfd)
{
	u64 count;

	eventfd_ctx_do_read(irqfd->eventfd, &count);
	if (count)
		lodge_route_send(irqfd->vm, irqfd->route);
}

static int irqfd_woken(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct irqfd *irqfd = container_of(wait, struct irqfd, wait);
	__poll_t events = key_to_poll(key);

	if (events & EPOLLIN)
		take_signal(irqfd);
	if (events & EPOLLHUP)
		queue_work(irqfd_wq, &irqfd->closed);
	return 0;
}

/**
 * lodge_irqfd_eoi() - the guest has acknowledged a level interrupt
 * @vcpu: the vCPU that has; owner
 * @vector: its vector
 *
 * Whom the route names does not matter: the guest may have changed by which name this
 * vCPU goes since the interrupt came. To ask one device too many does no harm.
 *
 * Context: as the run loop; does not sleep.
 */
void lodge_irqfd_eoi(struct lodge_vcpu *vcpu, u8 vector)
{
	struct lodge_signals *signals = &vcpu->vm->signals;
	const struct lodge_route_table *table;
	const struct lapic_message *msg;
	struct irqfd *irqfd;
	int srcu;

	if (list_empty(&signals->resamplers))
		return;
	srcu = srcu_read_lock(&lodge_signals_srcu);
	table = srcu_dereference(signals->routes, &lodge_signals_srcu);
	list_for_each_entry_srcu(irqfd, &signals->resamplers, resampler,
				 srcu_read_lock_held(&lodge_signals_srcu)) {
		msg = lodge_route_find(table, irqfd->route);
		if (msg && msg->level && msg->vector == vector)
			lodge_eventfd_signal(irqfd->resample);
	}
	srcu_read_unlock(&lodge_signals_srcu, srcu);
}

/* As far as devices' messages differ. */
static bool same_message(const struct lapic_message *a, const struct lapic_message *b)
{
	if (!a || !b)
		return a == b;
	return a->dest == b->dest && a->vector == b->vector && a->mode == b->mode &&
	       a->logical == b->logical && a->level == b->level;
}

/**
 * lodge_irqfd_rerouted() - routes have changed
 * @signals: the VM's; locked
 * @old: the routes before, or NULL
 * @new: those in force, or NULL
 *
 * An interrupt that the old route has sent may be acknowledged by what looks like
 * somebody else's, or may have found nobody: the device is asked anew.
 */
void lodge_irqfd_rerouted(struct lodge_signals *signals, const struct lodge_route_table *old,
			  const struct lodge_route_table *new)
{
	struct irqfd *irqfd;

	list_for_each_entry(irqfd, &signals->resamplers, resampler)
		if (!same_message(lodge_route_find(old, irqfd->route),
				  lodge_route_find(new, irqfd->route)))
			lodge_eventfd_signal(irqfd->resample);
}

/* --------------------------------------------------------------------- its end */

/* Off the lists, and the eventfd's queue does not know it any more. Locked. */
static void irqfd_unlink(struct irqfd *irqfd)
{
	struct lodge_signals *signals = &irqfd->vm->signals;
	u64 count;

	irqfd->linked = false;
	list_del(&irqfd->all);
	signals->nr_irqfds--;
	eventfd_ctx_remove_wait_queue(irqfd->eventfd, &irqfd->wait, &count);
	if (irqfd->resample)
		list_del_rcu(&irqfd->resampler);
}

static void irqfd_free(struct irqfd *irqfd)
{
	eventfd_ctx_put(irqfd->eventfd);
	if (irqfd->resample)
		eventfd_ctx_put(irqfd->resample);
	kfree(irqfd);
}

/* After irqfd_unlink(): an EOI may still be telling of it. */
static void irqfd_release(struct irqfd *irqfd)
{
	if (irqfd->resample)
		synchronize_srcu_expedited(&lodge_signals_srcu);
	irqfd_free(irqfd);
}

/* The eventfd's last file is closed. */
static void irqfd_closed(struct work_struct *work)
{
	struct irqfd *irqfd = container_of(work, struct irqfd, closed);
	struct lodge_signals *signals = &irqfd->vm->signals;
	bool ours;

	mutex_lock(&signals->lock);
	ours = irqfd->linked;
	if (ours)
		irqfd_unlink(irqfd);
	mutex_unlock(&signals->lock);
	if (ours)
		irqfd_release(irqfd);
}

/**
 * lodge_irqfd_destroy_all() - take down a VM's irqfds
 * @signals: the VM's; no call and no vCPU can find it any more
 *
 * Context: may sleep.
 */
void lodge_irqfd_destroy_all(struct lodge_signals *signals)
{
	struct irqfd *irqfd, *next;
	LIST_HEAD(gone);

	mutex_lock(&signals->lock);
	list_for_each_entry_safe(irqfd, next, &signals->irqfds, all) {
		irqfd_unlink(irqfd);
		list_add(&irqfd->all, &gone);
	}
	mutex_unlock(&signals->lock);
	/* Items of these, and of others that have freed theirs but not returned yet. */
	if (signals->had_irqfds)
		flush_workqueue(irqfd_wq);
	list_for_each_entry_safe(irqfd, next, &gone, all)
		irqfd_free(irqfd);
}

/* --------------------------------------------------------------------- the calls */

static struct irqfd *find(struct lodge_signals *signals, const struct eventfd_ctx *eventfd)
{
	struct irqfd *irqfd;

	list_for_each_entry(irqfd, &signals->irqfds, all)
		if (irqfd->eventfd == eventfd)
			return irqfd;
	return NULL;
}

/**
 * lodge_irqfd_deassign() - an eventfd is an interrupt source no more
 * @vm: the VM
 * @req: from user space
 *
 * When it returns, nothing is sent because of it any more.
 *
 * Context: may sleep.
 * Return: 0, -EINVAL, -EBADF, -ENOENT, -EINTR when the caller is being killed.
 */
int lodge_irqfd_deassign(struct lodge_vm *vm, const struct lodge_irqfd *req)
{
	struct lodge_signals *signals = &vm->signals;
	struct eventfd_ctx *eventfd;
	struct irqfd *irqfd;

	if (req->flags != LODGE_IRQFD_F_DEASSIGN || req->resample_fd)
		return -EINVAL;
	eventfd = eventfd_ctx_fdget(req->fd);
	if (IS_ERR(eventfd))
		return PTR_ERR(eventfd);
	if (mutex_lock_killable(&signals->lock)) {
		eventfd_ctx_put(eventfd);
		return -EINTR;
	}
	irqfd = find(signals, eventfd);
	if (irqfd && irqfd->route != req->route)
		irqfd = NULL;
	if (irqfd)
		irqfd_unlink(irqfd);
	mutex_unlock(&signals->lock);
	eventfd_ctx_put(eventfd);
	if (!irqfd)
		return -ENOENT;
	cancel_work_sync(&irqfd->closed);
	irqfd_release(irqfd);
	return 0;
}

static void enter_queue(struct file *file, wait_queue_head_t *queue, poll_table *table)
{
	struct irqfd_poll *poll = container_of(table, struct irqfd_poll, table);

	poll->queue = queue;
	add_wait_queue(queue, &poll->irqfd->wait);
}

static struct irqfd *irqfd_make(struct lodge_vm *vm, struct file *file,
				const struct lodge_irqfd *req)
{
	struct irqfd *irqfd = kzalloc(sizeof(*irqfd), GFP_KERNEL_ACCOUNT);
	struct eventfd_ctx *resample;

	if (!irqfd)
		return ERR_PTR(-ENOMEM);
	if (req->flags & LODGE_IRQFD_F_RESAMPLE) {
		resample = eventfd_ctx_fdget(req->resample_fd);
		if (IS_ERR(resample)) {
			kfree(irqfd);
			return ERR_CAST(resample);
		}
		irqfd->resample = resample;
	}
	irqfd->vm = vm;
	irqfd->route = req->route;
	irqfd->eventfd = eventfd_ctx_fileget(file);
	INIT_WORK(&irqfd->closed, irqfd_closed);
	init_waitqueue_func_entry(&irqfd->wait, irqfd_woken);
	return irqfd;
}

/* Into the lists and the queue, with what the eventfd has to say already. Locked. */
static void irqfd_link(struct irqfd *irqfd, struct file *file)
{
	struct lodge_signals *signals = &irqfd->vm->signals;
	struct irqfd_poll poll = { .irqfd = irqfd };

	irqfd->linked = true;
	list_add(&irqfd->all, &signals->irqfds);
	signals->nr_irqfds++;
	signals->had_irqfds = true;
	if (irqfd->resample)
		list_add_rcu(&irqfd->resampler, &signals->resamplers);
	init_poll_funcptr(&poll.table, enter_queue);
	vfs_poll(file, &poll.table);
	spin_lock_irq(&poll.queue->lock);
	take_signal(irqfd);
	/* Who waits for room in the count has it now. */
	wake_up_locked_poll(poll.queue, EPOLLOUT);
	spin_unlock_irq(&poll.queue->lock);
}

static int assign_file(struct lodge_vm *vm, struct file *file, const struct lodge_irqfd *req)
{
	struct lodge_signals *signals = &vm->signals;
	struct irqfd *irqfd = irqfd_make(vm, file, req);
	int ret = 0;

	if (IS_ERR(irqfd))
		return PTR_ERR(irqfd);
	if (mutex_lock_killable(&signals->lock)) {
		irqfd_free(irqfd);
		return -EINTR;
	}
	if (find(signals, irqfd->eventfd))
		ret = -EBUSY;
	else if (signals->nr_irqfds >= LODGE_MAX_IRQFDS)
		ret = -ENOSPC;
	else
		irqfd_link(irqfd, file);
	mutex_unlock(&signals->lock);
	if (ret)
		irqfd_free(irqfd);
	return ret;
}

/**
 * lodge_irqfd_assign() - let an eventfd be an interrupt source
 * @vm: the VM
 * @req: from user space
 *
 * Context: may sleep.
 * Return: 0, -EINVAL, -EBADF, -EBUSY, -ENOSPC, -ENOMEM, -EINTR when the caller is
 * being killed.
 */
int lodge_irqfd_assign(struct lodge_vm *vm, const struct lodge_irqfd *req)
{
	struct file *file;
	int ret;

	if (req->flags & ~LODGE_IRQFD_F_RESAMPLE || req->route >= LODGE_MAX_ROUTES ||
	    (!(req->flags & LODGE_IRQFD_F_RESAMPLE) && req->resample_fd))
		return -EINVAL;
	/* Held to the end: its last close must find us in the queue, whole. */
	file = eventfd_fget(req->fd);
	if (IS_ERR(file))
		return PTR_ERR(file);
	ret = assign_file(vm, file, req);
	fput(file);
	return ret;
}

/** lodge_irqfd_module_init() - at load */
int __init lodge_irqfd_module_init(void)
{
	irqfd_wq = alloc_workqueue("lodge-irqfd", 0, 0);
	return irqfd_wq ? 0 : -ENOMEM;
}

/** lodge_irqfd_module_exit() - at unload, or when loading has failed; there is no VM */
void lodge_irqfd_module_exit(void)
{
	destroy_workqueue(irqfd_wq);
}
