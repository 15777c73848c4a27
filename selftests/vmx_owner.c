// SPDX-License-Identifier: GPL-2.0
/*
 * Who owns VMX: lodge while a VM exists and never else, KVM or lodge but not
 * both; and CPUs that come and go meanwhile.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <linux/kvm.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "vm.h"
#include "kselftest_harness.h"

#define PARAMETERS	"/sys/module/lodge/parameters"
#define MAX_TEXT	512
#define SKIPPED		255	/* what the harness takes as such, from a setup */

/* ------------------------------------------------------------------------- KVM */

/* modprobe: its exit status, with what it says about it in @text. */
static int modprobe(const char *const argv[], char *text)
{
	int fd[2], status;
	ssize_t n, len = 0;
	pid_t pid;

	require(!pipe2(fd, O_CLOEXEC));
	pid = fork();
	require(pid >= 0);
	if (!pid) {
		dup2(fd[1], 1);
		dup2(fd[1], 2);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(fd[1]);
	while ((n = read(fd[0], text + len, MAX_TEXT - 1 - len)) > 0)
		len += n;
	close(fd[0]);
	text[len] = '\0';
	require(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int load_kvm(char *text)
{
	const char *const argv[] = { "modprobe", "kvm_intel", NULL };

	return modprobe(argv, text);
}

static void unload_kvm(void)
{
	/* The second is left alone where it was before, or has other users. */
	module_unload("kvm_intel");
	module_unload("kvm");
}

static int try_create_vm(void)
{
	struct lodge_create_vm create = { .size = sizeof(create) };
	int dev = device_open();
	int fd = try_ioctl(dev, LODGE_CREATE_VM, &create);

	close(dev);
	return fd;
}

static struct lodge_info get_info(void)
{
	struct lodge_info info = { .size = sizeof(info) };
	int dev = device_open();

	require(!try_ioctl(dev, LODGE_GET_INFO, &info));
	close(dev);
	return info;
}

static void add_seven(u64 arg)
{
	guest_value(arg + 7);
	guest_done();
}

/* A VM of its own on @cpu, which must be there. */
static void run_there(struct __test_metadata *_metadata, int cpu)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create_at(vm, 0, add_seven, 35);

	ASSERT_TRUE(pin_to_cpu(0, cpu));
	ASSERT_EQ(42, guest_run_value(vcpu));
	guest_run_done(vcpu);
	vcpu_destroy(vcpu);
	vm_destroy(vm);
}

static void endless(u64 arg)
{
	for (;;)
		cpu_relax();
}

/* SIGKILL, with a guest inside. */
static void kill_runner(struct __test_metadata *_metadata)
{
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		vcpu_run(vcpu_create_at(vm_create(), 0, endless, 0));
		_exit(0);
	}
	usleep(20000);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));
}

static int create_kvm_vm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm;

	if (kvm < 0)
		return -errno;
	vm = try_ioctl(kvm, KVM_CREATE_VM, NULL);
	close(kvm);
	return vm;
}

FIXTURE(kvm)
{
	char text[MAX_TEXT];
	bool was_loaded;
};

FIXTURE_SETUP(kvm)
{
	self->was_loaded = module_loaded("kvm_intel");
	unload_kvm();
	if (module_loaded("kvm_intel"))
		SKIP(_exit(SKIPPED), "kvm_intel is in use");
}

FIXTURE_TEARDOWN(kvm)
{
	if (self->was_loaded)
		load_kvm(self->text);
	else
		unload_kvm();
}

static void expect_status(struct __test_metadata *_metadata, int error, const char *owner)
{
	struct lodge_info info = get_info();

	EXPECT_EQ(error, info.status);
	if (!owner) {
		EXPECT_STREQ("", info.owner);
		return;
	}
	EXPECT_NE(NULL, strstr(info.owner, owner))
		TH_LOG("owner is \"%.32s\"", info.owner);
}

/*
 * One test, because loading kvm.ko can take longer than all others together. A
 * refused modprobe of kvm_intel leaves kvm.ko behind, which does nothing by
 * itself: from there on it stays.
 */
