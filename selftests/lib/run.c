// SPDX-License-Identifier: GPL-2.0
/* Running vCPUs, listening to the guest, and showing what went wrong. */
#include <stdarg.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include "vm.h"

/* ------------------------------------------------------------------- dumps */

static const char *const exit_names[LODGE_NR_EXITS] = {
	"NONE", "KICK", "SIGNAL", "HOST_WORK", "PAUSED", "PIO", "MMIO", "RDMSR",
	"WRMSR", "EOI", "SHUTDOWN", "MEM_FAULT", "FAIL_ENTRY", "UNHANDLED",
};

static const char *const reg_names[16] = {
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
};

static const char *const seg_names[LODGE_NR_SEGS] = {
	"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr",
};

const char *exit_name(u32 reason)
{
	return reason < LODGE_NR_EXITS ? exit_names[reason] : "unknown";
}

/* What the exit says beyond its reason. */
static void dump_details(const struct lodge_exit *e)
{
	switch (e->reason) {
	case LODGE_EXIT_PIO:
		fprintf(stderr, " port 0x%x width %u flags 0x%x data 0x%llx",
			e->pio.port, e->pio.width, e->pio.flags, e->pio.data);
		break;
	case LODGE_EXIT_MMIO:
		fprintf(stderr, " gpa 0x%llx width %u flags 0x%x data 0x%llx",
			e->mmio.gpa, e->mmio.width, e->mmio.flags, e->mmio.data);
		break;
	case LODGE_EXIT_RDMSR:
	case LODGE_EXIT_WRMSR:
		fprintf(stderr, " index 0x%x data 0x%llx", e->msr.index, e->msr.data);
		break;
	case LODGE_EXIT_EOI:
		fprintf(stderr, " vector %u", e->eoi.vector);
		break;
	case LODGE_EXIT_MEM_FAULT:
		fprintf(stderr, " gpa 0x%llx hva 0x%llx error %u flags 0x%x",
			e->mem.gpa, e->mem.hva, e->mem.error, e->mem.flags);
		break;
	case LODGE_EXIT_FAIL_ENTRY:
		fprintf(stderr, " hw 0x%x insn error %u qualification 0x%llx \"%.96s\"",
			e->fail.hw_reason, e->fail.insn_error,
			e->fail.qualification, e->fail.text);
		break;
	case LODGE_EXIT_UNHANDLED:
		fprintf(stderr, " hw 0x%x intr 0x%x qualification 0x%llx gpa 0x%llx",
			e->unhandled.hw_reason, e->unhandled.intr_info,
			e->unhandled.qualification, e->unhandled.gpa);
		break;
	}
}

static void dump_exit(const struct lodge_exit *e)
{
	int i;

	fprintf(stderr, "# exit %s", exit_name(e->reason));
	dump_details(e);
	fprintf(stderr, " flags 0x%x seq %llu rip 0x%llx next 0x%llx", e->flags,
		e->seq, e->rip, e->next_rip);
	if (e->flags & LODGE_EXIT_F_BYTES) {
		fprintf(stderr, " bytes");
		for (i = 0; i < e->insn_bytes && i < 16; i++)
			fprintf(stderr, " %02x", e->insn[i]);
	}
	fprintf(stderr, "\n");
}

