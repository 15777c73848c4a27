// SPDX-License-Identifier: GPL-2.0
/*
 * The answer to an EPT violation: find the region, find the host's page, map it.
 *
 * The host's own page table is asked first, by a walk with interrupts off as
 * get_user_pages_fast() does it, but without taking a reference on the page: what
 * keeps the page is the notifier's promise to speak up before a host entry
 * changes, together with the check in map_page() that it has not spoken. So a
 * fault on a page that is there touches neither the page nor its counters. Only
 * when the walk does not find what is needed, get_user_pages makes the host fault
 * the page in, and its reference is given back at once.
 *
 * Dirt. A guest's write leaves no trace in the host's entry. If that entry is
 * dirty already nothing is lost: it stays so until a notifier call takes the EPT
 * entry away too. If it is not (MADV_FREE, a clean page of the swap cache), the
 * page itself is marked, under the EPT lock and after the check, when an entry is
 * made writable. Read faults map writable only what is dirty already.
 */
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include "../compat.h"
#include "mem.h"

/**
 * struct host_page - how the host maps a user address
 * @pfn: frame of the address's 4 KiB
 * @level: level of the host's entry
 * @writable: it allows writing
 * @dirty: it is writable and dirty
 */
struct host_page {
	u64 pfn;
	int level;
	bool writable;
	bool dirty;
};

/**
 * struct attempt - one attempt at a fault on RAM
 * @seq: @inval_seq before anything else was looked at
 * @gpa: faulting address
 * @hva: user address behind it
 * @region: the region, a copy: it may go while the fault sleeps
 * @host: the page
 * @level: to map at
 * @leaf: to map
 * @dirty_page: the page must be marked dirty
 */
struct attempt {
	unsigned long seq;
	gpa_t gpa;
	unsigned long hva;
	struct lodge_mem_region region;
	struct host_page host;
	int level;
	u64 leaf;
	bool dirty_page;
};

/* ---------------------------------------------------------------- the host */

/* A present host entry; its flags are the same at each level. */
static bool host_entry(unsigned long flags, u64 pfn, int level, struct host_page *page)
{
	if (!__pte_access_permitted(flags, false))
		return false;
	/* Device memory and the like, where get_user_pages has the say; not the zero page. */
	if ((flags & _PAGE_DEVMAP) || ((flags & _PAGE_SPECIAL) && !is_zero_pfn(pfn)))
		return false;
	page->pfn = pfn;
	page->level = level;
	page->writable = __pte_access_permitted(flags, true);
	page->dirty = page->writable && (flags & _PAGE_DIRTY);
	return true;
}

/*
 * Each entry is read once: it may change under the walk, from table to huge page
 * too. A huge entry that is being split has PSE without PRESENT; p?d_present()
 * would take it for present and p?d_leaf() for a table, so look at the bits.
 */
static bool host_walk(struct mm_struct *mm, unsigned long hva, struct host_page *page)
{
	pgd_t pgd = READ_ONCE(*pgd_offset(mm, hva));
	p4d_t p4d;
	pud_t pud;
	pmd_t pmd;
	pte_t pte;

	if (pgd_none(pgd))
		return false;
	p4d = READ_ONCE(*p4d_offset(&pgd, hva));
	if (!(p4d_val(p4d) & _PAGE_PRESENT))
		return false;

	pud = READ_ONCE(*pud_offset(&p4d, hva));
	if (!(pud_val(pud) & _PAGE_PRESENT))
		return false;
	if (pud_val(pud) & _PAGE_PSE)
		return host_entry(pud_val(pud), pud_pfn(pud) + ((hva & ~PUD_MASK) >> PAGE_SHIFT),
				  EPT_1G, page);

	pmd = READ_ONCE(*pmd_offset(&pud, hva));
	if (!(pmd_val(pmd) & _PAGE_PRESENT))
		return false;
	if (pmd_val(pmd) & _PAGE_PSE)
		return host_entry(pmd_val(pmd), pmd_pfn(pmd) + ((hva & ~PMD_MASK) >> PAGE_SHIFT),
				  EPT_2M, page);

	pte = READ_ONCE(*pte_offset_kernel(&pmd, hva));
	return host_entry(pte_val(pte), pte_pfn(pte), EPT_4K, page);
}

