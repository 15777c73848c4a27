// SPDX-License-Identifier: GPL-2.0
/*
 * The ABI is for keeps: numbers, sizes and places of everything that user space
 * sees, written down a second time, and the rules of sizes and tails that every
 * call follows. A row here changes only when a structure grows at its end.
 */
#include <kunit/test.h>
#include <linux/errno.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "../lodge.h"
#include "suites.h"

/* ------------------------------------------------------------------- layout */

enum row_kind { ROW_CALL, ROW_DATA, ROW_VARIANT, ROW_MEMBER };

/**
 * struct layout_row - a structure, or a member of the one above it
 * @kind: CALL: the argument of an ioctl; DATA: another structure; VARIANT: a
 *	member of the union that ends the structure above; MEMBER
 * @name: for people
 * @size: its size
 * @align: what its type has to be aligned to
 * @at: its offset
 * @want: what @size (structure) or @at (member) has always been
 */
struct layout_row {
	enum row_kind kind;
	const char *name;
	size_t size, align, at, want;
};

#define CALL(s, want)							\
	{ ROW_CALL, #s, sizeof(struct s), __alignof__(struct s), 0, want }
#define DATA(s, want)							\
	{ ROW_DATA, #s, sizeof(struct s), __alignof__(struct s), 0, want }
#define VARIANT(s, m)							\
	{ ROW_VARIANT, #s "." #m, sizeof_field(struct s, m),		\
	  __alignof__(((struct s *)0)->m), offsetof(struct s, m), offsetof(struct s, m) }
#define M(s, m, want)							\
	{ ROW_MEMBER, #s "." #m, sizeof_field(struct s, m),		\
	  __alignof__(((struct s *)0)->m), offsetof(struct s, m), want }

static const struct layout_row layout[] = {
	CALL(lodge_info, 96),
	M(lodge_info, size, 0),
	M(lodge_info, flags, 4),
	M(lodge_info, features, 8),
	M(lodge_info, mitigations, 16),
	M(lodge_info, status, 24),
	M(lodge_info, max_vcpus, 28),
	M(lodge_info, run_size, 32),
	M(lodge_info, fpu_size, 36),
	M(lodge_info, gpa_bits, 40),
	M(lodge_info, tsc_khz, 44),
	M(lodge_info, max_regions, 48),
	M(lodge_info, reserved, 52),
	M(lodge_info, owner, 56),
	M(lodge_info, max_routes, 88),
	M(lodge_info, max_ioeventfds, 92),

	DATA(lodge_cpuid_entry, 32),
	M(lodge_cpuid_entry, leaf, 0),
	M(lodge_cpuid_entry, subleaf, 4),
	M(lodge_cpuid_entry, flags, 8),
	M(lodge_cpuid_entry, eax, 12),
	M(lodge_cpuid_entry, ebx, 16),
	M(lodge_cpuid_entry, ecx, 20),
	M(lodge_cpuid_entry, edx, 24),
	M(lodge_cpuid_entry, reserved, 28),

	CALL(lodge_cpuid, 24),
	M(lodge_cpuid, size, 0),
	M(lodge_cpuid, flags, 4),
	M(lodge_cpuid, entries, 8),
	M(lodge_cpuid, nr, 16),
	M(lodge_cpuid, bad, 20),

	CALL(lodge_msr_list, 24),
	M(lodge_msr_list, size, 0),
	M(lodge_msr_list, flags, 4),
	M(lodge_msr_list, indices, 8),
	M(lodge_msr_list, nr, 16),
	M(lodge_msr_list, reserved, 20),

	CALL(lodge_create_vm, 8),
	M(lodge_create_vm, size, 0),
	M(lodge_create_vm, flags, 4),

	CALL(lodge_create_vcpu, 16),
	M(lodge_create_vcpu, size, 0),
	M(lodge_create_vcpu, flags, 4),
	M(lodge_create_vcpu, id, 8),
	M(lodge_create_vcpu, reserved, 12),

	DATA(lodge_mem_op, 32),
	M(lodge_mem_op, op, 0),
	M(lodge_mem_op, flags, 4),
	M(lodge_mem_op, gpa, 8),
	M(lodge_mem_op, len, 16),
	M(lodge_mem_op, hva, 24),

	CALL(lodge_mem_update, 24),
	M(lodge_mem_update, size, 0),
	M(lodge_mem_update, flags, 4),
	M(lodge_mem_update, ops, 8),
	M(lodge_mem_update, nr, 16),
	M(lodge_mem_update, bad, 20),

	DATA(lodge_mem_region, 32),
	M(lodge_mem_region, gpa, 0),
	M(lodge_mem_region, len, 8),
	M(lodge_mem_region, hva, 16),
	M(lodge_mem_region, flags, 24),
	M(lodge_mem_region, reserved, 28),

	CALL(lodge_mem_query, 24),
	M(lodge_mem_query, size, 0),
	M(lodge_mem_query, flags, 4),
	M(lodge_mem_query, regions, 8),
	M(lodge_mem_query, nr, 16),
	M(lodge_mem_query, reserved, 20),

	CALL(lodge_clock, 32),
	M(lodge_clock, size, 0),
	M(lodge_clock, flags, 4),
	M(lodge_clock, guest_ns, 8),
	M(lodge_clock, host_ns, 16),
	M(lodge_clock, host_tsc, 24),

	CALL(lodge_msi, 24),
	M(lodge_msi, size, 0),
	M(lodge_msi, flags, 4),
	M(lodge_msi, address, 8),
	M(lodge_msi, data, 16),
	M(lodge_msi, reserved, 20),

	DATA(lodge_route, 24),
	M(lodge_route, id, 0),
	M(lodge_route, flags, 4),
	M(lodge_route, address, 8),
	M(lodge_route, data, 16),
	M(lodge_route, reserved, 20),

	CALL(lodge_irqfd, 24),
	M(lodge_irqfd, size, 0),
	M(lodge_irqfd, flags, 4),
	M(lodge_irqfd, fd, 8),
	M(lodge_irqfd, route, 12),
	M(lodge_irqfd, resample_fd, 16),
	M(lodge_irqfd, reserved, 20),

	CALL(lodge_ioeventfd, 32),
	M(lodge_ioeventfd, size, 0),
	M(lodge_ioeventfd, flags, 4),
	M(lodge_ioeventfd, addr, 8),
	M(lodge_ioeventfd, datamatch, 16),
	M(lodge_ioeventfd, len, 24),
	M(lodge_ioeventfd, fd, 28),

	CALL(lodge_irq_routes, 24),
	M(lodge_irq_routes, size, 0),
	M(lodge_irq_routes, flags, 4),
	M(lodge_irq_routes, routes, 8),
	M(lodge_irq_routes, nr, 16),
	M(lodge_irq_routes, bad, 20),

	DATA(lodge_gprs, 144),
	M(lodge_gprs, reg, 0),
	M(lodge_gprs, rip, 128),
	M(lodge_gprs, rflags, 136),

	DATA(lodge_segment, 24),
	M(lodge_segment, base, 0),
	M(lodge_segment, limit, 8),
	M(lodge_segment, selector, 12),
	M(lodge_segment, attrs, 14),
	M(lodge_segment, unusable, 16),
	M(lodge_segment, reserved, 20),

	DATA(lodge_table, 16),
	M(lodge_table, base, 0),
	M(lodge_table, limit, 8),
	M(lodge_table, reserved, 12),

	DATA(lodge_sregs, 224),
	M(lodge_sregs, seg, 0),
	M(lodge_sregs, gdt, 192),
	M(lodge_sregs, idt, 208),

	DATA(lodge_crs, 88),
	M(lodge_crs, cr0, 0),
	M(lodge_crs, cr2, 8),
	M(lodge_crs, cr3, 16),
	M(lodge_crs, cr4, 24),
	M(lodge_crs, cr8, 32),
	M(lodge_crs, efer, 40),
	M(lodge_crs, xcr0, 48),
	M(lodge_crs, pdpte, 56),

	DATA(lodge_drs, 48),
	M(lodge_drs, dr, 0),
	M(lodge_drs, dr6, 32),
	M(lodge_drs, dr7, 40),

	DATA(lodge_events, 24),
	M(lodge_events, mp_state, 0),
	M(lodge_events, flags, 4),
	M(lodge_events, event_vector, 8),
	M(lodge_events, event_type, 9),
	M(lodge_events, event_insn_len, 10),
	M(lodge_events, event_code, 12),
	M(lodge_events, pending_dbg, 16),

	DATA(lodge_msr, 16),
	M(lodge_msr, index, 0),
	M(lodge_msr, reserved, 4),
	M(lodge_msr, value, 8),

	DATA(lodge_lapic, 1048),
	M(lodge_lapic, base, 0),
	M(lodge_lapic, tsc_deadline, 8),
	M(lodge_lapic, timer_ns, 16),
	M(lodge_lapic, regs, 24),

	CALL(lodge_vcpu_state, 592),
	M(lodge_vcpu_state, size, 0),
	M(lodge_vcpu_state, flags, 4),
	M(lodge_vcpu_state, groups, 8),
	M(lodge_vcpu_state, gprs, 16),
	M(lodge_vcpu_state, sregs, 160),
	M(lodge_vcpu_state, crs, 384),
	M(lodge_vcpu_state, drs, 472),
	M(lodge_vcpu_state, events, 520),
	M(lodge_vcpu_state, msrs, 544),
	M(lodge_vcpu_state, nr_msrs, 552),
	M(lodge_vcpu_state, bad_msr, 556),
	M(lodge_vcpu_state, fpu, 560),
	M(lodge_vcpu_state, fpu_size, 568),
	M(lodge_vcpu_state, reserved, 572),
	M(lodge_vcpu_state, lapic, 576),
	M(lodge_vcpu_state, bad_groups, 584),

	CALL(lodge_inject, 32),
	M(lodge_inject, size, 0),
	M(lodge_inject, flags, 4),
	M(lodge_inject, kind, 8),
	M(lodge_inject, vector, 12),
	M(lodge_inject, code, 16),
	M(lodge_inject, address, 24),

	CALL(lodge_translate, 24),
	M(lodge_translate, size, 0),
	M(lodge_translate, flags, 4),
	M(lodge_translate, gva, 8),
	M(lodge_translate, gpa, 16),

	CALL(lodge_vcpu_stats, 824),
	M(lodge_vcpu_stats, size, 0),
	M(lodge_vcpu_stats, flags, 4),
	M(lodge_vcpu_stats, exits, 8),
	M(lodge_vcpu_stats, user_exits, 16),
	M(lodge_vcpu_stats, halts, 24),
	M(lodge_vcpu_stats, injected, 32),
	M(lodge_vcpu_stats, ept_mapped, 40),
	M(lodge_vcpu_stats, guest_tsc, 48),
	M(lodge_vcpu_stats, hw, 56),

	DATA(lodge_exit, 248),
	M(lodge_exit, reason, 0),
	M(lodge_exit, flags, 4),
	M(lodge_exit, seq, 8),
	M(lodge_exit, rip, 16),
	M(lodge_exit, next_rip, 24),
	M(lodge_exit, insn_len, 32),
	M(lodge_exit, insn_bytes, 33),
	M(lodge_exit, reserved, 34),
	M(lodge_exit, insn, 40),
	M(lodge_exit, space, 56),
	VARIANT(lodge_exit, pio),
	M(lodge_exit, pio.port, 56),
	M(lodge_exit, pio.width, 58),
	M(lodge_exit, pio.flags, 60),
	M(lodge_exit, pio.data, 64),
	VARIANT(lodge_exit, mmio),
	M(lodge_exit, mmio.gpa, 56),
	M(lodge_exit, mmio.width, 64),
	M(lodge_exit, mmio.flags, 68),
	M(lodge_exit, mmio.data, 72),
	VARIANT(lodge_exit, msr),
	M(lodge_exit, msr.index, 56),
	M(lodge_exit, msr.reserved, 60),
	M(lodge_exit, msr.data, 64),
	VARIANT(lodge_exit, eoi),
	M(lodge_exit, eoi.vector, 56),
	M(lodge_exit, eoi.reserved, 60),
	VARIANT(lodge_exit, mem),
	M(lodge_exit, mem.gpa, 56),
	M(lodge_exit, mem.hva, 64),
	M(lodge_exit, mem.error, 72),
	M(lodge_exit, mem.flags, 76),
	VARIANT(lodge_exit, fail),
	M(lodge_exit, fail.hw_reason, 56),
	M(lodge_exit, fail.insn_error, 60),
	M(lodge_exit, fail.qualification, 64),
	M(lodge_exit, fail.text, 72),
	VARIANT(lodge_exit, unhandled),
	M(lodge_exit, unhandled.hw_reason, 56),
	M(lodge_exit, unhandled.intr_info, 60),
	M(lodge_exit, unhandled.qualification, 64),
	M(lodge_exit, unhandled.gpa, 72),

	CALL(lodge_run, 824),
	M(lodge_run, size, 0),
	M(lodge_run, flags, 4),
	M(lodge_run, wanted, 8),
	M(lodge_run, dirty, 16),
	M(lodge_run, valid, 24),
	M(lodge_run, data, 32),
	M(lodge_run, complete, 40),
	M(lodge_run, reserved, 44),
	M(lodge_run, exit, 48),
	M(lodge_run, gprs, 296),
	M(lodge_run, sregs, 440),
	M(lodge_run, crs, 664),
	M(lodge_run, drs, 752),
	M(lodge_run, events, 800),
};

/* The structure above a row ends where its last member does. */
static void layout_end(struct kunit *test, const struct layout_row *s, size_t next)
{
	if (!s)
		return;
	if (s->kind == ROW_VARIANT)
		KUNIT_EXPECT_EQ_MSG(test, next - s->at, s->size, "%s: a hole at its end", s->name);
	else
		KUNIT_EXPECT_EQ_MSG(test, next, s->size, "%s: a hole at its end", s->name);
}

static void abi_layout(struct kunit *test)
{
	const struct layout_row *r, *s = NULL;
	size_t next = 0;

	for (r = layout; r < layout + ARRAY_SIZE(layout); r++) {
		/* The same for a 32-bit caller, which aligns __u64 to 4 bytes. */
		KUNIT_EXPECT_EQ_MSG(test, r->at % r->align, 0, "%s: not aligned", r->name);
		if (r->kind == ROW_MEMBER) {
			KUNIT_EXPECT_EQ_MSG(test, r->at, r->want, "%s has moved", r->name);
			KUNIT_EXPECT_EQ_MSG(test, r->at, next, "%s: a hole before it", r->name);
			next = r->at + r->size;
			continue;
		}
		layout_end(test, s, next);
		s = r;
		next = r->at;
		KUNIT_EXPECT_EQ_MSG(test, r->size % 8, 0, "%s", r->name);
		if (r->kind != ROW_VARIANT)
			KUNIT_EXPECT_EQ_MSG(test, r->size, r->want, "%s", r->name);
	}
	layout_end(test, s, next);
}

static void abi_heads(struct kunit *test)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(layout); i++) {
		const struct layout_row *r = &layout[i];

		if (r->kind != ROW_CALL)
			continue;
		KUNIT_EXPECT_LE_MSG(test, r->size, PAGE_SIZE, "%s", r->name);
		KUNIT_EXPECT_STREQ_MSG(test, strchr(r[1].name, '.'), ".size", "%s", r->name);
		KUNIT_EXPECT_EQ_MSG(test, r[1].size, sizeof(u32), "%s", r->name);
		KUNIT_EXPECT_STREQ_MSG(test, strchr(r[2].name, '.'), ".flags", "%s", r->name);
		KUNIT_EXPECT_EQ_MSG(test, r[2].size, sizeof(u32), "%s", r->name);
	}
}