static void dump_registers(const struct lodge_vcpu_state *s)
{
	int i;

	fprintf(stderr, "# rip %llx rflags %llx", s->gprs.rip, s->gprs.rflags);
	for (i = 0; i < 16; i++)
		fprintf(stderr, "%s%s %llx", i % 4 ? " " : "\n# ", reg_names[i],
			s->gprs.reg[i]);
	fprintf(stderr, "\n# cr0 %llx cr2 %llx cr3 %llx cr4 %llx cr8 %llx efer %llx xcr0 %llx\n",
		s->crs.cr0, s->crs.cr2, s->crs.cr3, s->crs.cr4, s->crs.cr8,
		s->crs.efer, s->crs.xcr0);
	for (i = 0; i < LODGE_NR_SEGS; i++)
		fprintf(stderr, "# %s %x base %llx limit %x attrs %x%s\n",
			seg_names[i], s->sregs.seg[i].selector,
			s->sregs.seg[i].base, s->sregs.seg[i].limit,
			s->sregs.seg[i].attrs,
			s->sregs.seg[i].unusable ? " unusable" : "");
	fprintf(stderr, "# gdt %llx/%x idt %llx/%x mp %u events 0x%x event %u/%u\n",
		s->sregs.gdt.base, s->sregs.gdt.limit, s->sregs.idt.base,
		s->sregs.idt.limit, s->events.mp_state, s->events.flags,
		s->events.event_vector, s->events.event_type);
}

void vcpu_dump(struct vcpu *vcpu)
{
	struct lodge_vcpu_state state = {};
	int ret;

	fprintf(stderr, "# vCPU %u:\n", vcpu->id);
	dump_exit(&vcpu->run->exit);
	ret = vcpu_try_get(vcpu, &state, LODGE_STATE_SHARED);
	if (ret)
		fprintf(stderr, "# no registers: %s\n", strerror(-ret));
	else
		dump_registers(&state);
}

void vcpu_fail(struct vcpu *vcpu, const char *format, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "# %s%s", test_context_text(), *test_context_text() ? ": " : "");
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	vcpu_dump(vcpu);
	_exit(1);
}

/* ---------------------------------------------------------- the guest talks */

static void guest_failed(struct vcpu *vcpu, const struct guest_msg *msg)
{
	const char *text = (const char *)(uintptr_t)msg->arg[0];
	const char *file = (const char *)(uintptr_t)msg->arg[1];

	if (msg->nr == GUEST_CALL_FAIL)
		vcpu_fail(vcpu, "guest: %s:%llu: not so: %s", file, msg->arg[2], text);
	vcpu_fail(vcpu, "guest: %s:%llu: not so: %s (0x%llx, wanted 0x%llx)", file,
		  msg->arg[2], text, msg->arg[3], msg->arg[4]);
}

static void guest_trapped(struct vcpu *vcpu, const struct guest_msg *msg)
{
	struct guest_frame frame;
	u64 gva = msg->arg[0];

	memset(&frame, 0, sizeof(frame));
	if (vcpu->vm->low && gva + sizeof(frame) <= LOW_SIZE)
		memcpy(&frame, vcpu->vm->low + gva, sizeof(frame));
	vcpu_fail(vcpu, "guest: vector %llu error 0x%llx at 0x%llx:0x%llx rsp 0x%llx cr2 0x%llx",
		  frame.vector, frame.error, frame.cs, frame.rip, frame.rsp,
		  msg->arg[1]);
}

static struct guest_msg message_of(struct vcpu *vcpu, const struct lodge_gprs *gprs)
{
	const u64 *reg = (const u64 *)gprs->reg;
	struct guest_msg msg = {
		.nr = vcpu->run->exit.pio.data,
		.arg = { reg[7], reg[6], reg[1], reg[8], reg[9] },
	};

	return msg;
}

void guest_hear(struct vcpu *vcpu)
{
	const struct lodge_exit *exit = &vcpu->run->exit;
	struct lodge_vcpu_state state = {};
	struct guest_msg msg;

	if (exit->reason != LODGE_EXIT_PIO || exit->pio.port != GUEST_PORT ||
	    exit->pio.data < GUEST_CALL_FAIL)
		return;
	vcpu_get(vcpu, &state, LODGE_STATE_GPRS);
	msg = message_of(vcpu, &state.gprs);
	if (msg.nr == GUEST_CALL_TRAP)
		guest_trapped(vcpu, &msg);
	guest_failed(vcpu, &msg);
}

/* --------------------------------------------------------------------- RUN */

