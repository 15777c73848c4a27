// SPDX-License-Identifier: GPL-2.0
/*
 * A VM's memory as a whole: its life, its updates, and the two agreements that
 * keep the EPT in step with user memory.
 *
 * Invalidation. Whoever is about to change what stands behind a range brackets
 * that with ept_inval_begin() and ept_inval_end(). A fault notes @inval_seq, then
 * looks at regions and host page tables, then takes the EPT lock and installs
 * only when no invalidation of the range has begun or ended since. So what is
 * installed was true at that moment, and who changes it has yet to take it away.
 *
 * Flush. Who takes an entry away counts up @flush_gen in the same hold of the EPT
 * lock, drops the lock, and has every CPU leave the guest; a CPU compares the
 * generation before it enters. One who finds nothing left to take away must still
 * wait for a flush that another thread owes: @flush_done tells.
 */
#include <linux/percpu.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "mem.h"

struct ept_caps ept_caps __read_mostly;

/* ------------------------------------------------------------- invalidation */

/**
 * ept_inval_begin() - from now on nothing is installed for a range
 * @mem: the memory; its EPT lock is held for writing
 * @hva_start: the range of user memory
 * @hva_end: one past its end
 */
void ept_inval_begin(struct lodge_mem *mem, u64 hva_start, u64 hva_end)
{
	lockdep_assert_held_write(&mem->lock);
	/* One range for all: they are few, short, and mostly neighbours. */
	if (!mem->inval_active++) {
		mem->inval_start = hva_start;
		mem->inval_end = hva_end;
	} else {
		mem->inval_start = min_t(u64, mem->inval_start, hva_start);
		mem->inval_end = max_t(u64, mem->inval_end, hva_end);
	}
}

/**
 * ept_inval_end() - what stands behind the range has changed
 * @mem: the memory
 * @regions: the new regions, when it is they that changed; else NULL
 *
 * Context: any that may take a spinning lock.
 */
void ept_inval_end(struct lodge_mem *mem, struct lodge_region_set *regions)
{
	bool last;

	write_lock(&mem->lock);
	if (regions) {
		rcu_assign_pointer(mem->regions, regions);
		WRITE_ONCE(mem->map_seq, regions->seq);
	}
	/* Pairs with the acquire in ept_fault(): who reads it sees what changed. */
	smp_store_release(&mem->inval_seq, mem->inval_seq + 1);
	last = !--mem->inval_active;
	write_unlock(&mem->lock);

	/* wq_has_sleeper()'s barrier: a fault that sees @inval_active is seen. */
	if (last && wq_has_sleeper(&mem->inval_wait))
		wake_up_all(&mem->inval_wait);
}

/**
 * ept_inval_covers() - is an invalidation of some of a range under way?
 * @mem: the memory; the answer is firm when its EPT lock is held
 * @hva_start: the range of user memory
 * @hva_end: one past its end
 */
bool ept_inval_covers(const struct lodge_mem *mem, u64 hva_start, u64 hva_end)
{
	return READ_ONCE(mem->inval_active) && hva_start < READ_ONCE(mem->inval_end) &&
	       hva_end > READ_ONCE(mem->inval_start);
}

/* ------------------------------------------------------------------- flush */

/**
 * ept_gone_publish() - count what was taken away
 * @mem: the memory; the EPT lock has been held since before it was taken away.
 *	After the lock is dropped, ept_flush() must follow
 * @gone: what was taken away
 */
void ept_gone_publish(struct lodge_mem *mem, const struct ept_gone *gone)
{
	lockdep_assert_held_write(&mem->lock);
	if (gone->flush)
		atomic64_inc(&mem->flush_gen);
}

/**
 * ept_flush() - return when no CPU can use what has been taken away
 * @mem: the memory; the EPT lock is not held
 *
 * Covers what other threads took away as well, so that a caller who found
 * nothing to take away may rely on its being gone. Costs nothing when no flush
 * is owed.
 *
 * Context: interrupts on; does not sleep.
 */
void ept_flush(struct lodge_mem *mem)
{
	s64 gen = atomic64_read(&mem->flush_gen);
	s64 done = atomic64_read_acquire(&mem->flush_done);

	if (done >= gen)
		return;

	/*
	 * Pairs with the barrier by which a vCPU says on which CPU it runs: either
	 * its CPU reads the new generation in ept_must_flush(), or @kick sees it
	 * and interrupts it.
	 */
	smp_mb();
	mem->ops->kick(mem);

	while (done < gen && !atomic64_try_cmpxchg(&mem->flush_done, &done, gen))
		;
}

