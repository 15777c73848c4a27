// SPDX-License-Identifier: GPL-2.0
/*
 * Routes: which message each of a VM's interrupt sources sends. The table is replaced
 * whole, so that a source sends by the old one or by the new.
 */
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/slab.h>

#include "../lodge.h"
#include "signals.h"

DEFINE_SRCU(lodge_signals_srcu);

/** lodge_signals_init() - a VM's signals, none yet; before it is published */
void lodge_signals_init(struct lodge_signals *signals)
{
	mutex_init(&signals->lock);
	INIT_LIST_HEAD(&signals->irqfds);
	INIT_LIST_HEAD(&signals->resamplers);
}

/**
 * lodge_signals_destroy() - free what there is; nobody can find the VM any more
 * @signals: the VM's
 *
 * Context: may sleep.
 */
void lodge_signals_destroy(struct lodge_signals *signals)
{
	lodge_irqfd_destroy_all(signals);
	lodge_ioeventfd_destroy_all(signals);
	kvfree(rcu_access_pointer(signals->routes));
	mutex_destroy(&signals->lock);
}

/* Return: 0, or -EINVAL. */
static int add_route(struct lodge_route_table *table, const struct lodge_route *in)
{
	struct lodge_route_entry *route;
	struct lapic_message msg;

	if (in->flags || in->reserved || in->id >= table->nr)
		return -EINVAL;
	if (lapic_msi_message(in->address, in->data, &msg) || lapic_message_check(&msg))
		return -EINVAL;
	route = &table->route[array_index_nospec(in->id, table->nr)];
	if (route->used)
		return -EINVAL;
	route->used = true;
	route->msg = msg;
	return 0;
}

/* How many entries a table needs for all ids that may be valid. */
static u32 table_size(const struct lodge_route *routes, u32 nr)
{
	u32 i, size = 0;

	for (i = 0; i < nr; i++)
		if (routes[i].id < LODGE_MAX_ROUTES)
			size = max(size, routes[i].id + 1);
	return size;
}

/* NULL for no routes, -ENOMEM, or -EINVAL with @bad set. */
static struct lodge_route_table *make_table(const struct lodge_route *routes, u32 nr, u32 *bad)
{
	struct lodge_route_table *table;
	u32 i, size = table_size(routes, nr);

	if (!nr)
		return NULL;
	table = kvzalloc(struct_size(table, route, size), GFP_KERNEL_ACCOUNT);
	if (!table)
		return ERR_PTR(-ENOMEM);
	table->nr = size;
	for (i = 0; i < nr; i++) {
		if (add_route(table, &routes[i])) {
			*bad = i;
			kvfree(table);
			return ERR_PTR(-EINVAL);
		}
	}
	return table;
}

/**
 * lodge_routes_set() - replace a VM's routes
 * @vm: the VM
 * @routes: from user space; valid or not
 * @nr: how many; at most LODGE_MAX_ROUTES
 * @bad: out, for -EINVAL: index of the first that is wrong
 *
 * Context: may sleep.
 * Return: 0, -EINVAL, -ENOMEM, -EINTR when the caller is being killed.
 */
int lodge_routes_set(struct lodge_vm *vm, const struct lodge_route *routes, u32 nr, u32 *bad)
{
	struct lodge_signals *signals = &vm->signals;
	struct lodge_route_table *table, *old;

	table = make_table(routes, nr, bad);
	if (IS_ERR(table))
		return PTR_ERR(table);
	if (mutex_lock_killable(&signals->lock)) {
		kvfree(table);
		return -EINTR;
	}
	old = rcu_replace_pointer(signals->routes, table, lockdep_is_held(&signals->lock));
	synchronize_srcu_expedited(&lodge_signals_srcu);
	lodge_irqfd_rerouted(signals, old, table);
	mutex_unlock(&signals->lock);
	kvfree(old);
	return 0;
}

/**
 * lodge_route_find() - what a source sends
 * @table: the routes, or NULL; they do not go meanwhile
 * @id: the source's number, any
 *
 * Context: any.
 * Return: the message, or NULL without a route.
 */
const struct lapic_message *lodge_route_find(const struct lodge_route_table *table, u32 id)
{
	const struct lodge_route_entry *route;

	if (!table || id >= table->nr)
		return NULL;
	route = &table->route[array_index_nospec(id, table->nr)];
	return route->used ? &route->msg : NULL;
}

/**
 * lodge_route_send() - an interrupt source has something to say
 * @vm: the VM; it does not go meanwhile
 * @id: the source's number, any
 *
 * Context: any, hard interrupts included; no lock needed.
 * Return: number of vCPUs that took it; -ENOENT without a route.
 */
int lodge_route_send(struct lodge_vm *vm, u32 id)
{
	const struct lapic_message *msg;
	int srcu, ret = -ENOENT;

	srcu = srcu_read_lock(&lodge_signals_srcu);
	msg = lodge_route_find(srcu_dereference(vm->signals.routes, &lodge_signals_srcu), id);
	if (msg)
		ret = lapic_send(vm, NULL, msg);
	srcu_read_unlock(&lodge_signals_srcu, srcu);
	return ret;
}
