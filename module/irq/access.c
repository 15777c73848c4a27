// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's accesses to its local APIC: one table of registers behind two
 * doors, the xAPIC page (32-bit MMIO) and the x2APIC MSRs.
 */
#include <linux/errno.h>
#include <linux/nospec.h>

#include "../lodge.h"
#include "regs.h"

#define SLOT(offset)	((offset) >> 4)

/* struct lapic_reg.access */
#define XAPIC_R		BIT(0)
#define XAPIC_W		BIT(1)
#define X2APIC_R	BIT(2)
#define X2APIC_W	BIT(3)
#define RO		(XAPIC_R | X2APIC_R)
#define WO		(XAPIC_W | X2APIC_W)
#define RW		(RO | WO)
#define XAPIC_ANY	(XAPIC_R | XAPIC_W)

#define LVT_PLAIN	(APIC_LVT_MASKED | APIC_VECTOR_MASK)
#define LVT_MODE	(LVT_PLAIN | APIC_MODE_MASK)
#define LVT_PIN		(LVT_MODE | APIC_INPUT_POLARITY | APIC_LVT_LEVEL_TRIGGER)
#define LVT_TIMER	(LVT_PLAIN | LAPIC_TIMER_MODE)
#define ICR_LOW		(APIC_DEST_ALLBUT | APIC_INT_LEVELTRIG | APIC_INT_ASSERT | \
			 APIC_DEST_LOGICAL | APIC_MODE_MASK | APIC_VECTOR_MASK)
#define SVR_BITS	(APIC_SPIV_FOCUS_DISABLED | APIC_SPIV_APIC_ENABLED | APIC_VECTOR_MASK)

/**
 * struct lapic_reg - one register
 * @access: XAPIC_* and X2APIC_*: who may do what; 0: there is no such register
 * @writable: bits a write may set; others are reserved: #GP from x2APIC,
 *	dropped from xAPIC
 * @holds: further bits it can have: read-only ones
 * @read: when the value is not just what the page has
 * @write: when storing the value is not all
 */
struct lapic_reg {
	u8 access;
	u32 writable;
	u32 holds;
	u32 (*read)(struct lapic *apic);
	void (*write)(struct lapic *apic, u32 offset, u32 value);
};

/* -------------------------------------------------------- what is not plain */

static u32 read_ppr(struct lapic *apic)
{
	return lapic_ppr(apic);
}

static void write_tpr(struct lapic *apic, u32 offset, u32 value)
{
	lapic_put(apic, offset, value);
	lapic_look(apic);
}

static void write_eoi(struct lapic *apic, u32 offset, u32 value)
{
	lapic_eoi(apic);
}

static void write_dfr(struct lapic *apic, u32 offset, u32 value)
{
	lapic_put(apic, offset, value | APIC_DFR_CLUSTER);
}

/* The ESR shows what was gathered up to the write before (SDM 3A 11.5.3). */
static void write_esr(struct lapic *apic, u32 offset, u32 value)
{
	lapic_put(apic, offset, atomic_xchg(&apic->errors, 0));
}

/* While the APIC is disabled by software, LVTs stay masked (SDM 3A 11.4.7.2). */
static u32 lvt_value(const struct lapic *apic, u32 value)
{
	return lapic_software_enabled(apic) ? value : value | APIC_LVT_MASKED;
}

static void write_lvt(struct lapic *apic, u32 offset, u32 value)
{
	lapic_put(apic, offset, lvt_value(apic, value));
}

static void write_lvtt(struct lapic *apic, u32 offset, u32 value)
{
	lapic_timer_write_lvt(apic, lvt_value(apic, value));
}

static void write_svr(struct lapic *apic, u32 offset, u32 value)
{
	u32 lvt;

	lapic_put(apic, offset, value);
	if (value & APIC_SPIV_APIC_ENABLED) {
		lapic_look(apic);
		return;
	}

	lapic_put(apic, APIC_LVTCMCI, lapic_get(apic, APIC_LVTCMCI) | APIC_LVT_MASKED);
	for (lvt = APIC_LVTT; lvt <= APIC_LVTERR; lvt += 0x10)
		lapic_put(apic, lvt, lapic_get(apic, lvt) | APIC_LVT_MASKED);
}

