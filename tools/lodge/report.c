// SPDX-License-Identifier: GPL-2.0
/*
 * What is printed when a guest comes to a bad end: what happened in words, the
 * registers, and the code at RIP.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "complain.h"
#include "report.h"

/* Bytes of code shown before and from RIP. */
#define CODE_BEFORE	16
#define CODE_AFTER	32

static void line(const char *fmt, ...) __printf(1, 2);

static void line(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

/* --- what happened ------------------------------------------------------------ */

static void explain_pio(const struct lodge_exit *e)
{
	bool in = e->pio.flags & LODGE_PIO_IN;

	if (e->pio.flags & LODGE_PIO_STRING)
		complain("the guest used %s%s on port %#x, which lodge does not emulate",
			 e->pio.flags & LODGE_PIO_REP ? "REP " : "", in ? "INS" : "OUTS",
			 e->pio.port);
	else
		complain("the guest's %s on port %#x cannot be completed", in ? "IN" : "OUT",
			 e->pio.port);
}

static void explain_mmio(const struct lodge_exit *e)
{
	if (e->mmio.flags & LODGE_MMIO_FETCH)
		complain("the guest executes code at physical address %#llx, where no memory is",
			 e->mmio.gpa);
	else
		complain("the guest %s physical address %#llx, where no memory is, by %s",
			 e->mmio.flags & LODGE_MMIO_WRITE ? "writes to" : "reads from",
			 e->mmio.gpa, "an instruction that lodge does not emulate");
}

static void explain_unhandled(const struct vcpu *v)
{
	const struct lodge_exit *e = v->exit;

	switch (e->reason) {
	case LODGE_EXIT_PIO:
		return explain_pio(e);
	case LODGE_EXIT_MMIO:
		return explain_mmio(e);
	case LODGE_EXIT_UNHANDLED:
		return v->backend->explain(v);
	default:
		complain("the module reports an exit this program does not know: %u", e->reason);
	}
}

static void explain_fail_entry(const struct lodge_exit *e)
{
	complain("the CPU refused to enter the guest: %.*s", (int)sizeof(e->fail.text),
		 e->fail.text[0] ? e->fail.text : "no reason given");
	line("  exit reason %#x, instruction error %u, qualification %#llx", e->fail.hw_reason,
	     e->fail.insn_error, e->fail.qualification);
}

static void explain_mem_fault(const struct lodge_exit *e)
{
	complain("the host cannot provide the memory behind the guest's physical address %#llx: %s",
		 e->mem.gpa, strerror(e->mem.error));
	line("  %s, host address %#llx",
	     e->mem.flags & LODGE_GVA_WRITE ? "write" :
	     e->mem.flags & LODGE_GVA_EXEC ? "instruction fetch" : "read", e->mem.hva);
}

/* --- registers ------------------------------------------------------------------- */

static void show_gprs(const struct lodge_gprs *g)
{
	static const char names[16][4] = {
		"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8 ", "r9 ", "r10", "r11", "r12", "r13", "r14", "r15",
	};

	line("  rip %016llx  rflags %016llx", g->rip, g->rflags);
	for (int i = 0; i < 16; i += 4)
		line("  %s %016llx  %s %016llx  %s %016llx  %s %016llx",
		     names[i], g->reg[i], names[i + 1], g->reg[i + 1],
		     names[i + 2], g->reg[i + 2], names[i + 3], g->reg[i + 3]);
}

static void show_sregs(const struct lodge_sregs *s)
{
	static const char names[LODGE_NR_SEGS][4] = {
		"es ", "cs ", "ss ", "ds ", "fs ", "gs ", "ldt", "tr ",
	};

	for (int i = 0; i < LODGE_NR_SEGS; i++)
		line("  %s %04x  base %016llx  limit %08x  attributes %04x%s", names[i],
		     s->seg[i].selector, s->seg[i].base, s->seg[i].limit, s->seg[i].attrs,
		     s->seg[i].unusable ? "  unusable" : "");
	line("  gdt       base %016llx  limit %08x", s->gdt.base, s->gdt.limit);
	line("  idt       base %016llx  limit %08x", s->idt.base, s->idt.limit);
}

static void show_control(const struct lodge_vcpu_state *s)
{
	static const char *const mp[] = { "running", "halted", "waiting for SIPI" };
	const struct lodge_events *ev = &s->events;

	line("  cr0 %016llx  cr2 %016llx  cr3 %016llx  cr4 %016llx",
	     s->crs.cr0, s->crs.cr2, s->crs.cr3, s->crs.cr4);
	line("  cr8 %016llx  efer %016llx  xcr0 %016llx", s->crs.cr8, s->crs.efer, s->crs.xcr0);
	line("  dr6 %016llx  dr7 %016llx", s->drs.dr6, s->drs.dr7);
	line("  %s, event flags %#x",
	     ev->mp_state < ARRAY_SIZE(mp) ? mp[ev->mp_state] : "in an unknown state", ev->flags);
	if (ev->flags & LODGE_EV_EVENT)
		line("  event on its way: vector %u, type %u, error code %#x",
		     ev->event_vector, ev->event_type, ev->event_code);
}

/* --- code -------------------------------------------------------------------------- */

/* The byte at a linear address; -1 when it is not in RAM or the guest cannot see it. */
static int code_byte(struct machine *m, const struct vcpu *v, u64 gva)
{
	const u8 *p;
	u64 gpa;

	if (v->backend->translate(v, gva, &gpa))
		return -1;
	p = ram_ptr(&m->ram, gpa, 1);
	return p ? *p : -1;
}

/* A line of bytes, the one at RIP in <>, unreadable ones as ??. */
static void show_code(struct machine *m, const struct vcpu *v, const struct lodge_vcpu_state *s)
{
	bool long_mode = s->crs.efer & BIT(10) && s->sregs.seg[LODGE_SEG_CS].attrs & BIT(13);
	u64 base = long_mode ? 0 : s->sregs.seg[LODGE_SEG_CS].base;

	fputs("  code", stderr);
	for (int i = -CODE_BEFORE; i < CODE_AFTER; i++) {
		int byte = code_byte(m, v, base + s->gprs.rip + i);

		fputs(i ? " " : " <", stderr);
		if (byte < 0)
			fputs("??", stderr);
		else
			fprintf(stderr, "%02x", byte);
		if (!i)
			fputc('>', stderr);
	}
	fputc('\n', stderr);
}

static void show_exit_code(const struct lodge_exit *e)
{
	if (!(e->flags & LODGE_EXIT_F_BYTES))
		return;
	fputs("  instruction", stderr);
	for (unsigned int i = 0; i < e->insn_bytes && i < sizeof(e->insn); i++)
		fprintf(stderr, " %02x", e->insn[i]);
	fputc('\n', stderr);
}

static void show_vcpu(struct machine *m, const struct vcpu *v)
{
	const struct lodge_exit *e = v->exit;
	struct lodge_vcpu_state s;

	line("vCPU %u, exit number %llu:", v->id, e->seq);
	if (v->backend->get_state(v, &s, LODGE_STATE_SHARED)) {
		line("  its registers cannot be read");
		return;
	}
	show_gprs(&s.gprs);
	show_sregs(&s.sregs);
	show_control(&s);
	show_exit_code(e);
	show_code(m, v, &s);
}

void report_end(struct machine *m)
{
	const struct vcpu *v = m->end_vcpu;

	if (!v)
		return;
	switch (m->end) {
	case END_TRIPLE_FAULT:
		complain("the guest shut down by a triple fault");
		break;
	case END_UNHANDLED:
		explain_unhandled(v);
		break;
	case END_FAIL_ENTRY:
		explain_fail_entry(v->exit);
		break;
	case END_MEM_FAULT:
		explain_mem_fault(v->exit);
		break;
	case END_HOST:
		complain("the module cannot run vCPU %u: %s", v->id, strerror(v->error));
		break;
	default:
		return;
	}
	show_vcpu(m, v);
}
