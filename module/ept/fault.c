// SPDX-License-Identifier: GPL-2.0
/*
 * The answer to an EPT violation: find the region, find the host's page, map it.
 *
 * The host's own page table is asked first, by a walk with interrupts off as
 * get_user_pages_fast() does it, but without taking a reference on the page: what
 * keeps the page is the notifier's promise to speak up before a host entry
 * changes, together with the check in map_page() that it has not spoken. So a
 * fault on a page that is there touches neither the page nor its counters. When
 * the walk does not find what is needed the host brings it in as it would for the
 * thread's own access. Only when that does not help either, get_user_pages judges,
 * and its reference is given back at once.
 *
 * Dirt. A guest's write leaves no trace in the host's entry. If that entry is
 * dirty already nothing is lost: it stays so until a notifier call takes the EPT
 * entry away too. If it is not (MADV_FREE, a clean page of the swap cache), the
 * page itself is marked, under the EPT lock and after the check, when an entry is
 * made writable. Read faults map writable only what is dirty already, and so does
 * map_around(), for nobody has asked for those pages yet.
 */
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include "../compat.h"
#include "mem.h"

/* What is mapped around a fault at most, aligned: 64 KiB. It lies in one EPT table. */
#define AROUND		16

/**
 * struct host_page - how the host maps a user address
 * @pfn: frame of the address's 4 KiB
 * @level: level of the host's entry
 * @rights: what it allows, as EPT_R and EPT_W
 * @clean: it is to be written and its entry is not dirty: the page must be marked
 * @slot: its entry among those of its neighbours, when that is one of a last table.
 *	Good while interrupts are off
 */
struct host_page {
	u64 pfn;
	int level;
	u64 rights;
	bool clean;
	const u64 *slot;
};

/**
 * struct slow_fault - what a fault needs that does not go through at once
 * @cache: tables
 * @gone: what it replaced, while it holds the EPT lock alone; else NULL
 * @judged: get_user_pages found @page, which the walk cannot judge
 * @seq: @inval_seq before that
 * @hva: where that was
 * @page: as a small one
 */
struct slow_fault {
	struct ept_cache cache;
	struct ept_gone *gone;
	bool judged;
	unsigned long seq;
	unsigned long hva;
	struct host_page page;
};

/* ---------------------------------------------------------------- the host */

/* What a present entry of the host allows; 0: not this access, or not for us to say. */
static __always_inline u64 host_rights(u64 entry, u64 pfn, bool write)
{
	if (!__pte_access_permitted(entry, write))
		return 0;
	/* Device memory and the like, where get_user_pages has the say; not the zero page. */
	if (unlikely(entry & (_PAGE_DEVMAP | _PAGE_SPECIAL)) &&
	    ((entry & _PAGE_DEVMAP) || !is_zero_pfn(pfn)))
		return 0;
	if (write || ((entry & _PAGE_DIRTY) && __pte_access_permitted(entry, true)))
		return EPT_R | EPT_W;
	return EPT_R;
}

/*
 * The walk reads the host's tables as the CPU does; they have the same form at each
 * level, and that of the EPT. Each entry is read once: it may change under the walk,
 * from table to huge page too. A huge entry that is being split has PSE without
 * PRESENT, and is none. Interrupts are off: they keep the host from freeing page
 * tables under the walk.
 */
static __always_inline bool host_walk(struct mm_struct *mm, unsigned long hva, bool write,
				      struct host_page *page)
{
	const u64 *slot, *table = (const u64 *)mm->pgd;
	u64 entry, size;
	int level;

	if (pgtable_l5_enabled()) {
		entry = READ_ONCE(table[pgd_index(hva)]);
		if (!(entry & _PAGE_PRESENT))
			return false;
		table = __va(entry & PTE_PFN_MASK);
	}
#pragma GCC unroll 4
	for (level = EPT_ROOT; level >= EPT_4K; level--) {
		slot = &table[ept_index(hva, level)];
		entry = READ_ONCE(*slot);
		if (!(entry & _PAGE_PRESENT))
			return false;
		if (level == EPT_4K || (entry & _PAGE_PSE))
			break;
		table = __va(entry & PTE_PFN_MASK);
	}