/* All variants of an exit begin at the same place and fit into what is reserved. */
static void abi_exit_union(struct kunit *test)
{
	u32 i, nr = 0;

	for (i = 0; i < ARRAY_SIZE(layout); i++) {
		const struct layout_row *r = &layout[i];

		if (r->kind != ROW_VARIANT)
			continue;
		nr++;
		KUNIT_EXPECT_EQ_MSG(test, r->at, offsetof(struct lodge_exit, space), "%s", r->name);
		KUNIT_EXPECT_LE_MSG(test, r->size, sizeof_field(struct lodge_exit, space), "%s",
				    r->name);
	}
	KUNIT_EXPECT_EQ(test, nr, 7u);
}

/* ------------------------------------------------------------------- numbers */

#define V(name, want)	{ #name, name, want }

struct number_row {
	const char *name;
	u64 is, want;
};

/* _IO(0xdf, nr): no direction and no size, which may grow. */
static const struct number_row call_numbers[] = {
	V(LODGE_GET_INFO, 0xdf00),
	V(LODGE_GET_SUPPORTED_CPUID, 0xdf01),
	V(LODGE_GET_SUPPORTED_MSRS, 0xdf02),
	V(LODGE_CREATE_VM, 0xdf03),
	V(LODGE_VM_CREATE_VCPU, 0xdf20),
	V(LODGE_VM_MEM_UPDATE, 0xdf21),
	V(LODGE_VM_MEM_QUERY, 0xdf22),
	V(LODGE_VM_PAUSE, 0xdf23),
	V(LODGE_VM_RESUME, 0xdf24),
	V(LODGE_VM_CLOCK_GET, 0xdf25),
	V(LODGE_VM_CLOCK_SET, 0xdf26),
	V(LODGE_VM_MSI, 0xdf27),
	V(LODGE_VM_IRQ_ROUTES, 0xdf28),
	V(LODGE_VM_IRQFD, 0xdf29),
	V(LODGE_VM_IOEVENTFD, 0xdf2a),
	V(LODGE_VCPU_RUN, 0xdf40),
	V(LODGE_VCPU_KICK, 0xdf41),
	V(LODGE_VCPU_GET_STATE, 0xdf42),
	V(LODGE_VCPU_SET_STATE, 0xdf43),
	V(LODGE_VCPU_SET_CPUID, 0xdf44),
	V(LODGE_VCPU_INJECT, 0xdf45),
	V(LODGE_VCPU_TRANSLATE, 0xdf46),
	V(LODGE_VCPU_GET_STATS, 0xdf47),
};

