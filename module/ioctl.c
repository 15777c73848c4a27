// SPDX-License-Identifier: GPL-2.0
/*
 * The way of every ioctl: find its row, copy its structure by size, call, copy
 * back. The rules of the ABI about sizes and tails are kept here and only here.
 */
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "lodge.h"

/* Most structures are small: those need no allocation. */
#define LODGE_CALL_STACK	128

static const struct lodge_call *lodge_call_find(const struct lodge_call *table, u32 nr,
						unsigned int cmd)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (table[i].cmd == cmd)
			return &table[i];
	return NULL;
}

static long lodge_call_copy(void *object, const struct lodge_call *call, void *buf,
			    void __user *uarg)
{
	long ret, err;
	u32 size;

	if (get_user(size, (u32 __user *)uarg))
		return -EFAULT;
	if (size < call->min)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	err = copy_struct_from_user(buf, call->size, uarg, size);
	if (err)
		return err;
	*(u32 *)buf = size;	/* what the rest went by: it may read otherwise by now */
	ret = call->run(object, buf);
	if (call->out == LODGE_OUT_NEVER || (call->out == LODGE_OUT_ERRORS && ret >= 0))
		return ret;
	if (copy_to_user(uarg, buf, min(size, call->size)))
		return -EFAULT;
	return ret;
}

/**
 * lodge_call() - dispatch an ioctl
 * @object: handed to the call
 * @table: the calls that @object's kind of file takes
 * @nr: its length
 * @cmd: from user space
 * @arg: from user space
 *
 * Context: may sleep.
 * Return: the call's answer, or an errno as uapi/linux/lodge.h says.
 */
long lodge_call(void *object, const struct lodge_call *table, u32 nr, unsigned int cmd,
		unsigned long arg)
{
	const struct lodge_call *call = lodge_call_find(table, nr, cmd);
	u64 small[LODGE_CALL_STACK / sizeof(u64)];
	void *buf = small;
	long ret;

	if (!call)
		return -ENOTTY;
	if (!call->size)
		return call->run(object, NULL);
	if (call->size > sizeof(small)) {
		buf = kmalloc(call->size, GFP_KERNEL_ACCOUNT);
		if (!buf)
			return -ENOMEM;
	}
	ret = lodge_call_copy(object, call, buf, (void __user *)arg);
	if (buf != small)
		kfree(buf);
	return ret;
}
