/* SPDX-License-Identifier: GPL-2.0 */
/*
 * lodge-bench: what lodge costs, in ticks of the TSC, beside what KVM costs.
 *
 * There is one table of cases and two back ends. Guests are made with the library
 * of the selftests, the same code for both. Every case checks by the counters of
 * the back end that what it timed is what it is named after.
 */
#ifndef LODGE_BENCH_H
#define LODGE_BENCH_H

#include <sys/syscall.h>

#include "vm.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* ------------------------------------------------------------------- results */

#define MAX_SAMPLES	1024

struct samples {
	u32 nr;
	double value[MAX_SAMPLES];
};

void sample(struct samples *s, double value);

/* What a case found; it travels through a pipe from the case's process. */
struct result {
	char name[40];
	char unit[16];
	double value;
	double min;
	double mean;
	u32 nr;
};

extern int result_fd;		/* where to */

/* The median of the samples, and a figure that is no sample. */
void report(const char *name, const char *unit, struct samples *s);
void report_value(const char *name, const char *unit, double value);

/* ------------------------------------------------------------------- back ends */

struct doorbell;

/* What a vCPU did; each back end knows some. */
enum count {
	COUNT_EXITS,		/* VM exits, but the host's interrupts */
	COUNT_INTERRUPTS,	/* VM exits that are the host's doing */
	COUNT_USER,		/* returns of RUN */
	COUNT_CPUID,
	COUNT_VMCALL,
	COUNT_HLT,
	COUNT_IO,
	COUNT_RDMSR,
	COUNT_WRMSR,
	COUNT_EPT,		/* EPT violations and misconfigurations */
	COUNT_MAPPED,		/* faults that ended in a new EPT entry */
	COUNT_INJECTED,		/* interrupts given to the guest */
	COUNT_L1D_FLUSH,	/* flushes of the L1 data cache before an entry */
	NR_COUNTS
};

struct counts {
	u64 known;		/* bits of enum count */
	u64 nr[NR_COUNTS];
};

/* KVM numbers a VM's regions; lodge goes by address. */
enum mem_slot {
	SLOT_LOW,
	SLOT_IMAGE,
	SLOT_TEST,
};

struct backend {
	const char *name;
	const char *module;	/* to load; NULL: none */
	struct vm *(*vm_create)(bool apic);
	void (*vm_destroy)(struct vm *vm);
	void (*map)(struct vm *vm, enum mem_slot slot, u64 gpa, void *hva, u64 len);
	void (*unmap)(struct vm *vm, enum mem_slot slot, u64 gpa, u64 len);
	struct vcpu *(*vcpu_create)(struct vm *vm, u32 id);
	void (*vcpu_destroy)(struct vcpu *vcpu);
	/* To go on in fn(arg), in long mode. */
	void (*vcpu_start)(struct vcpu *vcpu, void (*fn)(u64 arg), u64 arg);
	/*
	 * RUN until an OUT to @port, completing what else comes as a program would
	 * do at the least. Return: how often RUN came back with nothing to complete.
	 */
	u64 (*run)(struct vcpu *vcpu, u16 port);
	/* What the guest has put out there. */
	u32 (*said)(struct vcpu *vcpu);
	/* RUN that leaves at once; its ticks. */
	u64 (*run_nothing)(struct vcpu *vcpu);
	void (*regs_get)(struct vcpu *vcpu);
	void (*regs_set)(struct vcpu *vcpu);
	void (*counts)(struct vcpu *vcpu, struct counts *counts);
	void (*doorbell)(struct vm *vm, const struct doorbell *bell, int fd);
	/* @fd interrupts vCPU 0. The VM has APICs. */
	void (*irqfd)(struct vm *vm, int fd, u8 vector);
};

/* A guest's write that signals an eventfd. */
struct doorbell {
	bool pio;		/* @addr is a port */
	bool match;		/* only a write of @value */
	u64 addr;
	u32 len;		/* 0: any */
	u64 value;
};

extern const struct backend lodge_backend;
extern const struct backend kvm_backend;
/* The host alone, without any hypervisor. */
extern const struct backend host_backend;