/**
 * ept_pointer() - the VM's EPT pointer
 * @mem: the memory
 *
 * Return: the value of the VMCS field (SDM 3C 25.6.11): write-back structures,
 * a walk of four levels, accessed and dirty bits where the CPU has them.
 */
u64 ept_pointer(const struct lodge_mem *mem)
{
	u64 wb = 6, levels = (EPT_ROOT - 1) << 3, ad = ept_caps.ad ? BIT_ULL(6) : 0;

	return __pa(mem->root) | ad | levels | wb;
}

/* ------------------------------------------------------------------- life */

static void free_parts(struct lodge_mem *mem)
{
	free_percpu(mem->flush_seen);
	kvfree(rcu_access_pointer(mem->regions));
	if (mem->root)
		ept_table_free(mem->root);
}

/**
 * lodge_mem_init() - give a VM its memory, empty
 * @mem: zeroed
 * @ops: what it may ask of its VM; callable from now on
 *
 * It is made of the calling process's memory. To be undone by
 * lodge_mem_destroy().
 *
 * Context: a user thread; takes mmap_lock for writing.
 * Return: 0, -ENOMEM or -EINTR.
 */
int lodge_mem_init(struct lodge_mem *mem, const struct lodge_mem_ops *ops)
{
	int ret;

	mem->mm = current->mm;
	mem->ops = ops;
	mem->notifier.ops = &ept_notifier_ops;
	mutex_init(&mem->update);
	rwlock_init(&mem->lock);
	init_waitqueue_head(&mem->inval_wait);
	/* Nobody has seen generation 1, and nothing of it must be waited for. */
	atomic64_set(&mem->flush_gen, 1);
	atomic64_set(&mem->flush_done, 1);

	ret = init_srcu_struct(&mem->srcu);
	if (ret)
		return ret;

	ret = -ENOMEM;
	mem->root = ept_table_alloc();
	mem->flush_seen = alloc_percpu_gfp(s64, GFP_KERNEL_ACCOUNT);
	RCU_INIT_POINTER(mem->regions, region_set_alloc(0));
	if (!mem->root || !mem->flush_seen || !rcu_access_pointer(mem->regions))
		goto fail;

	/* Last: the notifier is called from here on. It holds the mm (mmgrab). */
	ret = mmap_write_lock_killable(mem->mm);
	if (ret)
		goto fail;
	ret = __mmu_notifier_register(&mem->notifier, mem->mm);
	mmap_write_unlock(mem->mm);
	if (ret)
		goto fail;
	return 0;

fail:
	free_parts(mem);
	cleanup_srcu_struct(&mem->srcu);
	return ret;
}

/**
 * lodge_mem_destroy() - take a VM's memory down
 * @mem: the memory. No vCPU uses it any more; no call on it runs or will
 *
 * Context: may sleep; any process, mmap_lock not held; the mm may have exited.
 */
void lodge_mem_destroy(struct lodge_mem *mem)
{
	/* Calls ->release, which empties the EPT, unless the mm's exit did. */
	mmu_notifier_unregister(&mem->notifier, mem->mm);
	free_parts(mem);
	cleanup_srcu_struct(&mem->srcu);
}

/* ------------------------------------------------------------------ updates */

/* What a write protection does in one hold of the EPT lock: 16384 entries at most. */
#define PROTECT_STEP	SZ_64M

/*
 * Split the huge page across @gpa, if there is one, so that what stays mapped
 * stays in the EPT. Without memory for it the page is dropped or protected whole,
 * and faults bring it back.
 */
static void split_edge(struct lodge_mem *mem, gpa_t gpa, struct ept_gone *gone)
{
	struct ept_cache cache = {};
	int ret;

	do {
		write_lock(&mem->lock);
		ret = ept_split(mem->root, gpa, &cache, gone);
		ept_gone_publish(mem, gone);
		write_unlock(&mem->lock);
		if (ret == -ENOMEM && !ept_cache_fill(&cache))
			ret = -EAGAIN;
	} while (ret == -EAGAIN);
	ept_cache_drain(&cache);
}

static void zap(struct lodge_mem *mem, gpa_t start, gpa_t end, struct ept_gone *gone)
{
	write_lock(&mem->lock);
	ept_zap(mem->root, start, end, gone);
	ept_gone_publish(mem, gone);
	write_unlock(&mem->lock);
}