static const struct number_row numbers[] = {
	V(LODGE_FEATURE_EPT_1GB, 0x1), V(LODGE_FEATURE_EPT_AD, 0x2), V(LODGE_FEATURE_XSAVES, 0x4),
	V(LODGE_FEATURE_INVPCID, 0x8), V(LODGE_FEATURE_RDTSCP, 0x10), V(LODGE_FEATURE_UMIP, 0x20),
	V(LODGE_FEATURE_NOTIFY_WINDOW, 0x40), V(LODGE_FEATURE_BUS_LOCK, 0x80),
	V(LODGE_MITIGATION_L1D_FLUSH, 0x1), V(LODGE_MITIGATION_L1D_SOFTWARE, 0x2),
	V(LODGE_MITIGATION_VERW, 0x4), V(LODGE_MITIGATION_IBPB, 0x8),
	V(LODGE_MITIGATION_SPEC_CTRL, 0x10), V(LODGE_MITIGATION_RSB_FILL, 0x20),
	V(LODGE_MITIGATION_BHB_CLEAR, 0x40), V(LODGE_MITIGATION_IBPB_TO_USER, 0x80),
	V(LODGE_MITIGATION_NX_HUGE, 0x100), V(LODGE_CPUID_F_SUBLEAF, 0x1), V(LODGE_MEM_MAP, 1),
	V(LODGE_MEM_UNMAP, 2), V(LODGE_MEM_PROTECT, 3), V(LODGE_MEM_F_READONLY, 0x1),
	V(LODGE_STATE_GPRS, 0x1), V(LODGE_STATE_SREGS, 0x2), V(LODGE_STATE_CRS, 0x4),
	V(LODGE_STATE_DRS, 0x8), V(LODGE_STATE_EVENTS, 0x10), V(LODGE_STATE_MSRS, 0x20),
	V(LODGE_STATE_FPU, 0x40), V(LODGE_STATE_LAPIC, 0x80), V(LODGE_STATE_SHARED, 0x1f),
	V(LODGE_SEG_ES, 0), V(LODGE_SEG_CS, 1), V(LODGE_SEG_SS, 2), V(LODGE_SEG_DS, 3),
	V(LODGE_SEG_FS, 4), V(LODGE_SEG_GS, 5), V(LODGE_SEG_LDTR, 6), V(LODGE_SEG_TR, 7),
	V(LODGE_NR_SEGS, 8), V(LODGE_MP_RUNNABLE, 0), V(LODGE_MP_HALTED, 1),
	V(LODGE_MP_WAIT_SIPI, 2), V(LODGE_EV_STI_SHADOW, 0x1), V(LODGE_EV_SS_SHADOW, 0x2),
	V(LODGE_EV_NMI_PENDING, 0x4), V(LODGE_EV_NMI_MASKED, 0x8), V(LODGE_EV_EVENT, 0x10),
	V(LODGE_EV_EVENT_CODE, 0x20), V(LODGE_EV_NMI_QUEUED, 0x40), V(LODGE_EVENT_INTERRUPT, 0),
	V(LODGE_EVENT_NMI, 2), V(LODGE_EVENT_EXCEPTION, 3), V(LODGE_EVENT_SOFT_INT, 4),
	V(LODGE_EVENT_PRIV_TRAP, 5), V(LODGE_EVENT_SOFT_TRAP, 6), V(LODGE_INJECT_NMI, 1),
	V(LODGE_INJECT_EXCEPTION, 2), V(LODGE_INJECT_F_CODE, 0x1), V(LODGE_GVA_WRITE, 0x1),
	V(LODGE_GVA_EXEC, 0x2), V(LODGE_GVA_USER, 0x4), V(LODGE_NR_HW_EXITS, 96),
	V(LODGE_EXIT_NONE, 0), V(LODGE_EXIT_KICK, 1), V(LODGE_EXIT_SIGNAL, 2),
	V(LODGE_EXIT_HOST_WORK, 3), V(LODGE_EXIT_PAUSED, 4), V(LODGE_EXIT_PIO, 5),
	V(LODGE_EXIT_MMIO, 6), V(LODGE_EXIT_RDMSR, 7), V(LODGE_EXIT_WRMSR, 8),
	V(LODGE_EXIT_EOI, 9), V(LODGE_EXIT_SHUTDOWN, 10), V(LODGE_EXIT_MEM_FAULT, 11),
	V(LODGE_EXIT_FAIL_ENTRY, 12), V(LODGE_EXIT_UNHANDLED, 13), V(LODGE_NR_EXITS, 14),
	V(LODGE_EXIT_F_INSN, 0x1), V(LODGE_EXIT_F_BYTES, 0x2), V(LODGE_EXIT_F_COMPLETE, 0x4),
	V(LODGE_PIO_IN, 0x1), V(LODGE_PIO_STRING, 0x2), V(LODGE_PIO_REP, 0x4),
	V(LODGE_MMIO_WRITE, 0x1), V(LODGE_MMIO_UNDECODED, 0x2), V(LODGE_MMIO_FETCH, 0x4),
	V(LODGE_COMPLETE_NONE, 0), V(LODGE_COMPLETE_DONE, 1), V(LODGE_COMPLETE_FAULT, 2),
	V(LODGE_RUN_F_BYTES, 0x1), V(LODGE_MSR_USER, 0x4c4f4400), V(LODGE_NR_MSR_USER, 16),
	V(LODGE_IRQFD_F_DEASSIGN, 0x1), V(LODGE_IRQFD_F_RESAMPLE, 0x2),
	V(LODGE_IOEVENTFD_F_DEASSIGN, 0x1), V(LODGE_IOEVENTFD_F_PIO, 0x2),
	V(LODGE_IOEVENTFD_F_DATAMATCH, 0x4),
	V(LODGE_CPUID_SIGNATURE, 0x40000100),
};