int vcpu_run(struct vcpu *vcpu)
{
	struct lodge_run *run = vcpu->run;

	if (vcpu->complete) {
		run->complete = LODGE_COMPLETE_DONE;
		vcpu->complete = false;
	}
	do {
		if (ioctl(vcpu->fd, LODGE_VCPU_RUN, NULL))
			return errno;
	} while (run->exit.reason == LODGE_EXIT_HOST_WORK);
	return 0;
}

struct lodge_exit *vcpu_run_until(struct vcpu *vcpu, u32 reason)
{
	int error = vcpu_run(vcpu);

	if (error)
		vcpu_fail(vcpu, "RUN gave %s, wanted exit %s", strerror(error),
			  exit_name(reason));
	guest_hear(vcpu);
	if (vcpu->run->exit.reason != reason)
		vcpu_fail(vcpu, "wanted exit %s", exit_name(reason));
	return &vcpu->run->exit;
}

struct lodge_exit *vcpu_run_complete(struct vcpu *vcpu, u32 reason, u64 data)
{
	struct lodge_exit *exit = vcpu_run_until(vcpu, reason);

	if (!(exit->flags & LODGE_EXIT_F_COMPLETE))
		vcpu_fail(vcpu, "exit cannot be completed");
	vcpu->run->data = data;
	vcpu->complete = true;
	return exit;
}

struct guest_msg guest_run(struct vcpu *vcpu)
{
	struct lodge_exit *exit;

	vcpu->run->wanted |= LODGE_STATE_GPRS;
	exit = vcpu_run_complete(vcpu, LODGE_EXIT_PIO, 0);
	if (exit->pio.port != GUEST_PORT || exit->pio.flags || exit->pio.width != 4)
		vcpu_fail(vcpu, "unexpected PIO");
	if (!(vcpu->run->valid & LODGE_STATE_GPRS))
		vcpu_fail(vcpu, "GPRS wanted and not valid");

	return message_of(vcpu, &vcpu->run->gprs);
}

static struct guest_msg expect_message(struct vcpu *vcpu, u32 nr)
{
	struct guest_msg msg = guest_run(vcpu);

	if (msg.nr != nr)
		vcpu_fail(vcpu, "guest said %u(0x%llx), wanted %u", msg.nr,
			  msg.arg[0], nr);
	return msg;
}

void guest_run_sync(struct vcpu *vcpu, u64 n)
{
	struct guest_msg msg = expect_message(vcpu, GUEST_CALL_SYNC);

	if (msg.arg[0] != n)
		vcpu_fail(vcpu, "guest is at sync %llu, wanted %llu", msg.arg[0], n);
}

u64 guest_run_value(struct vcpu *vcpu)
{
	return expect_message(vcpu, GUEST_CALL_VALUE).arg[0];
}

void guest_run_done(struct vcpu *vcpu)
{
	expect_message(vcpu, GUEST_CALL_DONE);
}

void guest_simple(void (*fn)(u64 arg), u64 arg)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create_at(vm, 0, fn, arg);

	guest_run_done(vcpu);
	vcpu_destroy(vcpu);
	vm_destroy(vm);
}

static void *guest_thread_fn(void *arg)
{
	guest_run_done(arg);
	return NULL;
}

pthread_t guest_thread(struct vcpu *vcpu)
{
	return spawn(guest_thread_fn, vcpu);
}

static void *async_fn(void *arg)
{
	struct async_run *run = arg;

	run->error = vcpu_run(run->vcpu);
	__atomic_store_n(&run->finished, true, __ATOMIC_RELEASE);
	return NULL;
}

void async_run(struct async_run *run, struct vcpu *vcpu)
{
	run->vcpu = vcpu;
	run->error = 0;
	run->finished = false;
	run->thread = spawn(async_fn, run);
}

int async_end(struct async_run *run)
{
	wait_until(__atomic_load_n(&run->finished, __ATOMIC_ACQUIRE));
	join(run->thread);
	return run->error;
}