/* -------------------------------------------------- one guest instruction, timed */

#define MAX_BATCHES	256

/* What the guest does; both sides see it. */
struct job {
	u64 arg;		/* the first operation's argument */
	u64 step;		/* added for each further one */
	u64 gap;		/* and this between batches */
	u64 batches;		/* these are timed ... */
	u64 iterations;		/* ... and have so many operations each */
	u64 ticks[MAX_BATCHES];
};

struct machine {
	const struct backend *be;
	struct vm *vm;
	struct vcpu *vcpu;
};

struct guest_case {
	void (*guest)(u64 job);
	/* Called after the VM is made, and before each round; may be NULL. */
	void (*setup)(struct machine *m);
	void (*prepare)(struct machine *m);
	/* What is done once before the timed job; as @guest if NULL. */
	void (*warm_up)(u64 job);
	struct job job;
	u32 vms;		/* VMs, one after the other, that do it; 0 is 1 */
	bool apic;		/* the guest uses its local APIC */
	bool single;		/* the guest times each operation by itself */
	u32 serves;		/* operations that one exit may serve; 0 is 1 */
	u32 per_op[NR_COUNTS];	/* what each operation counts */
	int kvm_more[NR_COUNTS];	/* ... and with KVM in addition */
};

/*
 * RUN, without what the C library's ioctl() adds: it would be in both back ends' figures.
 * Return: 0 or -errno.
 */
static __always_inline long call_run(int fd, unsigned long request)
{
	long ret = SYS_ioctl;

	asm volatile("syscall" : "+a"(ret) : "D"((long)fd), "S"(request), "d"(0l) :
		     "rcx", "r11", "memory");
	return ret;
}

/* Where a guest starts: in long mode, without SYSCALL. */
void bench_state(u32 id, void (*fn)(u64 arg), u64 arg, struct lodge_vcpu_state *s);

/* A VM with one vCPU, low memory and the program's image. */
void machine_create(struct machine *m, const struct backend *be, bool apic);
void machine_destroy(struct machine *m);
/* What the guest does next. */
void machine_job(const struct guest_case *c);
/* Runs the guest to its next guest_done(). Return: as backend.run. */
u64 machine_run(struct machine *m);

/* The guest's loop. @op is known when this is compiled, so nothing is called. */
static __always_inline void guest_measure(u64 arg, void (*op)(u64 arg))
{
	struct job *job = (struct job *)arg;
	u64 batch, i, start, next = job->arg;

	for (batch = 0; batch < job->batches; batch++) {
		start = read_tsc();
		for (i = job->iterations; i; i--) {
			op(next);
			next += job->step;
		}
		job->ticks[batch] = read_tsc() - start;
		next += job->gap;
	}
}

/* ---------------------------------------------------------- counted, not timed */

/* Instead of times, tell how often the costly instructions were executed. */
extern bool counting;

void counting_begin(const struct backend *be);
void counting_end(const char *name, const struct backend *be, u64 operations);
void report_count(const char *name, const char *what, u64 count, u64 operations);

/* ------------------------------------------------------------------ benchmarks */

struct bench {
	const char *name;	/* for the command line; results start with it */
	const char *text;
	const struct guest_case *guest;		/* this, or ... */
	void (*run)(const struct backend *be);	/* ... this */
	bool host;		/* the host alone does it too */
	bool host_only;		/* or nobody else */
	bool once;		/* takes long, or leaves traces: no second pass */
};

void run_guest_case(const struct backend *be, const struct bench *bench);

extern const struct bench host_benches[];
extern const struct bench exit_benches[];
extern const struct bench doorbell_benches[];
extern const struct bench memory_benches[];
extern const struct bench interrupt_benches[];
extern const struct bench object_benches[];
extern const struct bench whole_benches[];

/* For whole.c. */
struct boot_files {
	const char *kernel;
	const char *initrd;
};

extern struct boot_files boot_files;

/* Ticks of CPU time of this process, and of another. */
double cpu_ticks(void);
double cpu_ticks_since(double start);	/* without what the asking takes */
double cpu_ticks_of(pid_t pid);

#endif
