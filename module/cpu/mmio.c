// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions that touch memory which is not RAM: decoded, served here when
 * they mean the local APIC or an eventfd, else handed to user space and finished
 * when its answer comes.
 *
 * Nothing is guessed. What the decoder does not know, an access that crosses a
 * page, a MOVS with both operands outside RAM: they leave undecoded, with the
 * bytes. A string instruction goes one element at a time, and stays on itself
 * while its count lasts, so that interrupts come in between as on hardware.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "../exit.h"
#include "../lodge.h"

/* An operand of at most 8 bytes touches at most two pages. */
#define OPERAND_PAGES	2

static u64 width_mask(u32 width)
{
	return width >= 8 ? ~0ull : (1ull << (8 * width)) - 1;
}

/* ---------------------------------------------------------------- registers */

/*
 * Write a register as an instruction of this operand size does: 32 bits clear
 * the upper half, fewer leave the rest alone (SDM 1 3.4.1.1).
 */
static void write_reg(struct lodge_vcpu *vcpu, int reg, u32 width, u64 value)
{
	u64 mask = width_mask(width);

	value &= mask;
	if (width < 4)
		value |= lodge_reg_read(vcpu, reg) & ~mask;
	lodge_reg_write(vcpu, reg, value);
}

/* Apart, so that a store does not pay for what it needs. */
static noinline void load_reg(struct lodge_vcpu *vcpu, const struct lodge_insn *insn, u64 data)
{
	u32 shift = 64 - 8 * insn->width;

	if (insn->high_byte) {
		u64 old = lodge_reg_read(vcpu, insn->reg) & ~0xff00ull;

		lodge_reg_write(vcpu, insn->reg, old | (data & 0xff) << 8);
		return;
	}
	data &= width_mask(insn->width);
	if (insn->extend == LODGE_EXTEND_SIGN)
		data = (u64)((s64)(data << shift) >> shift);
	write_reg(vcpu, insn->reg, insn->reg_width, data);
}

/* ------------------------------------------------------------------ strings */

/* The linear address of a string operand: SDM 1 3.3.7 and 3.4.2.1. */
static gva_t string_gva(struct lodge_vcpu *vcpu, const struct lodge_insn *insn, int reg, int seg)
{
	u64 offset = lodge_reg_read(vcpu, reg) & width_mask(insn->addr_width);
	bool long_mode = lodge_code_width(vcpu) == 8;
	struct lodge_segment s;

	if (long_mode && seg != LODGE_SEG_FS && seg != LODGE_SEG_GS)
		return offset;
	vmx_segment_read(vcpu, seg, &s);
	return long_mode ? s.base + offset : (u32)(s.base + offset);
}

static gva_t string_source(struct lodge_vcpu *vcpu, const struct lodge_insn *insn)
{
	return string_gva(vcpu, insn, LODGE_RSI, insn->seg);
}

static gva_t string_dest(struct lodge_vcpu *vcpu, const struct lodge_insn *insn)
{
	return string_gva(vcpu, insn, LODGE_RDI, LODGE_SEG_ES);
}

/* Move the index registers and the count; true when the instruction is done. */
static bool string_step(struct lodge_vcpu *vcpu, const struct lodge_insn *insn)
{
	bool down = lodge_rflags_read(vcpu) & X86_EFLAGS_DF;
	u64 delta = down ? -(u64)insn->width : insn->width;
	u64 count;

	if (insn->op != LODGE_INSN_STOS)
		write_reg(vcpu, LODGE_RSI, insn->addr_width,
			  lodge_reg_read(vcpu, LODGE_RSI) + delta);
	write_reg(vcpu, LODGE_RDI, insn->addr_width, lodge_reg_read(vcpu, LODGE_RDI) + delta);
	if (!insn->rep)
		return true;

	count = lodge_reg_read(vcpu, LODGE_RCX) - 1;
	write_reg(vcpu, LODGE_RCX, insn->addr_width, count);
	return !(count & width_mask(insn->addr_width));
}

/**
 * struct ram_operand - where the RAM operand of a MOVS is
 * @nr: pages it touches
 * @gpa: by page
 * @len: bytes, by page
 */
struct ram_operand {
	u32 nr;
	gpa_t gpa[OPERAND_PAGES];
	u32 len[OPERAND_PAGES];
};

static u32 data_access(struct lodge_vcpu *vcpu, u32 access)
{
	return access | (lodge_cpl(vcpu) == 3 ? LODGE_GVA_USER : 0);
}