static void abi_call_numbers(struct kunit *test)
{
	u32 i, j;

	for (i = 0; i < ARRAY_SIZE(call_numbers); i++) {
		KUNIT_EXPECT_EQ_MSG(test, call_numbers[i].is, call_numbers[i].want, "%s",
				    call_numbers[i].name);
		for (j = 0; j < i; j++)
			KUNIT_EXPECT_NE_MSG(test, call_numbers[i].is, call_numbers[j].is,
					    "%s and %s", call_numbers[i].name,
					    call_numbers[j].name);
	}
}

static void abi_numbers(struct kunit *test)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		KUNIT_EXPECT_EQ_MSG(test, numbers[i].is, numbers[i].want, "%s", numbers[i].name);
}

/* ---------------------------------------------------------- sizes and tails */

/*
 * Calls of the test's own behind lodge_call(), made as a user thread would: with
 * a page of user memory and an unmapped one behind it. Cases run in kthreads,
 * which borrow the mm of the thread that loads the module.
 */
static struct mm_struct *user_mm;

#define BYTES_SMALL	24u	/* handled on the stack */
#define BYTES_BIG	1024u	/* allocated */
#define FIRST_SMALL	16u	/* what they had when they were published */
#define FIRST_BIG	512u
#define CALL_ANSWER	0xa5	/* what calls fill their argument with */

