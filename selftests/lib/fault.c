// SPDX-License-Identifier: GPL-2.0
/* Faults on demand. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fault.h"
#include "host.h"

#define DEBUGFS		"/sys/kernel/debug/"

static const struct {
	const char *path;
	const char *text;
} settings[] = {
	{ DEBUGFS "failslab/ignore-gfp-wait", "N" },
	{ DEBUGFS "failslab/verbose", "0" },
	{ DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N" },
	{ DEBUGFS "fail_page_alloc/ignore-gfp-highmem", "N" },
	{ DEBUGFS "fail_page_alloc/min-order", "0" },
	{ DEBUGFS "fail_page_alloc/verbose", "0" },
	{ DEBUGFS "fail_usercopy/verbose", "0" },
};

bool fault_prepare(void)
{
	size_t i;

	if (access("/proc/self/fail-nth", F_OK))
		return false;
	for (i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		write_text(settings[i].path, settings[i].text);
	return true;
}

int fault_open(int pid, int tid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/fail-nth", pid, tid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	require(fd >= 0);
	return fd;
}

void fault_arm(int fd, int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", nth);

	/* The text is copied from user space: where a thread arms itself, that may fail. */
	if (pwrite(fd, text, len, 0) != len)
		require(errno == EFAULT && pwrite(fd, text, len, 0) == len);
}

int fault_left(int fd)
{
	char text[16] = "";

	return pread(fd, text, sizeof(text) - 1, 0) > 0 ? atoi(text) : -1;
}