static void inject_page_fault(struct lodge_vcpu *vcpu, gva_t gva, u32 code)
{
	vcpu->cr2 = gva;
	lodge_inject_exception(vcpu, X86_TRAP_PF, true, code);
}

/*
 * Translate an operand of @width bytes. 0; 1 when the guest got a page fault;
 * -EFAULT when it cannot be translated any other way.
 */
static int find_operand(struct lodge_vcpu *vcpu, gva_t gva, u32 width, u32 access,
			struct ram_operand *op)
{
	struct lodge_walk_fault fault;

	for (op->nr = 0; width; op->nr++) {
		u32 len = min_t(u32, width, PAGE_SIZE - offset_in_page(gva));
		int err = lodge_walk(vcpu, gva, data_access(vcpu, access), &op->gpa[op->nr],
				     &fault);

		if (err == -EFAULT) {
			inject_page_fault(vcpu, gva, fault.code);
			return 1;
		}
		if (err)
			return -EFAULT;
		op->len[op->nr] = len;
		gva += len;
		width -= len;
	}
	return 0;
}

static int read_operand(struct lodge_vcpu *vcpu, const struct ram_operand *op, u64 *data)
{
	u8 *p = (u8 *)data;
	u32 i;

	*data = 0;
	for (i = 0; i < op->nr; p += op->len[i++]) {
		if (lodge_mem_read(&vcpu->vm->mem, op->gpa[i], p, op->len[i]))
			return -EFAULT;
	}
	return 0;
}

static int write_operand(struct lodge_vcpu *vcpu, const struct ram_operand *op, u64 data)
{
	const u8 *p = (const u8 *)&data;
	u32 i;

	for (i = 0; i < op->nr; p += op->len[i++]) {
		if (lodge_mem_write(&vcpu->vm->mem, op->gpa[i], p, op->len[i]))
			return -EFAULT;
	}
	return 0;
}

/*
 * Which operand of a MOVS faulted, is RAM behind the other, and what is to be
 * stored. Both are settled before the access to @gpa happens, because that may
 * have side effects and must not happen twice. Returns as find_operand(). Apart,
 * so that MOV does not pay for what this sets up.
 */
static noinline int resolve_movs(struct lodge_vcpu *vcpu, gpa_t gpa)
{
	struct lodge_insn *insn = &vcpu->pending.insn;
	u64 *data = &vcpu->pending.data;
	struct ram_operand source, dest;
	int ret;

	lodge_vcpu_settle(vcpu);
	ret = find_operand(vcpu, string_source(vcpu, insn), insn->width, 0, &source);
	if (ret)
		return ret;
	ret = find_operand(vcpu, string_dest(vcpu, insn), insn->width, LODGE_GVA_WRITE, &dest);
	if (ret)
		return ret;

	if (source.gpa[0] == gpa) {
		insn->op = LODGE_INSN_MOVS_LOAD;
		return read_operand(vcpu, &dest, data);
	}
	if (dest.gpa[0] != gpa)
		return -EFAULT;
	insn->op = LODGE_INSN_MOVS_STORE;
	return read_operand(vcpu, &source, data);
}

/* --------------------------------------------------------------- completion */

/* Apart, as resolve_movs(). */
static noinline int complete_string(struct lodge_vcpu *vcpu, const struct lodge_insn *insn,
				    u64 data)
{
	struct ram_operand dest;
	int ret;

	lodge_vcpu_settle(vcpu);
	if (insn->op == LODGE_INSN_MOVS_LOAD) {
		/* Anew: another vCPU may have changed the page tables. */
		ret = find_operand(vcpu, string_dest(vcpu, insn), insn->width, LODGE_GVA_WRITE,
				   &dest);
		if (ret > 0)
			return 0;
		if (ret || write_operand(vcpu, &dest, data))
			return -EFAULT;
	}
	if (string_step(vcpu, insn))
		lodge_skip(vcpu, insn->len);
	else
		lodge_iterate(vcpu);
	return 0;
}

/**
 * lodge_mmio_complete() - finish an instruction after its access was made
 * @vcpu: the vCPU
 * @insn: the instruction, from vcpu->pending
 * @data: what a read gave; ignored for a write
 *
 * Context: owner, loaded or pinned; may sleep, and settles then.
 * Return: 0 (the guest may have got a page fault instead); -EFAULT when the
 * RAM operand of a MOVS cannot be written: the guest stands at the instruction.
 */
