// SPDX-License-Identifier: GPL-2.0
/*
 * The module's own access to guest memory. It goes through the user address
 * behind it, with the functions for user memory: the host's page tables then do
 * all the work, dirty bits included, and a page that is not there is brought in.
 */
#include <linux/sched/mm.h>
#include <linux/uaccess.h>

#include "mem.h"

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

/* Exactly one of @in and @out is given. */
static int access_guest(struct lodge_mem *mem, gpa_t gpa, void *in, const void *out, size_t len)
{
	int idx, ret = 0;

	/* Somebody else's user addresses would mean somebody else's memory. */
	if (current->mm != mem->mm)
		return -EFAULT;

	/* An update waits for this section, so the addresses stay the guest's. */
	idx = srcu_read_lock(&mem->srcu);
	while (len) {
		const struct lodge_mem_region *r = region_find(region_set(mem), gpa);
		u64 offset;
		size_t n;

		if (!r || (out && (r->flags & LODGE_MEM_F_READONLY))) {
			ret = -EFAULT;
			break;
		}
		offset = region_offset(r, gpa);
		n = min_t(u64, len, r->len - offset);
		ret = in ? copy_in(in, r->hva + offset, n) : copy_out(out, r->hva + offset, n);
		if (ret)
			break;
		gpa += n;
		len -= n;
		in = in ? in + n : NULL;
		out = out ? out + n : NULL;
	}
	srcu_read_unlock(&mem->srcu, idx);
	return ret;
}

/**
 * lodge_mem_read() - read guest memory
 * @mem: the memory
 * @gpa: where; may cross regions
 * @buf: to here
 * @len: bytes. 4 and 8 are read in one piece when @gpa is aligned to them
 *
 * Context: a thread of the VM's process; may sleep.
 * Return: 0; -EFAULT when a byte is in no region, or the host cannot provide it.
 */
int lodge_mem_read(struct lodge_mem *mem, gpa_t gpa, void *buf, size_t len)
{
	return access_guest(mem, gpa, buf, NULL, len);
}

/**
 * lodge_mem_write() - write guest memory
 * @mem: the memory
 * @gpa: where; may cross regions
 * @buf: from here
 * @len: bytes. 4 and 8 are written in one piece when @gpa is aligned to them
 *
 * Context: a thread of the VM's process; may sleep.
 * Return: 0; -EFAULT when a byte is in no region, or in a read-only one, or the
 * host cannot provide it; what comes before it may have been written.
 */
int lodge_mem_write(struct lodge_mem *mem, gpa_t gpa, const void *buf, size_t len)
{
	return access_guest(mem, gpa, NULL, buf, len);
}