/* Interrupts off keep the host from freeing page tables under the walk. */
static bool host_lookup(struct mm_struct *mm, unsigned long hva, struct host_page *page)
{
	bool found;

	local_irq_disable();
	found = host_walk(mm, hva, page);
	local_irq_enable();
	return found;
}

/*
 * Let the host fault the page in. Pages that only get_user_pages can judge are
 * mapped as small ones, from what it says; for the rest the walk knows more.
 */
static int host_fault_in(struct mm_struct *mm, unsigned long hva, bool write,
			 struct host_page *page)
{
	struct host_page found;
	struct page *p;
	long ret;

	ret = get_user_pages_unlocked(hva, 1, &p, FOLL_HWPOISON | LODGE_FOLL_NUMA |
				      LODGE_FOLL_INTERRUPTIBLE | (write ? FOLL_WRITE : 0));
	if (ret != 1)
		return ret ? ret : -EFAULT;
	page->pfn = page_to_pfn(p);
	page->level = EPT_4K;
	page->writable = write;
	page->dirty = false;
	put_page(p);

	if (host_lookup(mm, hva, &found) && found.pfn == page->pfn &&
	    (found.writable || !write))
		*page = found;
	return 0;
}

/* ------------------------------------------------------------- the attempt */

/* The largest page that the host's mapping and the region's bounds allow. */
static int best_level(const struct attempt *a)
{
	int level = min(a->host.level, ept_caps.huge_1g ? EPT_1G : EPT_2M);
	const struct lodge_mem_region *r = &a->region;

	for (; level > EPT_4K; level--) {
		u64 size = ept_size(level);
		gpa_t start = ALIGN_DOWN(a->gpa, size);

		if (((a->gpa ^ a->hva) & (size - 1)) == 0 && start >= r->gpa &&
		    start + size <= r->gpa + r->len)
			break;
	}
	return level;
}

/* Decide what to map at @level for @access. */
static void choose_leaf(struct attempt *a, int level, u32 access)
{
	bool write = access & EPT_ACCESS_WRITE;
	u64 perm = 0;

	if (a->host.writable && !(a->region.flags & LODGE_MEM_F_READONLY) &&
	    (write || a->host.dirty))
		perm |= EPT_W;
	if (write)
		perm |= EPT_D;
	/* iTLB multihit: huge pages must not be executable on some CPUs. */
	if (level == EPT_4K || !ept_caps.nx_huge)
		perm |= EPT_X;
	a->level = level;
	a->leaf = ept_leaf(a->host.pfn, level, perm);
	a->dirty_page = write && !a->host.dirty;
}

/* Map unless the host or the map has changed; the EPT lock is held. */
static int map_page(struct lodge_mem *mem, const struct attempt *a, struct ept_cache *cache,
		    struct ept_gone *gone)
{
	u64 size = ept_size(a->level);
	u64 start = ALIGN_DOWN((u64)a->hva, size);
	int ret;

	if (mem->inval_seq != a->seq || ept_inval_covers(mem, start, start + size))
		return -EAGAIN;
	ret = ept_map(mem->root, a->gpa, a->level, a->leaf, cache, gone);
	if (!ret && a->dirty_page)
		set_page_dirty(pfn_to_page(a->host.pfn));
	return ret;
}

/* The rule: map beside other faults, where nothing has to make way. */
static int map_shared(struct lodge_mem *mem, const struct attempt *a, struct ept_cache *cache)
{
	int ret;

	read_lock(&mem->lock);
	ret = map_page(mem, a, cache, NULL);
	read_unlock(&mem->lock);
	return ret;
}

/* The exception: something else is mapped there, larger, smaller or outdated. */
static int map_alone(struct lodge_mem *mem, const struct attempt *a, struct ept_cache *cache)
{
	struct ept_gone gone;
	int ret;

	ept_gone_init(&gone);
	write_lock(&mem->lock);
	ret = map_page(mem, a, cache, &gone);
	ept_gone_publish(mem, &gone);
	write_unlock(&mem->lock);

	ept_flush(mem);
	ept_gone_free(&gone, true);
	return ret;
}