int lodge_mmio_complete(struct lodge_vcpu *vcpu, const struct lodge_insn *insn, u64 data)
{
	switch (insn->op) {
	case LODGE_INSN_STORE:
	case LODGE_INSN_STORE_IMM:
		break;
	case LODGE_INSN_LOAD:
		load_reg(vcpu, insn, data);
		break;
	default:
		return complete_string(vcpu, insn, data);
	}
	lodge_skip(vcpu, insn->len);
	return 0;
}

/* ------------------------------------------------------------------ the exit */

/* Leave with what is known, @nr bytes of it, when the instruction is not understood. */
static noinline int leave_undecoded(struct lodge_vcpu *vcpu, gpa_t gpa, u32 access, int nr)
{
	struct lodge_exit *exit = lodge_exit_fill(vcpu, LODGE_EXIT_MMIO);

	vcpu->pending.reason = LODGE_EXIT_NONE;
	exit->mmio.gpa = gpa;
	if (access & EPT_ACCESS_EXEC)
		exit->mmio.flags = LODGE_MMIO_FETCH;
	else
		exit->mmio.flags = LODGE_MMIO_UNDECODED |
				   (access & EPT_ACCESS_WRITE ? LODGE_MMIO_WRITE : 0);
	if (nr > 0) {
		memcpy(exit->insn, vcpu->pending.bytes, nr);
		exit->insn_bytes = nr;
		exit->flags |= LODGE_EXIT_F_BYTES;
	}
	return LODGE_NEXT_LEAVE;
}

/* Leave with vcpu->pending as it is now. */
static int leave_decoded(struct lodge_vcpu *vcpu, gpa_t gpa, bool stores)
{
	struct lodge_pending_io *pending = &vcpu->pending;
	const struct lodge_insn *insn = &pending->insn;
	struct lodge_exit *exit;

	exit = lodge_exit_fill_insn(vcpu, LODGE_EXIT_MMIO, insn->len,
				    LODGE_EXIT_F_BYTES | LODGE_EXIT_F_COMPLETE);
	/* In two words; what follows the instruction is the guest's as well. */
	memcpy(exit->insn, pending->bytes, sizeof(exit->insn));
	exit->insn_bytes = insn->len;
	exit->mmio.gpa = gpa;
	exit->mmio.width = insn->width;
	exit->mmio.flags = stores ? LODGE_MMIO_WRITE : 0;
	exit->mmio.data = stores ? pending->data & width_mask(insn->width) : 0;

	pending->reason = LODGE_EXIT_MMIO;
	pending->insn_len = insn->len;
	return LODGE_NEXT_LEAVE;
}

/* What a MOV stores. */
static u64 mov_data(struct lodge_vcpu *vcpu, const struct lodge_insn *insn)
{
	if (insn->op == LODGE_INSN_STORE_IMM)
		return insn->imm;
	return lodge_reg_read(vcpu, insn->reg) >> (insn->high_byte ? 8 : 0);
}

/*
 * Which way the instruction goes, and what it stores, into vcpu->pending. Returns
 * as find_operand(); for a MOVS all has to be found out first.
 */
static int resolve_operands(struct lodge_vcpu *vcpu, gpa_t gpa, bool *stores)
{
	struct lodge_pending_io *pending = &vcpu->pending;
	const struct lodge_insn *insn = &pending->insn;
	int ret = 0;

	*stores = true;
	switch (insn->op) {
	case LODGE_INSN_LOAD:
		*stores = false;
		break;
	case LODGE_INSN_STORE:
	case LODGE_INSN_STORE_IMM:
		pending->data = mov_data(vcpu, insn);
		break;
	case LODGE_INSN_STOS:
		pending->data = lodge_reg_read(vcpu, LODGE_RAX);
		break;
	default:
		ret = resolve_movs(vcpu, gpa);
		*stores = insn->op == LODGE_INSN_MOVS_STORE;
	}
	return ret;
}

static int serve_lapic(struct lodge_vcpu *vcpu, gpa_t gpa, bool stores)
{
	const struct lodge_insn *insn = &vcpu->pending.insn;
	u64 *data = &vcpu->pending.data;
	u32 offset = gpa & (LAPIC_MMIO_SIZE - 1);

	vcpu->vmx.recheck = true;	/* an interrupt may have become due */
	if (stores)
		lapic_mmio_write(vcpu, offset, insn->width, *data & width_mask(insn->width));
	else
		lapic_mmio_read(vcpu, offset, insn->width, data);
	return lodge_mmio_complete(vcpu, insn, *data);
}