	size = ept_size(level);
	page->level = level;
	page->pfn = (ALIGN_DOWN(entry & PTE_PFN_MASK, size) | (hva & (size - 1))) >> PAGE_SHIFT;
	page->rights = host_rights(entry, page->pfn, write);
	page->clean = write && !(entry & _PAGE_DIRTY);
	page->slot = level == EPT_4K ? slot : NULL;
	return page->rights;
}

/*
 * Have the host bring the page in, as for an access of the thread itself. What has
 * come of it the next walk tells: a page that is not there then, for a signal or
 * because it cannot be had, is a matter for judge_page().
 */
static void host_fault_in(struct mm_struct *mm, unsigned long hva, bool write)
{
	unsigned int flags = FAULT_FLAG_DEFAULT | (write ? FAULT_FLAG_WRITE : 0);
	struct vm_area_struct *vma;
	vm_fault_t ret;

	do {
		if (mmap_read_lock_killable(mm))
			return;
		vma = vma_lookup(mm, hva);
		ret = VM_FAULT_SIGSEGV;
		if (vma && (vma->vm_flags & (write ? VM_WRITE : VM_READ)) &&
		    !(vma->vm_flags & (VM_IO | VM_PFNMAP)))
			ret = handle_mm_fault(vma, hva, flags, NULL);
		/* In these two cases the lock has been dropped. */
		if (!(ret & (VM_FAULT_RETRY | VM_FAULT_COMPLETED)))
			mmap_read_unlock(mm);
		flags |= FAULT_FLAG_TRIED;
	} while ((ret & VM_FAULT_RETRY) && !signal_pending(current));
}

/*
 * Pages that only get_user_pages can judge are mapped as small ones, from what it
 * says; and it says what is wrong with the rest.
 */
static int judge_page(struct lodge_mem *mem, const struct ept_fault *fault,
		      struct slow_fault *slow)
{
	bool write = fault->access & EPT_ACCESS_WRITE;
	struct page *p;
	long ret;

	slow->seq = smp_load_acquire(&mem->inval_seq);	/* before it looks */
	slow->hva = fault->hva;
	ret = get_user_pages_unlocked(fault->hva, 1, &p, FOLL_HWPOISON | LODGE_FOLL_NUMA |
				      LODGE_FOLL_INTERRUPTIBLE | (write ? FOLL_WRITE : 0));
	if (ret != 1)
		return ret ? ret : -EFAULT;
	slow->judged = true;
	slow->page = (struct host_page) {
		.pfn = page_to_pfn(p), .level = EPT_4K, .clean = write,
		.rights = EPT_R | (write ? EPT_W : 0),
	};
	put_page(p);
	return 0;
}

/* ----------------------------------------------------------- one attempt */

/* The largest page that the host's mapping and the region's bounds allow. */
static int best_level(const struct ept_fault *fault, const struct lodge_mem_region *r,
		      const struct host_page *host)
{
	int level = min(host->level, ept_caps.huge_1g ? EPT_1G : EPT_2M);

	/* iTLB multihit: huge pages must not be executable on some CPUs. */
	if (ept_caps.nx_huge && (fault->access & EPT_ACCESS_EXEC))
		return EPT_4K;
	for (; level > EPT_4K; level--) {
		u64 size = ept_size(level);
		gpa_t start = ALIGN_DOWN(fault->gpa, size);

		if (((fault->gpa ^ fault->hva) & (size - 1)) == 0 && start >= r->gpa &&
		    start + size <= r->gpa + r->len)
			break;
	}
	return level;
}

/*
 * Is the guest going through its memory page by page? It is when it has accessed the
 * page before or behind. Nothing has to be remembered for that, by a vCPU or a VM:
 * the EPT has it, and CPUs that share the table have touched this line anyway. A page
 * that was mapped around and is not used says nothing, so windows do not grow by
 * themselves; and faults here and there are not made to pay for 16 pages each.
 */