static int install(struct lodge_mem *mem, struct attempt *a, u32 access, struct ept_cache *cache)
{
	int ret = map_shared(mem, a, cache);

	/*
	 * Without executable huge pages, a table among them has code in it: were
	 * it to make way, reads and fetches would throw each other out forever.
	 */
	while (ret == -EEXIST && ept_caps.nx_huge) {
		choose_leaf(a, a->level - 1, access);
		ret = map_shared(mem, a, cache);
	}
	if (ret == -EEXIST || ret == -EBUSY)
		ret = map_alone(mem, a, cache);
	if (ret == -ENOMEM)
		ret = ept_cache_fill(cache) ?: -EAGAIN;
	return ret;
}

/* One attempt, from the host's page on. -EAGAIN: the world has changed meanwhile. */
static int attempt(struct lodge_mem *mem, struct ept_fault *fault, struct attempt *a,
		   struct ept_cache *cache)
{
	u32 access = fault->access;
	bool write = access & EPT_ACCESS_WRITE;
	int level, ret;

	if (!host_lookup(mem->mm, a->hva, &a->host) || (write && !a->host.writable)) {
		fault->faulted_in = true;
		ret = host_fault_in(mem->mm, a->hva, write, &a->host);
		if (ret)
			return ret;
	}

	level = best_level(a);
	if (ept_caps.nx_huge && (access & EPT_ACCESS_EXEC))
		level = EPT_4K;
	choose_leaf(a, level, access);
	return install(mem, a, access, cache);
}

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
static const struct lodge_mem_region *find_ram(struct lodge_mem *mem,
					       const struct ept_fault *fault)
{
	const struct lodge_mem_region *r = region_find(region_set(mem), fault->gpa);

	if (r && (fault->access & EPT_ACCESS_WRITE) && (r->flags & LODGE_MEM_F_READONLY))
		return NULL;
	return r;
}

static void attempt_at(struct attempt *a, const struct lodge_mem_region *r)
{
	a->region = *r;
	a->hva = region_hva(r, a->gpa);
}

/* Begin again, with what there is now. False when it is not RAM any more. */
static bool attempt_again(struct lodge_mem *mem, const struct ept_fault *fault, struct attempt *a)
{
	const struct lodge_mem_region *r;
	int srcu;

	a->seq = smp_load_acquire(&mem->inval_seq);	/* first, as in ept_fault() */
	srcu = srcu_read_lock(&mem->srcu);
	r = find_ram(mem, fault);
	if (r)
		attempt_at(a, r);
	srcu_read_unlock(&mem->srcu, srcu);
	return r;
}

/*
 * A fault on RAM, in @r, which was found in the SRCU section @srcu: ended here.
 * Apart, so that MMIO does not pay for what this sets up.
 */
static noinline int fault_on_ram(struct lodge_mem *mem, struct ept_fault *fault, unsigned long seq,
				 const struct lodge_mem_region *r, int srcu)
	__releases(&mem->srcu)
{
	struct attempt a = { .seq = seq, .gpa = fault->gpa };
	struct ept_cache cache = { .nr = 0 };
	int ret;

	attempt_at(&a, r);
	srcu_read_unlock(&mem->srcu, srcu);
	for (;;) {
		ret = attempt(mem, fault, &a, &cache);
		if (likely(ret != -EAGAIN))
			break;
		ret = wait_to_retry(mem, a.hva);
		if (ret)
			break;
		if (!attempt_again(mem, fault, &a)) {
			ret = EPT_FAULT_MMIO;
			break;
		}
	}
	fault->hva = a.hva;
	ept_cache_drain(&cache);
	return ret;
}

/**
 * ept_fault() - answer an EPT violation
 * @mem: the memory
 * @fault: the access; @hva is filled when it is to RAM
 *
 * Context: a thread of the VM's process (current->mm is the VM's), interrupts
 * on; may sleep, for as long as it takes to bring in the page: killable, and
 * interruptible where get_user_pages is. It must not be in an SRCU section of
 * @mem, and holds no lock that anybody needs who brings in pages.
 *
 * Return: EPT_FAULT_MAPPED: enter again; EPT_FAULT_MMIO: no RAM for this access;
 * -EFAULT when the host has nothing, or nothing writable, at @hva; -EHWPOISON
 * when the memory is broken; -ENOMEM; -EINTR when a signal waits.
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