/* xAPIC: the low half sends. x2APIC writes both at once: see write_icr64(). */
static void write_icr(struct lapic *apic, u32 offset, u32 value)
{
	lapic_put(apic, offset, value);
	lapic_send_icr(apic, value, GET_XAPIC_DEST_FIELD(lapic_get(apic, APIC_ICR2)));
}

/* An illegal vector is the sender's error and the receiver's (SDM 3A 11.5.3). */
static void write_self_ipi(struct lapic *apic, u32 offset, u32 value)
{
	if (value < LAPIC_FIRST_VECTOR)
		lapic_error(apic, APIC_ESR_SENDILL, true);
	if (lapic_software_enabled(apic))
		lapic_raise(apic, value, false, true);
}

static void write_tmict(struct lapic *apic, u32 offset, u32 value)
{
	lapic_timer_write_count(apic, value);
}

static void write_tdcr(struct lapic *apic, u32 offset, u32 value)
{
	lapic_timer_write_divide(apic, value);
}

/* ---------------------------------------------------------------- the table */

#define LEGAL	GENMASK(31, LAPIC_FIRST_VECTOR)	/* of vectors 0 to 31 */

/* SDM 3A table 11-1 (xAPIC) and table 11-6 (x2APIC). */
static const struct lapic_reg regs[LAPIC_NR_SLOTS] = {
	[SLOT(APIC_ID)]		= { RO, 0, U32_MAX },
	[SLOT(APIC_LVR)]	= { RO, 0, U32_MAX },
	[SLOT(APIC_TASKPRI)]	= { RW, 0xff, .write = write_tpr },
	[SLOT(APIC_ARBPRI)]	= { XAPIC_R },
	[SLOT(APIC_PROCPRI)]	= { RO, 0, 0xff, .read = read_ppr },
	[SLOT(APIC_EOI)]	= { WO, .write = write_eoi },
	[SLOT(APIC_RRR)]	= { XAPIC_R },
	[SLOT(APIC_LDR)]	= { XAPIC_ANY | X2APIC_R, APIC_LDR_MASK, U32_MAX },
	[SLOT(APIC_DFR)]	= { XAPIC_ANY, GENMASK(31, 28), U32_MAX, .write = write_dfr },
	[SLOT(APIC_SPIV)]	= { RW, SVR_BITS, .write = write_svr },
	[SLOT(APIC_ISR)]	= { RO, 0, LEGAL },
	[SLOT(APIC_ISR) + 1 ... SLOT(APIC_ISR) + 7] = { RO, 0, U32_MAX },
	[SLOT(APIC_TMR)]	= { RO, 0, LEGAL },
	[SLOT(APIC_TMR) + 1 ... SLOT(APIC_TMR) + 7] = { RO, 0, U32_MAX },
	[SLOT(APIC_IRR)]	= { RO, 0, LEGAL },
	[SLOT(APIC_IRR) + 1 ... SLOT(APIC_IRR) + 7] = { RO, 0, U32_MAX },
	[SLOT(APIC_ESR)]	= { RW, 0, 0xff, .write = write_esr },
	[SLOT(APIC_LVTCMCI)]	= { RW, LVT_MODE, .write = write_lvt },
	[SLOT(APIC_ICR)]	= { RW, ICR_LOW, .write = write_icr },
	[SLOT(APIC_ICR2)]	= { XAPIC_ANY, GENMASK(31, 24) },
	[SLOT(APIC_LVTT)]	= { RW, LVT_TIMER, .write = write_lvtt },
	[SLOT(APIC_LVTTHMR)]	= { RW, LVT_MODE, .write = write_lvt },
	[SLOT(APIC_LVTPC)]	= { RW, LVT_MODE, .write = write_lvt },
	[SLOT(APIC_LVT0)]	= { RW, LVT_PIN, .write = write_lvt },
	[SLOT(APIC_LVT1)]	= { RW, LVT_PIN, .write = write_lvt },
	[SLOT(APIC_LVTERR)]	= { RW, LVT_PLAIN, .write = write_lvt },
	[SLOT(APIC_TMICT)]	= { RW, U32_MAX, .write = write_tmict },
	[SLOT(APIC_TMCCT)]	= { RO, 0, U32_MAX, .read = lapic_timer_count },
	[SLOT(APIC_TDCR)]	= { RW, APIC_TDR_DIV_1, .write = write_tdcr },
	[SLOT(APIC_SELF_IPI)]	= { X2APIC_W, APIC_VECTOR_MASK, .write = write_self_ipi },
};