static __always_inline bool in_sequence(const u64 *table, u32 i)
{
	return (i > 0 && (READ_ONCE(table[i - 1]) & EPT_A)) ||
	       (i < EPT_ENTRIES - 1 && (READ_ONCE(table[i + 1]) & EPT_A));
}

/*
 * Map the neighbours, at @host in the host's last table, around the entry @slot that
 * has just been made: those that the host has, as far as region and host table go, and
 * where nothing is mapped yet. They are born neither accessed nor dirty.
 */
static noinline void map_around(const struct ept_fault *fault, const struct lodge_mem_region *r,
				const u64 *host, u64 *slot)
{
	u64 in_region = (fault->gpa - r->gpa) >> PAGE_SHIFT;
	u32 in_window = ept_index(fault->gpa, EPT_4K) % AROUND;
	u32 in_table = ept_index(fault->hva, EPT_4K);
	int back = min3((u64)in_window, (u64)in_table, in_region);
	int ahead = min3(AROUND - 1ull - in_window, EPT_ENTRIES - 1ull - in_table,
			 (r->len >> PAGE_SHIFT) - 1 - in_region);
	u64 mask = r->flags & LODGE_MEM_F_READONLY ? ~(EPT_A | EPT_W) : ~EPT_A;
	int i;

	for (i = -back; i <= ahead; i++) {
		u64 entry = READ_ONCE(host[i]);
		u64 pfn = (entry & PTE_PFN_MASK) >> PAGE_SHIFT;
		u64 rights = host_rights(entry, pfn, false);

		if (rights)
			ept_install(&slot[i], ept_leaf(pfn, EPT_4K, rights | EPT_X) & mask);
	}
}

/* Where something is, or a table is missing, or a huge page is to be. */
static noinline int map_at(struct lodge_mem *mem, gpa_t gpa, int level, u64 pfn, u64 perm,
			   struct slow_fault *slow)
{
	struct ept_cache *cache = slow ? &slow->cache : NULL;
	bool nx_huge = ept_caps.nx_huge;
	u64 leaf;
	int ret;

	/*
	 * Without executable huge pages, a table among them has code in it: were
	 * it to make way, reads and fetches would throw each other out forever.
	 */
	do {
		leaf = ept_leaf(pfn, level, perm | (level > EPT_4K && nx_huge ? 0 : EPT_X));
		ret = ept_map(mem->root, gpa, level, leaf, cache, NULL);
	} while (ret == -EEXIST && nx_huge && --level);

	if ((ret == -EEXIST || ret == -EBUSY) && slow && slow->gone)
		ret = ept_map(mem->root, gpa, level, leaf, cache, slow->gone);
	return ret;
}

/*
 * Not where the host had no page: there will be none around. Not without accessed
 * bits: what is mapped would count as accessed (see ept_young()). And what has just
 * been looked at is no more than the page itself, if an invalidation is under way.
 */
static __always_inline bool may_map_around(const struct lodge_mem *mem,
					   const struct ept_fault *fault,
					   const struct host_page *host)
{
	return ept_caps.ad && !fault->faulted_in && host->slot && !mem->inval_active;
}

static __always_inline int map_host_page(struct lodge_mem *mem, const struct ept_fault *fault,
					 const struct lodge_mem_region *r,
					 const struct host_page *host, struct slow_fault *slow)
{
	u64 perm = host->rights | (fault->access & EPT_ACCESS_WRITE ? EPT_D : 0);
	int level = EPT_4K;

	if (unlikely(host->level > EPT_4K))
		level = best_level(fault, r, host);
	if (unlikely(mem->inval_active)) {
		u64 start = ALIGN_DOWN((u64)fault->hva, ept_size(level));

		if (ept_inval_covers(mem, start, start + ept_size(level)))
			return -EAGAIN;
	}
	if (r->flags & LODGE_MEM_F_READONLY)
		perm &= ~EPT_W;

	if (likely(level == EPT_4K)) {
		u64 *table = ept_last_table(mem->root, fault->gpa);
		u32 i = ept_index(fault->gpa, EPT_4K);

		/* Mostly a small page is to go where there is a place, and nothing. */
		if (likely(table) &&
		    ept_install(&table[i], ept_leaf(host->pfn, EPT_4K, perm | EPT_X))) {
			if (may_map_around(mem, fault, host) && in_sequence(table, i))
				map_around(fault, r, host->slot, &table[i]);
			return 0;
		}
	}
	return map_at(mem, fault->gpa, level, host->pfn, perm, slow);
}

