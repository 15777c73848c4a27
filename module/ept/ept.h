/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The door of ept/: a VM's memory. Regions of user memory, the EPT that maps
 * them on demand, and the notifier that keeps the two in step.
 *
 * Nothing in here knows vCPUs: what must happen to them is asked for through
 * struct lodge_mem_ops.
 */
#ifndef LODGE_EPT_H
#define LODGE_EPT_H

#include <linux/atomic.h>
#include <linux/lodge.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/wait.h>

#include "../types.h"

struct lodge_mem;
struct lodge_region_set;

/**
 * struct ept_caps - what the CPU's EPT can do and lodge uses
 * @ad: accessed and dirty bits
 * @huge_1g: 1 GiB leaves
 * @nx_huge: iTLB multihit: no executable huge leaves
 * @gpa_bits: width of a guest-physical address
 *
 * Set once at load, before the first VM.
 */
struct ept_caps {
	bool ad;
	bool huge_1g;
	bool nx_huge;
	u8 gpa_bits;
};

extern struct ept_caps ept_caps;

/**
 * struct lodge_mem_ops - what memory asks of the VM it belongs to
 * @kick: get every CPU out of this VM's guest mode and return when each is out
 *	and will ask ept_must_flush() before it enters again. Called without the
 *	EPT lock, interrupts on, maybe with a page-table lock held: must not
 *	sleep. Several threads may call it at once, and so may a vCPU's owner
 *	from ept_fault_slowly().
 */
struct lodge_mem_ops {
	void (*kick)(struct lodge_mem *mem);
};

/**
 * struct lodge_mem - a VM's memory
 * @mm: the mm whose user memory it is; constant. The notifier holds it (mmgrab),
 *	so that it can be compared with; its memory goes when its users go
 * @ops: constant
 * @notifier: tells of changes in @mm
 * @update: serializes changes of @regions
 * @srcu: readers of @regions, and of user memory found through them
 * @regions: the sorted regions; replaced whole under @update and @lock, read
 *	under @srcu
 * @lock: the EPT lock. Read: install and widen entries (with cmpxchg). Write:
 *	take them away
 * @map_seq: of @regions, see struct lodge_region_set; written under @lock, read by
 *	anyone
 * @inval_seq: counts ended invalidations
 * @inval_active: invalidations between begin and end
 * @inval_start: lowest hva they cover
 * @inval_end: one past the highest
 * @inval_wait: faults wait here for @inval_active to become 0; a lock of its own
 * @root: the EPT's top table; constant
 * @flush_gen: counts takings-away that CPUs must flush for; changed under @lock
 * @flush_done: the generation every CPU has been made to look at; atomic
 * @flush_seen: per CPU: the generation it has flushed for; that CPU's, irqs off
 * @dead: the mm is gone; nothing can be mapped any more. Written under @lock
 */
struct lodge_mem {
	struct mm_struct *mm;
	const struct lodge_mem_ops *ops;
	struct mmu_notifier notifier;
	struct mutex update;	/* protects: changes of @regions */
	struct srcu_struct srcu;
	struct lodge_region_set __rcu *regions;
	rwlock_t lock;		/* protects: the EPT, @inval_*, @flush_gen, @dead */
	u64 map_seq;
	unsigned long inval_seq;
	unsigned long inval_active;
	u64 inval_start;
	u64 inval_end;
	wait_queue_head_t inval_wait;
	u64 *root;
	atomic64_t flush_gen;
	atomic64_t flush_done;
	s64 __percpu *flush_seen;
	bool dead;
};

int lodge_mem_init(struct lodge_mem *mem, const struct lodge_mem_ops *ops);
void lodge_mem_destroy(struct lodge_mem *mem);
int lodge_mem_update(struct lodge_mem *mem, const struct lodge_mem_op *ops, u32 nr, u32 *bad);
int lodge_mem_query(struct lodge_mem *mem, struct lodge_mem_region *out, u32 *nr);

/* ept_fault(): the access that faulted */
#define EPT_ACCESS_READ		BIT(0)
#define EPT_ACCESS_WRITE	BIT(1)
#define EPT_ACCESS_EXEC		BIT(2)

/* ept_fault(): what it found */
#define EPT_FAULT_MAPPED	0	/* mapped: enter again */
#define EPT_FAULT_MMIO		1	/* no region, or a write to a read-only one */
#define EPT_FAULT_SLOW		2	/* not at once: ept_fault_slowly() may know more */

/**
 * struct ept_fault - an EPT violation
 * @gpa: in: faulting address
 * @access: in: EPT_ACCESS_*
 * @region: in and out: index of the region of the last fault, where to look first: a
 *	guess, checked against the map of the day as any other address is
 * @hva: out: user address behind @gpa, when it is RAM
 * @error: between ept_fault() and ept_fault_slowly(): why it did not go through at once
 * @faulted_in: in: false; out: the host had to bring the page in; else it was only
 *	looked up
 */
struct ept_fault {
	gpa_t gpa;
	u32 access;
	u32 region;
	unsigned long hva;
	int error;
	bool faulted_in;
};

int ept_fault(struct lodge_mem *mem, struct ept_fault *fault);
int ept_fault_slowly(struct lodge_mem *mem, struct ept_fault *fault);
int lodge_mem_read(struct lodge_mem *mem, gpa_t gpa, void *buf, size_t len);
int lodge_mem_write(struct lodge_mem *mem, gpa_t gpa, const void *buf, size_t len);

u64 ept_pointer(const struct lodge_mem *mem);

/**
 * ept_must_flush() - must this CPU flush before it enters the guest?
 * @mem: the memory
 *
 * The caller does INVEPT for ept_pointer() when told so. Translations belong to
 * the pair (EPT pointer, physical CPU), whichever vCPU made them, so the
 * generation seen is kept per CPU. A CPU that enters for the first time must
 * flush as well: the root page may have been another VM's (SDM 3C 29.4.3.3).
 *
 * The generation is read after the vCPU was published as running here (a full
 * barrier) and before INVEPT. A generation counted up before the read has its
 * entries gone from memory, and INVEPT drops what was cached of them; one counted
 * up later comes with a kick that sees this CPU, and the interrupt takes it out
 * of the guest again.
 *
 * Context: interrupts off, on the CPU that enters.
 */
static __always_inline bool ept_must_flush(struct lodge_mem *mem)
{
	s64 gen = atomic64_read(&mem->flush_gen);

	if (likely(__this_cpu_read(*mem->flush_seen) == gen))
		return false;
	__this_cpu_write(*mem->flush_seen, gen);
	return true;
}

#endif