/* The register at @offset if it allows any of @access, else NULL. */
static const struct lapic_reg *find_reg(u32 offset, u8 access)
{
	u32 slot = SLOT(offset);
	const struct lapic_reg *reg;

	if (slot >= LAPIC_NR_SLOTS)
		return NULL;
	reg = &regs[array_index_nospec(slot, LAPIC_NR_SLOTS)];
	return reg->access & access ? reg : NULL;
}

/* The TSC-deadline bit exists only where the guest's CPUID has it. */
static u32 guest_bits(const struct lodge_vcpu *vcpu, u32 offset, u32 bits)
{
	if (SLOT(offset) == SLOT(APIC_LVTT) && !lodge_guest_has(vcpu, GF_TSC_DEADLINE))
		bits &= ~APIC_LVT_TIMER_TSCDEADLINE;
	return bits;
}

/**
 * lapic_reg_holds() - the bits a register can have
 * @vcpu: the vCPU
 * @offset: into the register page, below 0x400, a multiple of 16
 *
 * Return: the bits; 0 when there is no such register.
 */
u32 lapic_reg_holds(const struct lodge_vcpu *vcpu, u32 offset)
{
	const struct lapic_reg *reg = find_reg(offset, RW);

	/* What is only written, EOI and self IPI, leaves nothing behind. */
	if (!reg || !(reg->access & RO))
		return 0;
	return guest_bits(vcpu, offset, reg->writable | reg->holds);
}

static u32 read_reg(struct lapic *apic, u32 offset, const struct lapic_reg *reg)
{
	return reg->read ? reg->read(apic) : lapic_get(apic, offset);
}

static void write_reg(struct lapic *apic, u32 offset, const struct lapic_reg *reg, u32 value)
{
	if (reg->write)
		reg->write(apic, offset, value);
	else
		lapic_put(apic, offset, value);
}

/* ------------------------------------------------------------------- x2APIC */

/* The ICR is one 64-bit register at offset 300h (SDM 3A 11.12.9). */
static int write_icr64(struct lapic *apic, u64 value)
{
	u32 low = value;

	if (low & ~ICR_LOW)
		return -EINVAL;
	WRITE_ONCE(*(u64 *)(apic->regs + APIC_ICR), value);
	lapic_send_icr(apic, low, value >> 32);
	return 0;
}

static const struct lapic_reg *find_msr(struct lapic *apic, u32 msr, u8 access, u32 *offset)
{
	if (lapic_mode(apic) != LAPIC_X2APIC || msr < APIC_BASE_MSR ||
	    msr >= APIC_BASE_MSR + LAPIC_NR_SLOTS)
		return NULL;
	*offset = (msr - APIC_BASE_MSR) << 4;
	return find_reg(*offset, access);
}

/**
 * lapic_msr_read() - RDMSR of an x2APIC register
 * @vcpu: the vCPU; owner
 * @msr: 0x800 to 0x8ff
 * @value: what it reads as
 *
 * Return: 0; -EINVAL for a #GP: no such register, or not in x2APIC mode.
 */