/*
 * Map unless the host or the map has changed; the EPT lock is held. The host's table
 * is looked at under it, so what it says holds until the next invalidation begins.
 */
static int map_page(struct lodge_mem *mem, const struct ept_fault *fault,
		    const struct lodge_mem_region *r, unsigned long seq,
		    struct slow_fault *slow)
{
	bool write = fault->access & EPT_ACCESS_WRITE;
	struct host_page host;
	int ret = -ENOENT;

	if (mem->inval_seq != seq)
		return -EAGAIN;
	local_irq_disable();
	if (likely(host_walk(mem->mm, fault->hva, write, &host))) {
		ret = map_host_page(mem, fault, r, &host, slow);
	} else if (slow && slow->judged && slow->seq == seq && slow->hva == fault->hva) {
		host = slow->page;
		ret = map_host_page(mem, fault, r, &host, slow);
	}
	local_irq_enable();
	if (!ret && host.clean)
		set_page_dirty(pfn_to_page(host.pfn));
	return ret;
}

/* The rule: map beside other faults, where nothing has to make way. */
static __always_inline int map_shared(struct lodge_mem *mem, const struct ept_fault *fault,
				      const struct lodge_mem_region *r, unsigned long seq,
				      struct slow_fault *slow)
{
	int ret;

	read_lock(&mem->lock);
	ret = map_page(mem, fault, r, seq, slow);
	read_unlock(&mem->lock);
	return ret;
}

/* The exception: something else is mapped there, larger, smaller or outdated. */
static int map_alone(struct lodge_mem *mem, const struct ept_fault *fault,
		     const struct lodge_mem_region *r, unsigned long seq,
		     struct slow_fault *slow)
{
	struct ept_gone gone;
	int ret;

	ept_gone_init(&gone);
	slow->gone = &gone;
	write_lock(&mem->lock);
	ret = map_page(mem, fault, r, seq, slow);
	ept_gone_publish(mem, &gone);
	write_unlock(&mem->lock);
	slow->gone = NULL;

	ept_flush(mem);
	ept_gone_free(&gone, true);
	return ret;
}

/* ----------------------------------------------------------- the whole fault */

/* Wait until another attempt makes sense. */
static int wait_to_retry(struct lodge_mem *mem, unsigned long hva)
{
	/* What was refused may have been the huge page around the address. */
	unsigned long start = ALIGN_DOWN(hva, SZ_2M);
	int ret;

	if (signal_pending(current))
		return -EINTR;
	ret = wait_event_interruptible(mem->inval_wait, READ_ONCE(mem->dead) ||
				       !ept_inval_covers(mem, start, start + SZ_2M));
	if (ret)
		return -EINTR;
	return READ_ONCE(mem->dead) ? -EFAULT : 0;
}

/* The region, when it is one for such an access; in an SRCU section. */
static __always_inline const struct lodge_mem_region *find_ram(struct lodge_mem *mem,
							       struct ept_fault *fault)
{
	const struct lodge_region_set *set = region_set(mem);
	const struct lodge_mem_region *r = region_guess(set, fault->region);

	if (unlikely(fault->gpa - r->gpa >= r->len)) {
		r = lodge_mem_find(set, fault->gpa, &fault->region);
		if (!r)
			return NULL;
	}
	if ((fault->access & EPT_ACCESS_WRITE) && (r->flags & LODGE_MEM_F_READONLY))
		return NULL;
	fault->hva = region_hva(r, fault->gpa);
	return r;
}

