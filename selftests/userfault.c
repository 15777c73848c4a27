// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory that only another thread of the process can bring in
 * (userfaultfd): while somebody waits for it, that thread can still use every
 * call on the VM that it may need, and SIGKILL ends the wait.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/userfaultfd.h>

#include "vm.h"
#include "kselftest_harness.h"

#define GPA		GPA_TEST
#define GPA_OTHER	(GPA_TEST + 0x100000)
#define NR_PAGES	4
#define LEN		(NR_PAGES * PAGE_SIZE)
#define TABLE_SLOT	5
#define GVA_BEHIND	((u64)TABLE_SLOT << 39)	/* its page tables are at GPA */

FIXTURE(userfault)
{
	struct vm *vm;
	struct vcpu *vcpu;
	u8 *mem;		/* behind GPA: LEN bytes that are not there yet */
	int fd;			/* says who misses them */
};

static int userfault_open(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0)
		require(!ioctl(fd, UFFDIO_API, &api));
	return fd;
}

static u8 *missing_memory(int fd)
{
	u8 *mem = map_anon(LEN);
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)mem, .len = LEN },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	require(!ioctl(fd, UFFDIO_REGISTER, &reg));
	return mem;
}

FIXTURE_SETUP(userfault)
{
	self->fd = userfault_open();
	if (self->fd < 0)
		SKIP(return, "no userfaultfd");
	self->mem = missing_memory(self->fd);
	self->vm = vm_create();
	vm_map(self->vm, GPA, self->mem, LEN, 0);
	((u64 *)(self->vm->low + GPA_TABLES))[TABLE_SLOT] = GPA | PTE_P | PTE_W;
	self->vcpu = vcpu_create(self->vm, 0);
}

FIXTURE_TEARDOWN(userfault)
{
	if (self->fd < 0)
		return;
	vcpu_destroy(self->vcpu);
	vm_destroy(self->vm);
	close(self->fd);
}

/* Somebody waits for a page: which. */
static u8 *wait_for_fault(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	struct uffd_msg msg;

	require(poll(&ready, 1, WAIT_SECONDS * 1000) == 1);
	require(read(fd, &msg, sizeof(msg)) == sizeof(msg));
	require(msg.event == UFFD_EVENT_PAGEFAULT);
	return (u8 *)(uintptr_t)(msg.arg.pagefault.address & ~(PAGE_SIZE - 1));
}

/* A page of zeros comes in, and who waits for it goes on. */
static void give_page(int fd, u8 *page)
{
	struct uffdio_zeropage zero = {
		.range = { .start = (uintptr_t)page, .len = PAGE_SIZE },
	};

	require(!ioctl(fd, UFFDIO_ZEROPAGE, &zero));
}

/* -------------------------------------------- who may wait for the memory, and how */

static void touch(u64 addr)
{
	GUEST_EQ(READ_ONCE(*(u64 *)addr), 0);
	guest_done();
}

static void start_clock(u64 gpa)
{
	wrmsr(MSR_KVM_SYSTEM_TIME, gpa | 1);
	guest_done();
}

static void start_wall_clock(u64 gpa)
{
	wrmsr(MSR_KVM_WALL_CLOCK, gpa);
	guest_done();
}

/* The module writes what was read from a device to its place in memory. */
static void move_from_device(u64 gpa)
{
	u64 from = GPA_MMIO;

	asm volatile("movsq" : "+S"(from), "+D"(gpa) : : "memory");
	guest_done();
}

static void run_to_done(struct vcpu *vcpu)
{
	guest_run_done(vcpu);
}

static void run_over_device(struct vcpu *vcpu)
{
	vcpu_run_complete(vcpu, LODGE_EXIT_MMIO, 7);
	guest_run_done(vcpu);
}

static void translate(struct vcpu *vcpu)
{
	struct lodge_translate t = { .size = sizeof(t), .gva = GVA_BEHIND };

	require(try_ioctl(vcpu->fd, LODGE_VCPU_TRANSLATE, &t) == -ENOENT);
}

