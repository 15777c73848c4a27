// SPDX-License-Identifier: GPL-2.0
/*
 * Starting a thread. Its stack is smaller than a huge page: into one of the usual
 * 8 MiB the host may put a huge page, which is zeroed and stays, for the few
 * kilobytes that are used.
 */
#include "thread.h"
#include "types.h"

#define STACK_SIZE	(256 * KIB)

int thread_start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	int err;

	err = pthread_attr_init(&attr);
	if (err)
		return err;
	err = pthread_attr_setstacksize(&attr, STACK_SIZE);
	if (!err)
		err = pthread_create(thread, &attr, run, arg);
	pthread_attr_destroy(&attr);
	return err;
}