enum {
	CMD_NONE = 0x100, CMD_IN, CMD_SET, CMD_OUT, CMD_OUT_BIG,
	CMD_GROWN_IN, CMD_GROWN_OUT, CMD_GROWN_BIG, CMD_UNKNOWN,
};

/**
 * struct call_log - what the calls saw and what they answer
 * @ret: the answer
 * @runs: how often one was called
 * @arg: with an argument at all
 * @unmap: when not 0, a page of user memory to take away meanwhile
 * @bytes: how the argument looked
 */
struct call_log {
	long ret;
	u32 runs;
	bool arg;
	unsigned long unmap;
	u8 bytes[BYTES_BIG];
};

static long call_run(struct call_log *log, void *arg, u32 size)
{
	log->runs++;
	log->arg = arg;
	if (log->unmap)
		vm_munmap(log->unmap, PAGE_SIZE);
	if (arg) {
		memcpy(log->bytes, arg, size);
		memset(arg, CALL_ANSWER, size);
	}
	return log->ret;
}

static long call_none(void *object, void *arg)
{
	return call_run(object, arg, 0);
}

static long call_small(void *object, void *arg)
{
	return call_run(object, arg, BYTES_SMALL);
}

static long call_big(void *object, void *arg)
{
	return call_run(object, arg, BYTES_BIG);
}