/* Begin again, with what there is now. */
static int map_again(struct lodge_mem *mem, struct ept_fault *fault, bool alone,
		     struct slow_fault *slow)
{
	unsigned long seq = smp_load_acquire(&mem->inval_seq);	/* first, as in ept_fault() */
	int ret = EPT_FAULT_MMIO, srcu = srcu_read_lock(&mem->srcu);
	const struct lodge_mem_region *r = find_ram(mem, fault);

	if (r)
		ret = alone ? map_alone(mem, fault, r, seq, slow) :
			      map_shared(mem, fault, r, seq, slow);
	srcu_read_unlock(&mem->srcu, srcu);
	return ret;
}

/* Do what an attempt that ended with @err was missing. */
static int help(struct lodge_mem *mem, struct ept_fault *fault, int err, struct slow_fault *slow)
{
	switch (err) {
	case -ENOENT:
		if (fault->faulted_in)
			return signal_pending(current) ? -EINTR : judge_page(mem, fault, slow);
		fault->faulted_in = true;
		host_fault_in(mem->mm, fault->hva, fault->access & EPT_ACCESS_WRITE);
		return 0;
	case -ENOMEM:
		return ept_cache_fill(&slow->cache);
	case -EAGAIN:
		return wait_to_retry(mem, fault->hva);
	default:
		return 0;
	}
}

/*
 * A fault on RAM, in @r, which was found in the SRCU section @srcu: ended here.
 * Apart, so that MMIO does not pay for what this sets up.
 */
static noinline int fault_on_ram(struct lodge_mem *mem, struct ept_fault *fault, unsigned long seq,
				 const struct lodge_mem_region *r, int srcu)
	__releases(&mem->srcu)
{
	int ret = map_shared(mem, fault, r, seq, NULL);

	srcu_read_unlock(&mem->srcu, srcu);
	if (likely(!ret))
		return EPT_FAULT_MAPPED;
	fault->error = ret;
	return EPT_FAULT_SLOW;
}

/**
 * ept_fault() - answer an EPT violation at once
 * @mem: the memory
 * @fault: the access; @hva is filled when it is to RAM
 *
 * Context: a thread of the VM's process (current->mm is the VM's), interrupts on,
 * preemptible or not. It must not be in an SRCU section of @mem.
 * Return: EPT_FAULT_MAPPED: enter again; EPT_FAULT_MMIO: no RAM for this access;
 * EPT_FAULT_SLOW: call ept_fault_slowly().
 */
int ept_fault(struct lodge_mem *mem, struct ept_fault *fault)
{
	/* Before anything it vouches for: regions and host page tables. */
	unsigned long seq = smp_load_acquire(&mem->inval_seq);
	int srcu = srcu_read_lock(&mem->srcu);
	const struct lodge_mem_region *r = find_ram(mem, fault);

	if (r)
		return fault_on_ram(mem, fault, seq, r, srcu);
	srcu_read_unlock(&mem->srcu, srcu);
	return EPT_FAULT_MMIO;
}

/**
 * ept_fault_slowly() - answer an EPT violation that ept_fault() has not
 * @mem: the memory
 * @fault: the access, as ept_fault() has left it
 *
 * Context: as ept_fault(), and may sleep, for as long as it takes to bring in the
 * page: interruptible, save where get_user_pages must wait and is only killable. The
 * caller holds no lock that anybody needs who brings in pages.
 *
 * Return: EPT_FAULT_MAPPED: enter again; EPT_FAULT_MMIO: no RAM for this access, any
 * more; -EFAULT when the host has nothing, or nothing writable, at @hva; -EHWPOISON
 * when the memory is broken; -ENOMEM; -EINTR when a signal waits.
 */
int ept_fault_slowly(struct lodge_mem *mem, struct ept_fault *fault)
{
	struct slow_fault slow = {};
	int ret = fault->error, err;

	do {
		bool alone = ret == -EEXIST || ret == -EBUSY;

		err = help(mem, fault, ret, &slow);
		ret = err ?: map_again(mem, fault, alone, &slow);
	} while (ret < 0 && !err);
	ept_cache_drain(&slow.cache);
	return ret;
}