static const struct access {
	const char *name;
	void (*guest)(u64 gpa);
	void (*run)(struct vcpu *vcpu);
} accesses[] = {
	{ "guest", touch, run_to_done },
	{ "clock", start_clock, run_to_done },
	{ "wall clock", start_wall_clock, run_to_done },
	{ "string from a device", move_from_device, run_over_device },
	{ "page walk", touch, translate },
};

struct waiter {
	const struct access *access;
	struct vcpu *vcpu;
	pthread_t thread;
};

static void *waiter_fn(void *arg)
{
	struct waiter *w = arg;

	w->access->run(w->vcpu);
	return NULL;
}

/* Begins an access that meets memory which is not there. */
static void begin_access(struct waiter *w, const struct access *access, struct vcpu *vcpu)
{
	*w = (struct waiter) { .access = access, .vcpu = vcpu };
	test_context("%s", access->name);
	vcpu->complete = false;
	vcpu_start_long(vcpu, access->guest, GPA);
	w->thread = spawn(waiter_fn, w);
}

/* The thread that has the memory changes the map first, as a monitor might. */
TEST_F(userfault, change_map_meanwhile)
{
	u8 *other = map_anon(PAGE_SIZE), *page;
	struct waiter w;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(accesses); i++) {
		begin_access(&w, &accesses[i], self->vcpu);
		page = wait_for_fault(self->fd);
		ASSERT_EQ(self->mem, page);
		vm_map(self->vm, GPA_OTHER, other, PAGE_SIZE, 0);
		vm_unmap(self->vm, GPA_OTHER, PAGE_SIZE);
		give_page(self->fd, page);
		join(w.thread);
		ASSERT_EQ(0, madvise(self->mem, LEN, MADV_DONTNEED));
	}
}

/* Other memory has come to the same place: that is what the access is for. */
TEST_F(userfault, replace_meanwhile)
{
	u64 *other = map_anon(PAGE_SIZE);
	struct lodge_mem_op ops[] = {
		{ LODGE_MEM_UNMAP, 0, GPA, PAGE_SIZE, 0 },
		{ LODGE_MEM_MAP, 0, GPA, PAGE_SIZE, (uintptr_t)other },
	};
	struct waiter w;
	u32 i;

	begin_access(&w, &accesses[1], self->vcpu);
	ASSERT_EQ(self->mem, wait_for_fault(self->fd));
	ASSERT_EQ(0, vm_try_update(self->vm, ops, ARRAY_SIZE(ops), NULL));
	give_page(self->fd, self->mem);
	join(w.thread);
	ASSERT_NE(0, other[1]);
	for (i = 0; i < PAGE_SIZE; i++)
		ASSERT_EQ(0, self->mem[i]);
}

/* Nothing is at that place any more. */
TEST_F(userfault, unmap_meanwhile)
{
	struct waiter w;

	begin_access(&w, &accesses[1], self->vcpu);
	ASSERT_EQ(self->mem, wait_for_fault(self->fd));
	vm_unmap(self->vm, GPA, LEN);
	give_page(self->fd, self->mem);
	join(w.thread);
	/* So the clock is off. */
	ASSERT_EQ(GPA, vcpu_get_msr(self->vcpu, MSR_KVM_SYSTEM_TIME));
}

static void do_nothing(int sig)
{
}

/* A signal brings out a vCPU whose own access waits, and nothing is lost. */
TEST_F(userfault, signal)
{
	struct sigaction action = { .sa_handler = do_nothing };
	struct async_run run;

	sigaction(SIGUSR1, &action, NULL);
	vcpu_start_long(self->vcpu, touch, GPA);
	async_run(&run, self->vcpu);
	wait_for_fault(self->fd);
	pthread_kill(run.thread, SIGUSR1);
	ASSERT_EQ(EINTR, async_end(&run));
	ASSERT_EQ(LODGE_EXIT_SIGNAL, self->vcpu->run->exit.reason);
	give_page(self->fd, self->mem);
	guest_run_done(self->vcpu);
}

/* ------------------------------------------------------------------------- death */