TEST_F(kvm, one_or_the_other)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create_at(vm, 0, add_seven, 1);
	struct lodge_run *page = vcpu->run;
	int fd, cpu, i;

	ASSERT_EQ(1, online_cpus(&cpu, 1));
	ASSERT_EQ(8, guest_run_value(vcpu));

	/* A VM exists: KVM is kept out ... */
	ASSERT_NE(0, load_kvm(self->text));
	if (strstr(self->text, "not found"))
		SKIP(return, "kvm_intel cannot be loaded: %s", self->text);
	ASSERT_NE(NULL, strstr(self->text, strerror(EBUSY)))
		TH_LOG("modprobe kvm_intel: %s", self->text);
	ASSERT_FALSE(module_loaded("kvm_intel"));
	/* ... until the last of all that belongs to it is gone. */
	vm_destroy(vm);
	close(vcpu->fd);
	ASSERT_NE(0, load_kvm(self->text));
	ASSERT_NE(NULL, strstr(self->text, strerror(EBUSY)))
		TH_LOG("modprobe kvm_intel: %s", self->text);
	munmap(page, device_info()->run_size);
	free(vcpu);

	/* What has been refused keeps nobody out. */
	expect_status(_metadata, 0, NULL);
	fd = try_create_vm();
	EXPECT_GE(fd, 0);
	if (fd >= 0)
		close(fd);
	else
		module_unload("kvm");
	kill_runner(_metadata);
	for (i = 0; i < 10; i++)
		run_there(_metadata, cpu);

	/* VMX is off on every CPU: KVM can have it. */
	ASSERT_EQ(0, load_kvm(self->text))
		TH_LOG("modprobe kvm_intel: %s", self->text);
	fd = create_kvm_vm();
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-EBUSY, try_create_vm());
	expect_status(_metadata, EBUSY, "kvm");
	close(fd);
	EXPECT_EQ(-EBUSY, try_create_vm());
	expect_status(_metadata, EBUSY, "kvm");

	ASSERT_EQ(0, module_unload("kvm_intel"));
	expect_status(_metadata, 0, NULL);
	fd = try_create_vm();
	EXPECT_GE(fd, 0);
	if (fd >= 0)
		close(fd);
}

/* ---------------------------------------------------------------------- unloading */

static int try_unload(void)
{
	return syscall(SYS_delete_module, "lodge", O_NONBLOCK) ? -errno : 0;
}

#define MAX_ARGS	32
#define ARG_SIZE	512

/* The arguments that make the module what it is: "name=value" each. */
static int lodge_arguments(char (*args)[ARG_SIZE], int max)
{
	static const char *const argv[] = { "ls", PARAMETERS, NULL };
	char names[MAX_TEXT], path[128], value[ARG_SIZE / 2], *name;
	int nr = 0;

	if (modprobe(argv, names))
		return 0;
	for (name = strtok(names, "\n\t "); name && nr < max; name = strtok(NULL, "\n\t ")) {
		snprintf(path, sizeof(path), PARAMETERS "/%.40s", name);
		/* As the kernel shows text that nobody has set. */
		if (!read_text(path, value, sizeof(value)) && strcmp(value, "(null)"))
			snprintf(args[nr++], ARG_SIZE, "%.40s=%s", name, value);
	}
	return nr;
}

static int reload(char (*args)[ARG_SIZE], int nr, char *text)
{
	const char *argv[MAX_ARGS + 3] = { "modprobe", "lodge" };
	int i;

	for (i = 0; i < nr; i++)
		argv[i + 2] = args[i];
	return modprobe(argv, text);
}

TEST(unload)
{
	char args[MAX_ARGS][ARG_SIZE], text[MAX_TEXT];
	struct vcpu *vcpu;
	struct vm *vm;
	int nr, dev;

	if (read_number("/sys/module/lodge/refcnt") != 0)
		SKIP(return, "lodge is in use");
	nr = lodge_arguments(args, MAX_ARGS);

	dev = device_open();
	ASSERT_EQ(-EWOULDBLOCK, try_unload());
	close(dev);
	vm = vm_create_empty();
	ASSERT_EQ(-EWOULDBLOCK, try_unload());
	vcpu = vcpu_create(vm, 0);
	vm_destroy(vm);
	ASSERT_EQ(-EWOULDBLOCK, try_unload());
	close(vcpu->fd);
	ASSERT_EQ(-EWOULDBLOCK, try_unload());
	munmap(vcpu->run, device_info()->run_size);
	ASSERT_EQ(0, try_unload());
	ASSERT_FALSE(module_loaded("lodge"));
	ASSERT_NE(0, access("/dev/lodge", F_OK));
	ASSERT_EQ(0, reload(args, nr, text))
		TH_LOG("modprobe lodge: %s", text);
	wait_until(!access("/dev/lodge", F_OK));
	vm_destroy(vm_create_empty());
}

/* ------------------------------------------------------------------------ hotplug */

FIXTURE(hotplug)
{
	int stays, goes;	/* CPUs */
	char path[64];
};

static int set_online(const char *path, bool online)
{
	return write_text(path, online ? "1" : "0");
}

FIXTURE_SETUP(hotplug)
{
	int cpus[64], nr = online_cpus(cpus, ARRAY_SIZE(cpus));

	if (nr < 2)
		SKIP(_exit(SKIPPED), "one CPU only");
	self->stays = cpus[0];
	self->goes = cpus[nr - 1];
	snprintf(self->path, sizeof(self->path), "/sys/devices/system/cpu/cpu%d/online",
		 self->goes);
	if (set_online(self->path, false))
		SKIP(_exit(SKIPPED), "CPU %d cannot be taken offline", self->goes);
	ASSERT_EQ(0, set_online(self->path, true));
}

FIXTURE_TEARDOWN(hotplug)
{
	set_online(self->path, true);
}