/* Is it a write that an eventfd stands for? Then that is signalled. */
static enum lodge_signalled write_signals(struct lodge_vcpu *vcpu, const struct lodge_insn *insn,
					  gpa_t gpa, u64 data)
{
	struct lodge_signals *signals = &vcpu->vm->signals;

	if (!lodge_ioeventfd_any(signals, LODGE_SPACE_MMIO))
		return LODGE_SIGNALLED_NOBODY;
	return lodge_ioeventfd_signal(signals, LODGE_SPACE_MMIO, gpa, insn->width,
				      data & width_mask(insn->width));
}

/**
 * lodge_mmio_exit() - handle a guest access to memory that is not RAM
 * @vcpu: the vCPU
 * @gpa: guest-physical address of the access
 * @access: EPT_ACCESS_*
 *
 * The access must be an operand of the instruction at RIP: the caller sends
 * elsewhere what the CPU did on its own, walking page tables or delivering an
 * event.
 *
 * Context: owner, loaded or pinned; may sleep, and settles then.
 * Return: LODGE_NEXT_*; with LEAVE the exit is filled.
 */
int lodge_mmio_exit(struct lodge_vcpu *vcpu, gpa_t gpa, u32 access)
{
	struct lodge_memo *memo = lodge_memo_begin(vcpu, lodge_memo_of(vcpu->memos, gpa));
	struct lodge_insn *insn = &vcpu->pending.insn;
	u8 *bytes = vcpu->pending.bytes;
	bool stores;
	int nr, ret;
	u32 width;

	if (access & EPT_ACCESS_EXEC)
		return leave_undecoded(vcpu, gpa, access, 0);

	width = lodge_code_width(vcpu);
	nr = lodge_code_fetch(vcpu, width, bytes, LODGE_INSN_MAX, memo);
	if (nr < 0 || lodge_decode(bytes, nr, width, insn) ||
	    offset_in_page(gpa) + insn->width > PAGE_SIZE)
		return leave_undecoded(vcpu, gpa, access, nr);

	ret = resolve_operands(vcpu, gpa, &stores);
	if (ret > 0)
		return LODGE_NEXT_ENTER;

	/* A direction that the instruction does not have: it was not its access. */
	if (ret || stores != !!(access & EPT_ACCESS_WRITE))
		return leave_undecoded(vcpu, gpa, access, nr);

	if (unlikely(lapic_mmio_here(vcpu, gpa))) {
		if (serve_lapic(vcpu, gpa, stores))
			return leave_undecoded(vcpu, gpa, access, nr);
		return LODGE_NEXT_ENTER;
	}
	if (memo && insn->op <= LODGE_INSN_STORE_IMM)
		lodge_memo_make(vcpu, memo, gpa, access);
	if (stores && write_signals(vcpu, insn, gpa, vcpu->pending.data)) {
		lodge_mmio_complete(vcpu, insn, 0);	/* of a write it cannot fail */
		return LODGE_NEXT_ENTER;
	}
	return leave_decoded(vcpu, gpa, stores);
}

/**
 * lodge_mmio_again() - lodge_mmio_exit() for an instruction that was decoded before
 * @vcpu: the vCPU
 * @memo: a memo for @gpa's page; learns of an eventfd that is signalled
 * @gpa: guest-physical address of the access
 * @access: EPT_ACCESS_*
 *
 * Context: owner, loaded or pinned; does not sleep.
 * Return: LODGE_NEXT_*; with LEAVE the exit is filled. -EAGAIN when it is another
 * instruction, or needs more.
 */
int lodge_mmio_again(struct lodge_vcpu *vcpu, struct lodge_memo *memo, gpa_t gpa, u32 access)
{
	struct lodge_pending_io *pending = &vcpu->pending;
	bool stores = memo->insn.op != LODGE_INSN_LOAD;
	enum lodge_signalled signalled;
	u64 data = 0;

	if (!lodge_memo_holds(vcpu, memo, access) || lapic_mmio_here(vcpu, gpa) ||
	    offset_in_page(gpa) + memo->insn.width > PAGE_SIZE)
		return -EAGAIN;
	if (stores) {
		data = mov_data(vcpu, &memo->insn);
		signalled = write_signals(vcpu, &memo->insn, gpa, data);
		if (signalled) {
			if (signalled == LODGE_SIGNALLED_ANY)
				memo->bell = gpa;
			lodge_skip(vcpu, memo->insn.len);
			return LODGE_NEXT_ENTER;
		}
	}
	pending->insn = memo->insn;
	memcpy(pending->bytes, memo->bytes, sizeof(pending->bytes));
	pending->data = data;
	return leave_decoded(vcpu, gpa, stores);
}