/* A process of its own, one thread of which waits for memory for ever. */
static void wait_for_death(const struct access *access, u32 *waiting)
{
	struct vcpu *vcpu;
	struct waiter w;
	struct vm *vm;
	int fd = userfault_open();
	u8 *mem;

	require(fd >= 0);
	mem = missing_memory(fd);
	vm = vm_create();
	vm_map(vm, GPA, mem, LEN, 0);
	((u64 *)(vm->low + GPA_TABLES))[TABLE_SLOT] = GPA | PTE_P | PTE_W;
	vcpu = vcpu_create(vm, 0);
	begin_access(&w, access, vcpu);
	wait_for_fault(fd);
	WRITE_ONCE(*waiting, 1);
	/* And another, for the first. */
	vm_unmap(vm, GPA, LEN);
	for (;;)
		pause();
}

static bool has_died(pid_t pid, int sig)
{
	int status;

	if (waitpid(pid, &status, WNOHANG) != pid)
		return false;
	require(WIFSIGNALED(status) && WTERMSIG(status) == sig);
	return true;
}

TEST_F(userfault, sigkill)
{
	u32 *waiting = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	size_t i;

	ASSERT_NE(MAP_FAILED, waiting);
	for (i = 0; i < ARRAY_SIZE(accesses); i++) {
		WRITE_ONCE(*waiting, 0);
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid)
			wait_for_death(&accesses[i], waiting);
		wait_until(READ_ONCE(*waiting));
		usleep(10000);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		wait_until(has_died(pid, SIGKILL));
	}
}

/*
 * A process of its own in the same memory, so that it can be killed and leave all
 * the rest. It has this thread's errno, too: no call of the C library's.
 */
#define TWIN_STACK	0x10000

static int twin_run(void *arg)
{
	const struct vcpu *vcpu = arg;
	long ret;

	do {
		asm volatile("syscall" : "=a"(ret)
			     : "a"(SYS_ioctl), "D"((long)vcpu->fd), "S"(LODGE_VCPU_RUN), "d"(0L)
			     : "rcx", "r11", "memory");
	} while (!ret && vcpu->run->exit.reason == LODGE_EXIT_HOST_WORK);
	return 1;
}

static pid_t twin_start(struct vcpu *vcpu)
{
	u8 *stack = map_anon(TWIN_STACK);
	pid_t pid = clone(twin_run, stack + TWIN_STACK, CLONE_VM | CLONE_FILES | CLONE_FS | SIGCHLD,
			  vcpu);

	require(pid >= 0);
	return pid;
}

/* Who runs a vCPU is killed while it waits; the guest goes on with another. */
TEST_F(userfault, runner_killed)
{
	struct pvclock { u32 version, pad; u64 tsc; } *page = (void *)self->mem;
	pid_t pid;

	vcpu_start_long(self->vcpu, start_clock, GPA);
	pid = twin_start(self->vcpu);
	ASSERT_EQ(self->mem, wait_for_fault(self->fd));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	wait_until(has_died(pid, SIGKILL));
	give_page(self->fd, self->mem);
	guest_run_done(self->vcpu);
	ASSERT_EQ(GPA | 1, vcpu_get_msr(self->vcpu, MSR_KVM_SYSTEM_TIME));
	ASSERT_NE(0, page->tsc);
	ASSERT_EQ(0, page->version & 1);
}

static u64 ticks;
static u32 stop;

static void spin(u64 arg)
{
	irq_on();
	while (!READ_ONCE(stop))
		WRITE_ONCE(ticks, ticks + 1);
	guest_done();
}

/* The same while it has lent the vCPU to a thread that waits. */
TEST_F(userfault, lender_killed)
{
	struct waiter w = { .access = &accesses[ARRAY_SIZE(accesses) - 1], .vcpu = self->vcpu };
	pid_t pid;

	vcpu_start_long(self->vcpu, spin, 0);
	pid = twin_start(self->vcpu);
	wait_until(READ_ONCE(ticks));
	w.thread = spawn(waiter_fn, &w);
	ASSERT_EQ(self->mem, wait_for_fault(self->fd));
	/* Long enough for it to want the vCPU back. */
	usleep(20000);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	wait_until(has_died(pid, SIGKILL));
	give_page(self->fd, self->mem);
	join(w.thread);
	WRITE_ONCE(stop, 1);
	guest_run_done(self->vcpu);
}

TEST_HARNESS_MAIN