static const struct lodge_call calls[] = {
	LODGE_CALL_PLAIN(CMD_NONE, call_none),
	{ CMD_IN, BYTES_SMALL, BYTES_SMALL, LODGE_OUT_NEVER, call_small },
	{ CMD_SET, BYTES_SMALL, BYTES_SMALL, LODGE_OUT_ERRORS, call_small },
	{ CMD_OUT, BYTES_SMALL, BYTES_SMALL, LODGE_OUT_ALWAYS, call_small },
	{ CMD_OUT_BIG, BYTES_BIG, BYTES_BIG, LODGE_OUT_ALWAYS, call_big },
	{ CMD_GROWN_IN, BYTES_SMALL, FIRST_SMALL, LODGE_OUT_NEVER, call_small },
	{ CMD_GROWN_OUT, BYTES_SMALL, FIRST_SMALL, LODGE_OUT_ALWAYS, call_small },
	{ CMD_GROWN_BIG, BYTES_BIG, FIRST_BIG, LODGE_OUT_ALWAYS, call_big },
};

/**
 * struct call_row - one way to call
 * @cmd: which
 * @size: what the caller says its structure has
 * @tail: offset of a byte that is not zero in what the module does not know; 0:
 *	none. What lies behind the caller's structure is never zero
 * @answer: what the call itself says
 * @ret: what the caller gets
 * @runs: the call was made
 */
struct call_row {
	u32 cmd, size, tail;
	long answer, ret;
	bool runs;
};

static const struct call_row call_rows[] = {
	{ CMD_UNKNOWN, BYTES_SMALL, 0, 0, -ENOTTY, false },
	{ CMD_IN, BYTES_SMALL, 0, 0, 0, true },
	{ CMD_IN, BYTES_SMALL, 0, 7, 7, true },
	{ CMD_IN, BYTES_SMALL, 0, -EBUSY, -EBUSY, true },
	{ CMD_SET, BYTES_SMALL, 0, 0, 0, true },
	{ CMD_SET, BYTES_SMALL, 0, 7, 7, true },
	{ CMD_SET, BYTES_SMALL, 0, -EINVAL, -EINVAL, true },
	{ CMD_OUT, BYTES_SMALL, 0, 0, 0, true },
	{ CMD_OUT, BYTES_SMALL, 0, 7, 7, true },
	{ CMD_OUT, BYTES_SMALL, 0, -ENOSPC, -ENOSPC, true },
	{ CMD_OUT_BIG, BYTES_BIG, 0, 0, 0, true },
	{ CMD_OUT_BIG, BYTES_BIG, 0, -ENOSPC, -ENOSPC, true },
	/* Newer callers: a tail of zeros says nothing. */
	{ CMD_IN, BYTES_SMALL + 1, 0, 0, 0, true },
	{ CMD_OUT, BYTES_SMALL + 8, 0, 0, 0, true },
	{ CMD_OUT, PAGE_SIZE, 0, 0, 0, true },
	{ CMD_OUT_BIG, BYTES_BIG + 8, 0, 0, 0, true },
	{ CMD_OUT_BIG, PAGE_SIZE, 0, 0, 0, true },
	/* Any other tail asks for what is not known here. */
	{ CMD_IN, BYTES_SMALL + 1, BYTES_SMALL, 0, -E2BIG, false },
	{ CMD_IN, BYTES_SMALL + 8, BYTES_SMALL + 7, 0, -E2BIG, false },
	{ CMD_OUT, PAGE_SIZE, PAGE_SIZE - 1, 0, -E2BIG, false },
	{ CMD_OUT_BIG, BYTES_BIG + 1, BYTES_BIG, 0, -E2BIG, false },
	/* Older callers, from when the structure was shorter. */
	{ CMD_GROWN_IN, FIRST_SMALL, 0, 0, 0, true },
	{ CMD_GROWN_IN, FIRST_SMALL + 1, 0, 0, 0, true },
	{ CMD_GROWN_IN, BYTES_SMALL - 1, 0, 0, 0, true },
	{ CMD_GROWN_IN, BYTES_SMALL, 0, 0, 0, true },
	{ CMD_GROWN_OUT, FIRST_SMALL, 0, 0, 0, true },
	{ CMD_GROWN_OUT, FIRST_SMALL, 0, -ENOSPC, -ENOSPC, true },
	{ CMD_GROWN_OUT, BYTES_SMALL - 1, 0, 0, 0, true },
	{ CMD_GROWN_OUT, BYTES_SMALL, 0, 0, 0, true },
	{ CMD_GROWN_BIG, FIRST_BIG, 0, 0, 0, true },
	{ CMD_GROWN_BIG, BYTES_BIG - 8, 0, 7, 7, true },
	{ CMD_GROWN_BIG, BYTES_BIG, 0, 0, 0, true },
	/* And newer ones of the same calls. */
	{ CMD_GROWN_IN, BYTES_SMALL + 8, 0, 0, 0, true },
	{ CMD_GROWN_OUT, BYTES_SMALL + 1, 0, 0, 0, true },
	{ CMD_GROWN_BIG, PAGE_SIZE, 0, 0, 0, true },
	{ CMD_GROWN_IN, BYTES_SMALL + 8, BYTES_SMALL, 0, -E2BIG, false },
	{ CMD_GROWN_OUT, BYTES_SMALL + 1, BYTES_SMALL, 0, -E2BIG, false },
	{ CMD_GROWN_BIG, PAGE_SIZE, PAGE_SIZE - 1, 0, -E2BIG, false },
	/* More than any structure will ever have. */
	{ CMD_IN, PAGE_SIZE + 1, 0, 0, -E2BIG, false },
	{ CMD_OUT_BIG, U32_MAX, 0, 0, -E2BIG, false },
	/* Shorter than the first form of the structure. */
	{ CMD_IN, 0, 0, 0, -EINVAL, false },
	{ CMD_IN, 8, 0, 0, -EINVAL, false },
	{ CMD_OUT, BYTES_SMALL - 1, 0, 0, -EINVAL, false },
	{ CMD_OUT_BIG, BYTES_SMALL, 0, 0, -EINVAL, false },
	{ CMD_GROWN_IN, 0, 0, 0, -EINVAL, false },
	{ CMD_GROWN_IN, FIRST_SMALL - 1, 0, 0, -EINVAL, false },
	{ CMD_GROWN_OUT, FIRST_SMALL - 1, 0, 0, -EINVAL, false },
	{ CMD_GROWN_BIG, FIRST_BIG - 1, 0, 0, -EINVAL, false },
};

