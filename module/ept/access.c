// SPDX-License-Identifier: GPL-2.0
/*
 * The module's own access to guest memory. It goes through the user address
 * behind it, with the functions for user memory: the host's page tables then do
 * all the work, dirty bits included.
 *
 * An update of the regions waits for accesses, so that the addresses stay the
 * guest's as long as one is used. And a page that is not there may be one that
 * only the updating thread can bring in (userfaultfd). Therefore an access never
 * waits for a page: it is made with page faults off, and what is missing is
 * brought in between two attempts, when nobody has to wait for us. view.h makes
 * many small reads in the same way.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/uaccess.h>

#include "mem.h"

/*
 * Pages that come and go again before they can be used: so often in a row only
 * for a process that takes them away on purpose.
 */
#define MAX_ATTEMPTS	64

/**
 * struct access - an access under way
 * @gpa: where it goes on
 * @len: bytes left
 * @in: read to here; NULL: write
 * @out: write from here; NULL: read
 * @hva: user address behind @gpa, of the last attempt
 */
struct access {
	gpa_t gpa;
	size_t len;
	void *in;
	const void *out;
	unsigned long hva;
};

/*
 * Copy whole words in one piece: a guest's page-table entry may change while it
 * is read, and what the guest polls must not appear by halves.
 */
static int copy_in(void *buf, u64 hva, size_t len)
{
	void __user *from = (void __user *)(unsigned long)hva;
	u64 word8;
	u32 word4;

	if (len == 8 && IS_ALIGNED(hva, 8)) {
		if (get_user(word8, (u64 __user *)from))
			return -EFAULT;
		memcpy(buf, &word8, 8);
		return 0;
	}
	if (len == 4 && IS_ALIGNED(hva, 4)) {
		if (get_user(word4, (u32 __user *)from))
			return -EFAULT;
		memcpy(buf, &word4, 4);
		return 0;
	}
	return copy_from_user(buf, from, len) ? -EFAULT : 0;
}

static int copy_out(const void *buf, u64 hva, size_t len)
{
	void __user *to = (void __user *)(unsigned long)hva;
	u64 word8;
	u32 word4;

	if (len == 8 && IS_ALIGNED(hva, 8)) {
		memcpy(&word8, buf, 8);
		return put_user(word8, (u64 __user *)to);
	}
	if (len == 4 && IS_ALIGNED(hva, 4)) {
		memcpy(&word4, buf, 4);
		return put_user(word4, (u32 __user *)to);
	}
	return copy_to_user(to, buf, len) ? -EFAULT : 0;
}

/* Copy what lies in one page. -EAGAIN: the host has to bring in @a->hva. */
static int access_page(const struct lodge_region_set *set, struct access *a)
{
	const struct lodge_mem_region *r = region_find(set, a->gpa);
	size_t n = min_t(size_t, a->len, PAGE_SIZE - offset_in_page(a->gpa));
	int ret;

	if (!r || (a->out && (r->flags & LODGE_MEM_F_READONLY)))
		return -EFAULT;
	a->hva = region_hva(r, a->gpa);

	pagefault_disable();
	ret = a->in ? copy_in(a->in, a->hva, n) : copy_out(a->out, a->hva, n);
	pagefault_enable();
	if (ret)
		return -EAGAIN;

	a->gpa += n;
	a->len -= n;
	a->in = a->in ? a->in + n : NULL;
	a->out = a->out ? a->out + n : NULL;
	return 0;
}

/* May wait for as long as it takes, or until the thread is killed. */
static int bring_in(unsigned long hva, bool write)
{
	bool unlocked = false;
	int ret;

	if (mmap_read_lock_killable(current->mm))
		return -EINTR;
	ret = fixup_user_fault(current->mm, hva, write ? FAULT_FLAG_WRITE : 0, &unlocked);
	mmap_read_unlock(current->mm);
	return ret;
}

static int access_guest(struct lodge_mem *mem, struct access *a)
{
	u32 attempts = 0;
	int idx, ret;

	might_sleep();
	if (!lodge_mem_is_ours(mem))
		return -EFAULT;

	while (a->len) {
		idx = srcu_read_lock(&mem->srcu);
		ret = access_page(region_set(mem), a);
		srcu_read_unlock(&mem->srcu, idx);
		if (!ret) {
			attempts = 0;
			continue;
		}
		if (ret != -EAGAIN || ++attempts > MAX_ATTEMPTS)
			return -EFAULT;
		ret = bring_in(a->hva, a->out);
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * lodge_mem_read() - read guest memory
 * @mem: the memory
 * @gpa: where; may cross regions
 * @buf: to here
 * @len: bytes. 4 and 8 are read in one piece when @gpa is aligned to them
 *
 * Context: a thread of the VM's process; may sleep, killable.
 * Return: 0; -EFAULT when a byte is in no region, or the host cannot provide it;
 * -ENOMEM; -EINTR when a fatal signal waits.
 */
int lodge_mem_read(struct lodge_mem *mem, gpa_t gpa, void *buf, size_t len)
{
	struct access a = { .gpa = gpa, .len = len, .in = buf };

	return access_guest(mem, &a);
}

/**
 * lodge_mem_write() - write guest memory
 * @mem: the memory
 * @gpa: where; may cross regions
 * @buf: from here
 * @len: bytes. 4 and 8 are written in one piece when @gpa is aligned to them
 *
 * Context: a thread of the VM's process; may sleep, killable.
 * Return: 0; -EFAULT when a byte is in no region, or in a read-only one, or the
 * host cannot provide it; -ENOMEM; -EINTR when a fatal signal waits. What comes
 * before that byte may have been written.
 */
int lodge_mem_write(struct lodge_mem *mem, gpa_t gpa, const void *buf, size_t len)
{
	struct access a = { .gpa = gpa, .len = len, .out = buf };

	return access_guest(mem, &a);
}

/* ------------------------------------------------------------------------- views */

const struct lodge_mem_region lodge_no_region;

/**
 * lodge_mem_find() - look an address up, for a cursor that is elsewhere
 * @set: the memory map
 * @gpa: the address
 * @last: the cursor's; updated
 *
 * Return: the region, or NULL.
 */
const struct lodge_mem_region *lodge_mem_find(const struct lodge_region_set *set, gpa_t gpa,
					      u32 *last)
{
	const struct lodge_mem_region *r = region_find(set, gpa);

	if (r)
		*last = r - set->region;
	return r;
}

/**
 * lodge_mem_bring_in() - bring in the page that a view's read did not find
 * @absent: of struct lodge_mem_view, which has ended
 * @attempts: 0 at first; counts calls, so that they do not go on for ever
 *
 * Context: may sleep, killable.
 * Return: 0 when another try makes sense; -EFAULT when the host has nothing there,
 * or does not keep it; -ENOMEM; -EINTR when a fatal signal waits.
 */
int lodge_mem_bring_in(unsigned long absent, u32 *attempts)
{
	return ++*attempts > MAX_ATTEMPTS ? -EFAULT : bring_in(absent, false);
}