/* It may have 2^48 bytes to walk, again and again, even if nothing is mapped there. */
static int write_protect(struct lodge_mem *mem, gpa_t start, gpa_t end, struct ept_gone *gone)
{
	gpa_t next;

	for (; start < end; start = next) {
		if (fatal_signal_pending(current))
			return -EINTR;
		next = min_t(gpa_t, end, ALIGN_DOWN(start, PROTECT_STEP) + PROTECT_STEP);
		write_lock(&mem->lock);
		ept_write_protect(mem->root, start, next, gone);
		ept_gone_publish(mem, gone);
		write_unlock(&mem->lock);
		cond_resched();
	}
	return 0;
}

/* Take out of the EPT what @op takes out of the map. Return: 0, or -EINTR killed. */
static int take_away(struct lodge_mem *mem, const struct lodge_mem_op *op,
		     struct ept_gone *gone)
{
	bool readonly = op->op == LODGE_MEM_PROTECT && (op->flags & LODGE_MEM_F_READONLY);
	gpa_t end = op->gpa + op->len;

	if (op->op != LODGE_MEM_UNMAP && !readonly)
		return 0;
	split_edge(mem, op->gpa, gone);
	split_edge(mem, end, gone);
	if (readonly)
		return write_protect(mem, op->gpa, end, gone);
	zap(mem, op->gpa, end, gone);
	return 0;
}

/*
 * From the old map to the new one. All user memory counts as being invalidated
 * meanwhile, so faults wait: nothing new is mapped before everything that goes is
 * gone from every CPU. Thus no guest sees the two maps side by side.
 *
 * Return: 0; -EINTR when killed, and the old map stands: what has been taken out of
 * the EPT comes back by faults.
 */
static int switch_regions(struct lodge_mem *mem, struct lodge_region_set *new,
			  const struct lodge_mem_op *ops, u32 nr)
{
	struct ept_gone gone;
	int ret = 0;
	u32 i;

	ept_gone_init(&gone);
	write_lock(&mem->lock);
	ept_inval_begin(mem, 0, U64_MAX);
	write_unlock(&mem->lock);

	for (i = 0; i < nr && !ret; i++)
		ret = take_away(mem, &ops[i], &gone);

	ept_flush(mem);
	ept_inval_end(mem, ret ? NULL : new);
	ept_gone_free(&gone, true);
	return ret;
}

/**
 * lodge_mem_update() - change the memory map
 * @mem: the memory
 * @ops: what to change, in order; checked here, all of it
 * @nr: how many, at most 1024
 * @bad: the index of the operation that is wrong, when one is; else not touched
 *
 * All or nothing. When it returns, no vCPU uses what was taken away, and neither
 * does lodge_mem_read() or lodge_mem_write().
 *
 * Context: may sleep.
 *
 * Return: 0; -EINVAL (bad value), -EFAULT (@hva is no user memory), -EBUSY (MAP
 * over a mapping or the xAPIC page), -ENOENT (UNMAP or PROTECT of a hole),
 * -ENOSPC (too many regions), -ENOMEM, -EINTR (killed).
 */
int lodge_mem_update(struct lodge_mem *mem, const struct lodge_mem_op *ops, u32 nr, u32 *bad)
{
	struct lodge_region_set *old, *new;
	int ret;

	if (mutex_lock_killable(&mem->update))
		return -EINTR;
	old = rcu_dereference_protected(mem->regions, lockdep_is_held(&mem->update));
	new = region_set_build(old, ops, nr, bad);
	if (IS_ERR(new)) {
		mutex_unlock(&mem->update);
		return PTR_ERR(new);
	}
	ret = switch_regions(mem, new, ops, nr);
	if (!ret)
		synchronize_srcu(&mem->srcu);
	mutex_unlock(&mem->update);
	kvfree(ret ? new : old);
	return ret;
}

/**
 * lodge_mem_query() - read the memory map
 * @mem: the memory
 * @out: room for *@nr regions; filled by gpa
 * @nr: in: room; out: regions there are
 *
 * Context: may sleep.
 * Return: 0; -ENOSPC when the room is too small, and nothing is filled; -EINTR.
 */
int lodge_mem_query(struct lodge_mem *mem, struct lodge_mem_region *out, u32 *nr)
{
	const struct lodge_region_set *set;
	u32 room = *nr;

	if (mutex_lock_killable(&mem->update))
		return -EINTR;
	set = rcu_dereference_protected(mem->regions, lockdep_is_held(&mem->update));
	*nr = set->nr;
	if (set->nr <= room)
		memcpy(out, set->region, set->nr * sizeof(*out));
	mutex_unlock(&mem->update);
	return *nr <= room ? 0 : -ENOSPC;
}