static u32 call_bytes(u32 cmd)
{
	return cmd == CMD_OUT_BIG || cmd == CMD_GROWN_BIG ? BYTES_BIG : BYTES_SMALL;
}

/* What the module and the caller both know of. */
static u32 call_common(const struct call_row *row)
{
	return min(row->size, call_bytes(row->cmd));
}

/* The caller's page: a pattern as far as both know it, zeros, the tail, no zeros. */
static void call_fill(const struct call_row *row, u8 *page)
{
	u32 i;

	memset(page, 0xff, PAGE_SIZE);
	memset(page, 0, min_t(u32, row->size, PAGE_SIZE));
	for (i = 0; i < call_common(row); i++)
		page[i] = i * 7 + 1;
	memcpy(page, &row->size, sizeof(row->size));
	if (row->tail)
		page[row->tail] = 1;
}

/**
 * struct call_world - where the calls are made
 * @log: their object
 * @before: the user page as it is handed in
 * @after: the same as it comes back
 */
struct call_world {
	struct call_log log;
	u8 before[PAGE_SIZE];
	u8 after[PAGE_SIZE];
};

/* Is the structure copied back? */
static bool call_answers(const struct call_row *row)
{
	if (row->cmd == CMD_SET)
		return row->answer < 0;
	return row->cmd != CMD_IN && row->cmd != CMD_GROWN_IN;
}

static void call_row_test(struct kunit *test, u32 nr, unsigned long area, struct call_world *w)
{
	const struct call_row *row = &call_rows[nr];
	u32 common = call_common(row);
	unsigned long left;
	long ret;

	memset(&w->log, 0, sizeof(w->log));
	w->log.ret = row->answer;
	call_fill(row, w->before);
	left = copy_to_user((void __user *)area, w->before, PAGE_SIZE);
	ret = lodge_call(&w->log, calls, ARRAY_SIZE(calls), row->cmd, area);
	left += copy_from_user(w->after, (void __user *)area, PAGE_SIZE);

	KUNIT_EXPECT_EQ(test, left, 0ul);
	KUNIT_EXPECT_EQ_MSG(test, ret, row->ret, "row %u", nr);
	KUNIT_EXPECT_EQ_MSG(test, w->log.runs, (u32)row->runs, "row %u", nr);
	if (row->runs) {
		KUNIT_EXPECT_EQ_MSG(test, memcmp(w->log.bytes, w->before, common), 0, "row %u", nr);
		KUNIT_EXPECT_NULL_MSG(test, memchr_inv(w->log.bytes + common, 0,
						       BYTES_BIG - common), "row %u", nr);
		if (call_answers(row))
			memset(w->before, CALL_ANSWER, common);
	}
	KUNIT_EXPECT_EQ_MSG(test, memcmp(w->after, w->before, PAGE_SIZE), 0,
			    "row %u: the caller's memory", nr);
}

/* Two pages of user memory of which only the first is there; 0: none. */
static unsigned long user_area(struct kunit *test)
{
	unsigned long area = vm_mmap(NULL, 0, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, 0);

	KUNIT_EXPECT_FALSE(test, IS_ERR_VALUE(area));
	if (IS_ERR_VALUE(area))
		return 0;
	KUNIT_EXPECT_EQ(test, vm_munmap(area + PAGE_SIZE, PAGE_SIZE), 0);
	return area;
}