static u64 laps;
static u32 stop;

static void count_laps(u64 arg)
{
	while (!READ_ONCE(stop)) {
		WRITE_ONCE(laps, laps + 1);
		guest_value(laps);
	}
	guest_done();
}

/* A VM that is idle meanwhile, its VMCS loaded on the CPU that goes. */
TEST_F(hotplug, vm_idle)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create_at(vm, 0, count_laps, 0);
	u64 lap = 0;
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(pin_to_cpu(0, self->goes));
		ASSERT_EQ(++lap, guest_run_value(vcpu));
		ASSERT_TRUE(pin_to_cpu(0, self->stays));
		ASSERT_EQ(0, set_online(self->path, false));
		ASSERT_EQ(++lap, guest_run_value(vcpu));
		ASSERT_EQ(0, set_online(self->path, true));
		ASSERT_EQ(++lap, guest_run_value(vcpu));
	}
	/* And one that goes while its VMCS was on a CPU that went. */
	ASSERT_TRUE(pin_to_cpu(0, self->goes));
	ASSERT_EQ(++lap, guest_run_value(vcpu));
	ASSERT_TRUE(pin_to_cpu(0, self->stays));
	ASSERT_EQ(0, set_online(self->path, false));
	vcpu_destroy(vcpu);
	vm_destroy(vm);
	ASSERT_EQ(0, set_online(self->path, true));
	run_there(_metadata, self->goes);
}

/* VMX is taken while the CPU is away, and on it when it comes. */
TEST_F(hotplug, vm_made_meanwhile)
{
	struct vcpu *vcpu;
	struct vm *vm;

	ASSERT_TRUE(pin_to_cpu(0, self->stays));
	ASSERT_EQ(0, set_online(self->path, false));
	vm = vm_create();
	vcpu = vcpu_create_at(vm, 0, count_laps, 0);
	ASSERT_EQ(1, guest_run_value(vcpu));
	ASSERT_EQ(0, set_online(self->path, true));
	ASSERT_TRUE(pin_to_cpu(0, self->goes));
	ASSERT_EQ(2, guest_run_value(vcpu));
	vcpu_destroy(vcpu);
	vm_destroy(vm);
	ASSERT_TRUE(pin_to_cpu(0, self->stays));
	ASSERT_EQ(0, set_online(self->path, false));
	ASSERT_EQ(0, set_online(self->path, true));
	run_there(_metadata, self->goes);
}

static void spin_laps(u64 arg)
{
	irq_on();
	while (!READ_ONCE(stop))
		WRITE_ONCE(laps, laps + 1);
	guest_done();
}

struct runner {
	struct vcpu *vcpu;
	int cpu;
};

static void *runner_fn(void *arg)
{
	struct runner *r = arg;

	require(pin_to_cpu(0, r->cpu));
	guest_run_done(r->vcpu);
	return NULL;
}

static void wait_for_laps(void)
{
	u64 seen = READ_ONCE(laps);

	wait_until(READ_ONCE(laps) != seen);
}

/* The guest is inside when its CPU goes: the host moves the thread elsewhere. */
static void go_under_guest(struct __test_metadata *_metadata, int stays, int goes,
			   const char *path, void (*guest)(u64 arg))
{
	struct vm *vm = vm_create();
	struct runner r = { vcpu_create_at(vm, 0, guest, 0), goes };
	pthread_t thread;
	int i;

	ASSERT_TRUE(pin_to_cpu(0, stays));
	thread = spawn(runner_fn, &r);
	for (i = 0; i < 3; i++) {
		wait_for_laps();
		ASSERT_EQ(0, set_online(path, false));
		wait_for_laps();
		ASSERT_EQ(0, set_online(path, true));
		wait_for_laps();
	}
	WRITE_ONCE(stop, 1);
	join(thread);
	vcpu_destroy(r.vcpu);
	vm_destroy(vm);
	run_there(_metadata, goes);
}

TEST_F(hotplug, guest_inside)
{
	go_under_guest(_metadata, self->stays, self->goes, self->path, spin_laps);
}

/* With interrupts on and halted, an interrupt is what it waits for. */
static void halted_laps(u64 arg)
{
	guest_handle(0x40, guest_count_irq);
	guest_x2apic_on();
	guest_apic_enable();
	guest_apic_write(APIC_TIMER_DIVIDE, APIC_DIVIDE_BY_1);
	guest_apic_write(APIC_LVT_TIMER, APIC_TIMER_PERIODIC | 0x40);
	guest_apic_write(APIC_TIMER_INIT, 200000);
	while (!READ_ONCE(stop)) {
		irq_wait();
		WRITE_ONCE(laps, this_guest_cpu()->interrupts[0x40]);
	}
	guest_done();
}

TEST_F(hotplug, guest_halted)
{
	go_under_guest(_metadata, self->stays, self->goes, self->path, halted_laps);
}

TEST_HARNESS_MAIN
