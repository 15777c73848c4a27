/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The door of irq/ for devices outside of the module: by what they interrupt the guest
 * and by what it calls them, without asking a vCPU's thread.
 *
 * Whoever signals finds what it needs in arrays that are replaced whole, under SRCU, and
 * takes no lock. One SRCU serves all VMs: its readers do not sleep, so nobody waits for
 * long, and a VM without devices pays nothing.
 */
#ifndef LODGE_SIGNALS_H
#define LODGE_SIGNALS_H

#include <linux/jump_label.h>
#include <linux/list.h>
#include <linux/lodge.h>
#include <linux/mutex.h>
#include <linux/srcu.h>

#include "../types.h"
#include "lapic.h"

#define LODGE_MAX_ROUTES	4096
#define LODGE_MAX_IRQFDS	LODGE_MAX_ROUTES
#define LODGE_MAX_IOEVENTFDS	1024

/* Where a guest's write goes. */
enum lodge_space {
	LODGE_SPACE_MMIO,
	LODGE_SPACE_PIO,
	LODGE_NR_SPACES
};

/**
 * enum lodge_signalled - what has become of a guest's write
 * @LODGE_SIGNALLED_NOBODY: nothing: it is the program's
 * @LODGE_SIGNALLED: it is done: an eventfd has been signalled
 * @LODGE_SIGNALLED_ANY: the same, as a write of any other length would have
 */
enum lodge_signalled {
	LODGE_SIGNALLED_NOBODY,
	LODGE_SIGNALLED,
	LODGE_SIGNALLED_ANY,
};

/**
 * struct lodge_route_entry - a route, decoded
 * @used: there is one
 * @msg: what it sends
 */
struct lodge_route_entry {
	bool used;
	struct lapic_message msg;
};

/**
 * struct lodge_route_table - a VM's routes; constant once published
 * @nr: ids from here on have none
 * @route: by id
 */
struct lodge_route_table {
	u32 nr;
	struct lodge_route_entry route[];
};

/**
 * struct lodge_signals - what a VM and its devices tell each other by
 * @lock: serializes changes
 * @routes: NULL: none; replaced under @lock, read under lodge_signals_srcu
 * @irqfds: all of them; under @lock
 * @nr_irqfds: how many; under @lock
 * @had_irqfds: there has been one; under @lock
 * @resamplers: those that want to know of EOIs; changed under @lock, read under
 *	lodge_signals_srcu
 * @ioeventfds: by space: writes that signal; NULL: none; as @routes
 */
struct lodge_signals {
	struct mutex lock;	/* protects: see above */
	struct lodge_route_table __rcu *routes;
	struct list_head irqfds;
	u32 nr_irqfds;
	bool had_irqfds;
	struct list_head resamplers;
	struct lodge_ioeventfd_set __rcu *ioeventfds[LODGE_NR_SPACES];
};

extern struct srcu_struct lodge_signals_srcu;

/*
 * There has been an ioeventfd since the module was loaded. For good: nobody shall make
 * the host patch its code over and over.
 */
DECLARE_STATIC_KEY_FALSE(lodge_ioeventfd_key);

void lodge_signals_init(struct lodge_signals *signals);
void lodge_signals_destroy(struct lodge_signals *signals);

/* route.c */
int lodge_routes_set(struct lodge_vm *vm, const struct lodge_route *routes, u32 nr, u32 *bad);
int lodge_route_send(struct lodge_vm *vm, u32 id);
const struct lapic_message *lodge_route_find(const struct lodge_route_table *table, u32 id);

/* irqfd.c */
int lodge_irqfd_module_init(void);
void lodge_irqfd_module_exit(void);
int lodge_irqfd_assign(struct lodge_vm *vm, const struct lodge_irqfd *req);
int lodge_irqfd_deassign(struct lodge_vm *vm, const struct lodge_irqfd *req);
void lodge_irqfd_destroy_all(struct lodge_signals *signals);
void lodge_irqfd_rerouted(struct lodge_signals *signals, const struct lodge_route_table *old,
			  const struct lodge_route_table *new);
void lodge_irqfd_eoi(struct lodge_vcpu *vcpu, u8 vector);

/* ioeventfd.c */
int lodge_ioeventfd_assign(struct lodge_signals *signals, const struct lodge_ioeventfd *req);
int lodge_ioeventfd_deassign(struct lodge_signals *signals, const struct lodge_ioeventfd *req);
void lodge_ioeventfd_destroy_all(struct lodge_signals *signals);
enum lodge_signalled lodge_ioeventfd_signal(struct lodge_signals *signals,
					    enum lodge_space space, u64 addr, u32 len, u64 data);

/* Is it worth asking lodge_ioeventfd_signal()? */
static __always_inline bool lodge_ioeventfd_any(const struct lodge_signals *signals,
						enum lodge_space space)
{
	return rcu_access_pointer(signals->ioeventfds[space]);
}

#endif
