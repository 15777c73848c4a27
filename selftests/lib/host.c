// SPDX-License-Identifier: GPL-2.0
/* What the tests need of the host. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "host.h"

static char context[128];

void test_context(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(context, sizeof(context), format, ap);
	va_end(ap);
}

const char *test_context_text(void)
{
	return context;
}

void test_fail(const char *format, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "# %s%s", context, context[0] ? ": " : "");
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	_exit(1);
}

static u64 clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

u64 now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

u64 realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

pthread_t spawn(void *(*fn)(void *arg), void *arg)
{
	pthread_t thread;

	require(!pthread_create(&thread, NULL, fn, arg));
	return thread;
}

void join(pthread_t thread)
{
	require(!pthread_join(thread, NULL));
}

int shorter(int n)
{
	const char *text = getenv("LODGE_SLOW");

	return n / (text ? atoi(text) : 1);
}

int online_cpus(int *cpus, int max)
{
	cpu_set_t set;
	int cpu, nr = 0;

	require(!sched_getaffinity(0, sizeof(set), &set));
	for (cpu = 0; cpu < CPU_SETSIZE && nr < max; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus[nr++] = cpu;
	return nr;
}

bool pin_to_cpu(int tid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(tid, sizeof(set), &set);
}

void *map_anon(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	require(p != MAP_FAILED);
	return p;
}

void *map_aligned(size_t len, size_t align)
{
	char *p = map_anon(len + align);
	size_t head = -(uintptr_t)p & (align - 1);

	if (head)
		munmap(p, head);
	munmap(p + head + len, align - head);
	return p + head;
}

int read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	close(fd);
	if (n < 0)
		return -EIO;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		error = -errno;
	close(fd);
	return error;
}

long read_number(const char *path)
{
	char text[64];

	if (read_text(path, text, sizeof(text)))
		return -1;
	return strtol(text, NULL, 0);
}

int run_command(const char *const argv[])
{
	int status, null;
	pid_t pid = fork();

	require(pid >= 0);
	if (!pid) {
		null = open("/dev/null", O_RDWR);
		dup2(null, 1);
		dup2(null, 2);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	require(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int module_load(const char *name)
{
	const char *const argv[] = { "modprobe", name, NULL };

	return run_command(argv);
}

int module_unload(const char *name)
{
	const char *const argv[] = { "rmmod", name, NULL };

	return run_command(argv);
}

bool module_loaded(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", name);
	return !access(path, F_OK);
}
