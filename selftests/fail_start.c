// SPDX-License-Identifier: GPL-2.0
/*
 * "lodge run", where each allocation of its system calls, and each copy from or to
 * it, fails once: it says what is wrong and ends by itself, or does without; and
 * nothing of its VM stays. It is traced, so that what fails is a call of its own, from
 * the first file it opens, and not of its loading.
 *
 * Needs a kernel with fault injection, and in LODGE_TEST_KERNEL a guest that ends by a
 * triple fault.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "fault.h"
#include "vm.h"
#include "kselftest_harness.h"

#define REFCOUNT	"/sys/module/lodge/refcnt"
#define MOST_FAULTS	2000
#define MAX_THREADS	8
#define HANG_SECONDS	20	/* of one start */
#define TRIPLE_FAULT	3	/* what lodge run ends with, then */
#define OPTIONS		(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | \
			 PTRACE_O_EXITKILL)

struct thread {
	int tid;
	int fd;			/* its fault */
};

struct start {
	int pid;
	int said;		/* what it wrote to its standard error */
	bool begun;		/* by the program itself, not by loader and C library */
	int left;		/* to the fault; 0: it was met */
	struct thread *armed;
	struct thread threads[MAX_THREADS];
	int nr;
};

static const char *kernel;

/*
 * The C library takes it for granted that these work, and they allocate nothing; the
 * last two do not come back.
 */
static const u64 spared[] = {
	SYS_futex, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_set_robust_list, SYS_rseq,
	SYS_exit, SYS_exit_group,
};

static void become_lodge(int said)
{
	int null = open("/dev/null", O_RDWR);

	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(said, STDERR_FILENO);
	require(!ptrace(PTRACE_TRACEME, 0, 0, 0));
	raise(SIGSTOP);
	execlp("lodge", "lodge", "run", "--kernel", kernel, "--mem", "32M", NULL);
	_exit(127);
}

static struct thread *find_thread(struct start *s, int tid)
{
	struct thread *t;

	for (t = s->threads; t < s->threads + s->nr; t++)
		if (t->tid == tid)
			return t;
	require(s->nr < MAX_THREADS);
	*t = (struct thread) { .tid = tid, .fd = fault_open(s->pid, tid) };
	s->nr++;
	return t;
}

/* One thread at a time, or two calls would fail. */
static void disarm(struct start *s)
{
	if (!s->armed)
		return;
	s->left = fault_left(s->armed->fd);
	fault_arm(s->armed->fd, 0);
	s->armed = NULL;
}

static bool is_spared(const struct __ptrace_syscall_info *info)
{
	size_t i;

	/* What it says piece by piece: when that fails there is nobody to tell. */
	if (info->entry.nr == SYS_write && info->entry.args[0] == STDERR_FILENO)
		return true;
	for (i = 0; i < ARRAY_SIZE(spared); i++)
		if (info->entry.nr == spared[i])
			return true;
	return false;
}

/* A thread begins or ends a call. */
static void at_call(struct start *s, struct thread *t)
{
	struct __ptrace_syscall_info info;

	require(ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, sizeof(info), &info) > 0);
	if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
		if (s->armed == t)
			disarm(s);
		return;
	}
	disarm(s);
	s->begun |= info.entry.nr == SYS_openat;
	if (s->begun && s->left > 0 && !is_spared(&info)) {
		fault_arm(t->fd, s->left);
		s->armed = t;
	}
}

/* The signal that the thread is to get. */
static int at_stop(struct start *s, struct thread *t, int status)
{
	int sig = WSTOPSIG(status);

	if (sig == (SIGTRAP | 0x80)) {
		at_call(s, t);
		return 0;
	}
	/* A new thread begins with a stop of its own. */
	return status >> 16 || sig == SIGSTOP ? 0 : sig;
}

/* The fault met, no call matters any more: a stop at each takes longer than the rest. */
static void go_on(struct start *s, int tid, int sig)
{
	ptrace(s->left ? PTRACE_SYSCALL : PTRACE_CONT, tid, 0, sig);
}

/* From the program's first instruction to its end: what waitpid() tells of that. */
static int follow(struct start *s)
{
	int tid, status;

	require(waitpid(s->pid, &status, 0) == s->pid && WIFSTOPPED(status));
	require(!ptrace(PTRACE_SETOPTIONS, s->pid, 0, OPTIONS));
	find_thread(s, s->pid);
	require(!ptrace(PTRACE_SYSCALL, s->pid, 0, 0));
	for (;;) {
		tid = waitpid(-1, &status, __WALL);
		require(tid > 0);
		if (WIFSTOPPED(status))
			/* It may be gone: another thread can end them all. */
			go_on(s, tid, at_stop(s, find_thread(s, tid), status));
		else if (tid == s->pid)
			return status;
	}
}

/* One start with its @nth fault; true when it met that. */
static bool start_once(int nth)
{
	struct start s = { .left = nth };
	int said[2], status, i;
	char text[2048];
	ssize_t len;

	test_context("fault %d", nth);
	require(!pipe2(said, O_CLOEXEC));
	s.pid = fork();
	require(s.pid >= 0);
	if (!s.pid)
		become_lodge(said[1]);
	close(said[1]);
	alarm(HANG_SECONDS);
	status = follow(&s);
	alarm(0);
	len = read(said[0], text, sizeof(text) - 1);
	require(len >= 0);
	text[len] = '\0';
	close(said[0]);
	for (i = 0; i < s.nr; i++)
		close(s.threads[i].fd);
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 7)
		test_fail("status %#x, and it said: %s", status, text);
	if (WEXITSTATUS(status) != TRIPLE_FAULT && strncmp(text, "lodge: ", 7))
		test_fail("status %#x, but it only said: %s", status, text);
	if (WEXITSTATUS(status) != TRIPLE_FAULT && s.left)
		test_fail("no fault was met, but it said: %s", text);
	return !s.left;
}

static void say_faults(int nr)
{
	printf("# %d faults\n", nr);
	fflush(stdout);
}

static void it_hangs(int sig)
{
	test_fail("it does not end");
}

FIXTURE(start)
{
	long refs;
};

FIXTURE_SETUP(start)
{
	kernel = getenv("LODGE_TEST_KERNEL");
	if (!kernel)
		SKIP(_exit(255), "no LODGE_TEST_KERNEL");
	if (!fault_prepare())
		SKIP(_exit(255), "no fault injection");
	self->refs = read_number(REFCOUNT);
	signal(SIGALRM, it_hangs);
}

FIXTURE_TEARDOWN(start)
{
}

/*
 * That the next try works is shown by the next one: it gets over what failed in the
 * one before.
 */
TEST_F_TIMEOUT(start, each_allocation, 3000)
{
	int nth = 1;

	while (start_once(nth)) {
		wait_until(read_number(REFCOUNT) == self->refs);
		require(++nth < MOST_FAULTS);
		if (nth % 50 == 0)
			say_faults(nth);
	}
	say_faults(nth - 1);
	ASSERT_GT(nth, 30);
	start_once(0);
}

TEST_HARNESS_MAIN
