// SPDX-License-Identifier: GPL-2.0
/*
 * The end at any moment: processes killed while they make, run and take down VMs,
 * and files closed in every order while guests run. Afterwards nobody holds
 * lodge, and a VM works. LODGE_ROUNDS says how many ends; what memory is lost
 * only a kernel with kmemleak can tell (make check-debug).
 */
#include <signal.h>
#include <sys/wait.h>

#include "fuzz.h"
#include "vm.h"
#include "kselftest_harness.h"

#define REFCOUNT	"/sys/module/lodge/refcnt"
#define NR_VCPUS	2
#define NR_PAGES	64

static u32 stop;

static void say_done(u64 arg)
{
	guest_done();
}

/* Writes memory all the time, with interrupts on and off by turns. */
static void write_all(u64 id)
{
	u64 at;

	for (;;) {
		irq_on();
		for (at = 0; at < NR_PAGES; at++)
			WRITE_ONCE(*(u64 *)(GPA_TEST + at * PAGE_SIZE), at + id);
		asm volatile("cli" : : : "memory");
		guest_value(at);
	}
}

static void halt_always(u64 arg)
{
	for (;;)
		asm volatile("sti\nhlt" : : : "memory");
}

static void *run_always(void *arg)
{
	struct vcpu *vcpu = arg;

	while (!READ_ONCE(stop)) {
		if (vcpu_run(vcpu) == EBADF)
			break;
		vcpu->complete = vcpu->run->exit.flags & LODGE_EXIT_F_COMPLETE;
	}
	return NULL;
}

/* ------------------------------------------------------------------ SIGKILL */

static void disturb(struct vm *vm, struct vcpu *const *vcpu, u8 *mem)
{
	struct lodge_vcpu_state s = {};
	u64 page = fuzz_random() % NR_PAGES;

	switch (fuzz_random() % 8) {
	case 0:
		madvise(mem + page * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED);
		break;
	case 1:
		vm_try_unmap(vm, GPA_TEST + page * PAGE_SIZE, PAGE_SIZE);
		break;
	case 2:
		vm_try_map(vm, GPA_TEST + page * PAGE_SIZE, mem + page * PAGE_SIZE,
			   PAGE_SIZE, 0);
		break;
	case 3:
		vcpu_try_get(vcpu[page % NR_VCPUS], &s, LODGE_STATE_SHARED);
		break;
	case 4:
		vcpu_kick(vcpu[page % NR_VCPUS]);
		break;
	case 5:
		vm_pause(vm);
		vm_resume(vm);
		break;
	case 6:
		vm_try_msi(vm, APIC_BASE_ADDR, 0x40);
		break;
	case 7:
		vcpu_nmi(vcpu[page % NR_VCPUS]);
		break;
	}
}

/* VMs one after another, until somebody ends it. */
static void live(u64 seed)
{
	struct vcpu *vcpu[NR_VCPUS];
	pthread_t thread[NR_VCPUS];
	struct vm *vm;
	u8 *mem;
	int i, n;

	fuzz_seed(seed);
	for (;;) {
		WRITE_ONCE(stop, 0);
		vm = vm_create();
		mem = vm_ram(vm, GPA_TEST, NR_PAGES * PAGE_SIZE);
		for (i = 0; i < NR_VCPUS; i++) {
			vcpu[i] = vcpu_create_at(vm, i, fuzz_random() % 4 ? write_all :
						 halt_always, i);
			thread[i] = spawn(run_always, vcpu[i]);
		}
		for (n = fuzz_random() % 200; n; n--)
			disturb(vm, vcpu, mem);
		WRITE_ONCE(stop, 1);
		for (i = 0; i < NR_VCPUS; i++) {
			vcpu_kick(vcpu[i]);
			join(thread[i]);
			vcpu_destroy(vcpu[i]);
		}
		vm_destroy(vm);
		munmap(mem, NR_PAGES * PAGE_SIZE);
	}
}

FIXTURE(end)
{
	long refs;
};

FIXTURE_SETUP(end)
{
	self->refs = read_number(REFCOUNT);
}

FIXTURE_TEARDOWN(end)
{
	wait_until(read_number(REFCOUNT) == self->refs);
	guest_simple(say_done, 0);
}

TEST_F_TIMEOUT(end, killed, 3000)
{
	u64 n = fuzz_rounds(20);
	u32 delay;
	int status;
	pid_t pid;

	/* From the very beginning to well after the guests run. */
	for (; n; n--) {
		delay = fuzz_random() % (1 << (8 + n % 8));
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid)
			live(n);
		usleep(delay);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFSIGNALED(status));
		ASSERT_EQ(SIGKILL, WTERMSIG(status));
	}
}

/* ---------------------------------------------------------- files in any order */

enum {
	END_DEVICE,
	END_VM,
	END_VCPU,
	END_MAPPING = END_VCPU + NR_VCPUS,
	NR_ENDS = END_MAPPING + NR_VCPUS,
};

struct whole {
	int dev;
	struct vm *vm;
	struct vcpu *vcpu[NR_VCPUS];
	pthread_t thread[NR_VCPUS];
};

static void end_one(struct whole *w, int what)
{
	if (what == END_DEVICE)
		close(w->dev);
	else if (what == END_VM)
		close(w->vm->fd);
	else if (what < END_MAPPING)
		close(w->vcpu[what - END_VCPU]->fd);
	else
		munmap(w->vcpu[what - END_MAPPING]->run, device_info()->run_size);
}

/* The @nth order of @list, of all there are. */
static void order(int *list, int nr, u64 nth)
{
	int i, j, t;

	for (i = nr - 1; i > 0; i--) {
		j = nth % (i + 1);
		nth /= i + 1;
		t = list[i];
		list[i] = list[j];
		list[j] = t;
	}
}

/* In a process of its own: its threads run guests with what is closed. */
static void close_all(u64 nth)
{
	int ends[NR_ENDS], i, nr = 0;
	struct whole w = { .dev = device_open(), .vm = vm_create() };

	vm_ram(w.vm, GPA_TEST, NR_PAGES * PAGE_SIZE);
	for (i = 0; i < NR_VCPUS; i++) {
		w.vcpu[i] = vcpu_create_at(w.vm, i, write_all, i);
		/* The thread looks at the page: with one, the page goes last, by exit. */
		if (!(nth & 1))
			w.thread[i] = spawn(run_always, w.vcpu[i]);
	}
	for (i = 0; i < NR_ENDS; i++)
		if (nth & 1 || i < END_MAPPING)
			ends[nr++] = i;
	order(ends, nr, nth / 2);
	for (i = 0; i < nr; i++)
		end_one(&w, ends[i]);
	_exit(0);
}

TEST_F_TIMEOUT(end, closed, 3000)
{
	u64 nr = fuzz_rounds(20), n;
	int status;
	pid_t pid;

	for (n = 0; n < nr; n++) {
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid)
			/* A number without common divisor: all orders come. */
			close_all(n * 397);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFEXITED(status));
		ASSERT_EQ(0, WEXITSTATUS(status));
	}
}

TEST_HARNESS_MAIN