static void abi_call_rules(struct kunit *test)
{
	struct call_world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);
	unsigned long area;
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, user_mm);
	KUNIT_ASSERT_NOT_NULL(test, w);
	kthread_use_mm(user_mm);
	area = user_area(test);
	if (area) {
		for (i = 0; i < ARRAY_SIZE(call_rows); i++)
			call_row_test(test, i, area, w);
		vm_munmap(area, PAGE_SIZE);
	}
	kthread_unuse_mm(user_mm);
}

/* A structure that ends where the memory ends is fine, and no byte further. */
static void expect_pointers(struct kunit *test, struct call_log *log, unsigned long area)
{
	const u32 size = BYTES_SMALL;
	const unsigned long end = area + PAGE_SIZE;
	const struct {
		unsigned long arg;
		long ret;
	} rows[] = {
		{ 0, -EFAULT },
		{ TASK_SIZE_MAX, -EFAULT },
		{ (unsigned long)log, -EFAULT },
		{ end, -EFAULT },
		{ end - 2, -EFAULT },
		{ end - 4, -EFAULT },
		{ end - size + 1, -EFAULT },
		{ end - size, 0 },
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		memset(log, 0, sizeof(*log));
		if (rows[i].arg >= area && rows[i].arg <= end - sizeof(size))
			KUNIT_EXPECT_EQ(test, put_user(size, (u32 __user *)rows[i].arg), 0);
		KUNIT_EXPECT_EQ_MSG(test, lodge_call(log, calls, ARRAY_SIZE(calls), CMD_OUT,
						     rows[i].arg), rows[i].ret, "row %u", i);
		KUNIT_EXPECT_EQ_MSG(test, log->runs, rows[i].ret ? 0u : 1u, "row %u", i);
	}

	/* An answer that cannot be given: the memory goes while the call is made. */
	log->unmap = area;
	KUNIT_EXPECT_EQ(test, put_user(size, (u32 __user *)area), 0);
	KUNIT_EXPECT_EQ(test, lodge_call(log, calls, ARRAY_SIZE(calls), CMD_OUT, area), -EFAULT);
	KUNIT_EXPECT_EQ(test, log->runs, 2u);
}

/* A call that has done something has not failed, though its memory is gone. */
static void expect_no_late_fault(struct kunit *test, struct call_log *log, unsigned long area)
{
	memset(log, 0, sizeof(*log));
	log->unmap = area;
	KUNIT_EXPECT_EQ(test, put_user(BYTES_SMALL, (u32 __user *)area), 0);
	KUNIT_EXPECT_EQ(test, lodge_call(log, calls, ARRAY_SIZE(calls), CMD_SET, area), 0l);
	KUNIT_EXPECT_EQ(test, log->runs, 1u);
}

static void abi_call_pointers(struct kunit *test)
{
	struct call_log *log = kunit_kzalloc(test, sizeof(*log), GFP_KERNEL);
	unsigned long area;

	KUNIT_ASSERT_NOT_NULL(test, user_mm);
	KUNIT_ASSERT_NOT_NULL(test, log);
	kthread_use_mm(user_mm);
	area = user_area(test);
	if (area) {
		expect_pointers(test, log, area);
		vm_munmap(area, PAGE_SIZE);
	}
	area = user_area(test);
	if (area) {
		expect_no_late_fault(test, log, area);
		vm_munmap(area, PAGE_SIZE);
	}
	kthread_unuse_mm(user_mm);
}

/* A call without a structure does not look at the pointer. */
static void abi_call_plain(struct kunit *test)
{
	struct call_log *log = kunit_kzalloc(test, sizeof(*log), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, log);
	log->ret = 3;
	KUNIT_EXPECT_EQ(test, lodge_call(log, calls, ARRAY_SIZE(calls), CMD_NONE, ~0ul), 3);
	KUNIT_EXPECT_EQ(test, log->runs, 1u);
	KUNIT_EXPECT_FALSE(test, log->arg);
	KUNIT_EXPECT_EQ(test, lodge_call(log, calls, ARRAY_SIZE(calls), CMD_UNKNOWN, ~0ul),
			-ENOTTY);
	KUNIT_EXPECT_EQ(test, lodge_call(log, calls, 0, CMD_NONE, 0), -ENOTTY);
	KUNIT_EXPECT_EQ(test, log->runs, 1u);
}

/* --------------------------------------------------------------------------- */

static int abi_suite_init(struct kunit_suite *suite)
{
	user_mm = get_task_mm(current);
	return 0;
}

static void abi_suite_exit(struct kunit_suite *suite)
{
	if (user_mm)
		mmput(user_mm);
}

static struct kunit_case abi_test_cases[] = {
	KUNIT_CASE(abi_layout),
	KUNIT_CASE(abi_heads),
	KUNIT_CASE(abi_exit_union),
	KUNIT_CASE(abi_call_numbers),
	KUNIT_CASE(abi_numbers),
	KUNIT_CASE(abi_call_rules),
	KUNIT_CASE(abi_call_pointers),
	KUNIT_CASE(abi_call_plain),
	{ }
};

struct kunit_suite lodge_abi_suite = {
	.name = "lodge_abi",
	.suite_init = abi_suite_init,
	.suite_exit = abi_suite_exit,
	.test_cases = abi_test_cases,
};