int lapic_msr_read(struct lodge_vcpu *vcpu, u32 msr, u64 *value)
{
	struct lapic *apic = &vcpu->lapic;
	const struct lapic_reg *reg;
	u32 offset;

	reg = find_msr(apic, msr, X2APIC_R, &offset);
	if (!reg)
		return -EINVAL;

	if (offset == APIC_ICR)
		*value = READ_ONCE(*(u64 *)(apic->regs + APIC_ICR));
	else
		*value = read_reg(apic, offset, reg);
	return 0;
}

/**
 * lapic_msr_write() - WRMSR of an x2APIC register
 * @vcpu: the vCPU; owner
 * @msr: 0x800 to 0x8ff
 * @value: what is written
 *
 * Return: 0; -EINVAL for a #GP: no such register, a reserved bit, or not in
 * x2APIC mode.
 */
int lapic_msr_write(struct lodge_vcpu *vcpu, u32 msr, u64 value)
{
	struct lapic *apic = &vcpu->lapic;
	const struct lapic_reg *reg;
	u32 offset;

	reg = find_msr(apic, msr, X2APIC_W, &offset);
	if (!reg)
		return -EINVAL;
	if (offset == APIC_ICR)
		return write_icr64(apic, value);
	if (value & ~(u64)guest_bits(vcpu, offset, reg->writable))
		return -EINVAL;

	write_reg(apic, offset, reg, value);
	return 0;
}

/* -------------------------------------------------------------------- xAPIC */

/**
 * lapic_mmio_here() - does this address reach the xAPIC page now
 * @vcpu: the vCPU; owner
 * @gpa: guest-physical address
 *
 * Return: true in xAPIC mode, within the page.
 */
bool lapic_mmio_here(const struct lodge_vcpu *vcpu, gpa_t gpa)
{
	return gpa - LAPIC_MMIO_BASE < LAPIC_MMIO_SIZE &&
	       lapic_mode(&vcpu->lapic) == LAPIC_XAPIC;
}

/* A reserved address is an error of its own (SDM 3A 11.5.3, ESR bit 7). */
static const struct lapic_reg *find_mmio(struct lapic *apic, u32 offset, u8 access)
{
	if (!find_reg(offset, XAPIC_ANY))
		lapic_error(apic, APIC_ESR_ILLREGA, true);
	return find_reg(offset, access);
}

/**
 * lapic_mmio_read() - read the xAPIC page
 * @vcpu: the vCPU; owner
 * @offset: into the page
 * @width: bytes: 1, 2, 4 or 8
 * @value: what it reads as
 *
 * Any read within a register's four bytes gives those bytes; one that leaves
 * them, which the SDM leaves undefined (3A 11.4.1), reads as zero.
 */
void lapic_mmio_read(struct lodge_vcpu *vcpu, u32 offset, u32 width, u64 *value)
{
	struct lapic *apic = &vcpu->lapic;
	const struct lapic_reg *reg;
	u32 byte = offset & 0xf;

	*value = 0;
	if (byte + width > 4)
		return;
	reg = find_mmio(apic, offset - byte, XAPIC_R);
	if (reg)
		*value = (read_reg(apic, offset - byte, reg) >> byte * 8) &
			 GENMASK_ULL(width * 8 - 1, 0);
}

/**
 * lapic_mmio_write() - write the xAPIC page
 * @vcpu: the vCPU; owner
 * @offset: into the page
 * @width: bytes: 1, 2, 4 or 8
 * @value: what is written
 *
 * Only an aligned 32-bit write counts (SDM 3A 11.4.1); any other is dropped.
 */
void lapic_mmio_write(struct lodge_vcpu *vcpu, u32 offset, u32 width, u64 value)
{
	struct lapic *apic = &vcpu->lapic;
	const struct lapic_reg *reg;

	if (width != 4 || offset & 0xf)
		return;
	reg = find_mmio(apic, offset, XAPIC_W);
	if (reg)
		write_reg(apic, offset, reg, value & guest_bits(vcpu, offset, reg->writable));
}
