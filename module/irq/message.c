// SPDX-License-Identifier: GPL-2.0
/*
 * Messages between APICs: IPIs and MSIs, who is addressed by them, and what
 * they do to whom. SDM 3A 11.6 and 11.11.
 */
#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/nospec.h>

#include "../lodge.h"
#include "regs.h"

/* Delivery modes, as in ICR bits 10:8. */
enum {
	MODE_FIXED,
	MODE_LOWEST,
	MODE_SMI,
	MODE_RESERVED,
	MODE_NMI,
	MODE_INIT,
	MODE_SIPI,
	MODE_EXTINT,
	NR_MODES
};

/* Destination shorthands, as in ICR bits 19:18. */
enum {
	TO_DEST,
	TO_SELF,
	TO_ALL,
	TO_OTHERS,
};

/* ------------------------------------------------------- who is addressed */

static u32 broadcast_id(const struct lapic_message *msg)
{
	return msg->x2apic ? U32_MAX : 0xff;
}

/* Logical destinations in xAPIC mode: flat and cluster (SDM 3A 11.6.2.2). */
static bool matches_xapic_logical(const struct lapic *apic, u32 dest)
{
	u32 ldr = GET_APIC_LOGICAL_ID(lapic_get(apic, APIC_LDR));

	if (dest > 0xff)
		return false;
	if (lapic_get(apic, APIC_DFR) == APIC_DFR_FLAT)
		return ldr & dest;
	return lapic_get(apic, APIC_DFR) == APIC_DFR_CLUSTER &&
	       ldr >> 4 == dest >> 4 && ldr & dest & 0xf;
}

/* Logical destinations in x2APIC mode: cluster:16, set:16 (SDM 3A 11.12.10.1). */
static bool matches_x2apic_logical(const struct lapic *apic, u32 dest)
{
	u32 ldr = lapic_get(apic, APIC_LDR);

	return ldr >> 16 == dest >> 16 && ldr & dest & 0xffff;
}

static bool matches(struct lodge_vcpu *target, struct lodge_vcpu *source,
		    const struct lapic_message *msg)
{
	enum lapic_mode mode = lapic_mode(&target->lapic);

	if (mode == LAPIC_DISABLED)
		return false;
	if (msg->shorthand == TO_SELF)
		return target == source;
	if (msg->shorthand == TO_OTHERS)
		return target != source;
	if (msg->shorthand == TO_ALL || msg->dest == broadcast_id(msg))
		return true;
	if (!msg->logical)
		return target->id == msg->dest;
	if (mode == LAPIC_X2APIC)
		return matches_x2apic_logical(&target->lapic, msg->dest);
	return matches_xapic_logical(&target->lapic, msg->dest);
}

/**
 * struct targets - the vCPUs a message may reach, being walked
 * @next: the id to look at next
 * @end: the id to stop at
 *
 * Most messages name one APIC id, which is the vCPU's id: those cost no search.
 */
struct targets {
	u32 next;
	u32 end;
};

static struct targets find_targets(const struct lodge_vcpu *source,
				   const struct lapic_message *msg)
{
	u32 id = msg->dest;

	if (msg->shorthand == TO_SELF)
		id = source->id;
	else if (msg->shorthand != TO_DEST || msg->logical || id == broadcast_id(msg))
		return (struct targets){ 0, LODGE_MAX_VCPUS };

	if (id >= LODGE_MAX_VCPUS)
		return (struct targets){ 0, 0 };
	id = array_index_nospec(id, LODGE_MAX_VCPUS);
	return (struct targets){ id, id + 1 };
}

static struct lodge_vcpu *vcpu_at(struct lodge_vm *vm, u32 id)
{
	/* Pairs with the release that published it, whole. */
	return smp_load_acquire(&vm->vcpus[id]);
}

/* The next vCPU that @msg addresses, or NULL. */
static struct lodge_vcpu *next_target(struct lodge_vm *vm, struct lodge_vcpu *source,
				      const struct lapic_message *msg, struct targets *t)
{
	while (t->next < t->end) {
		struct lodge_vcpu *vcpu = vcpu_at(vm, t->next++);

		if (vcpu && matches(vcpu, source, msg))
			return vcpu;
	}
	return NULL;
}

/*
 * Lowest priority: the APIC with the lowest PPR. Equal ones share by vector, so
 * that interrupts spread and each vector stays where its cache lines are.
 */
static struct lodge_vcpu *arbitrate(struct lodge_vm *vm, struct lodge_vcpu *source,
				    const struct lapic_message *msg)
{
	struct targets t = find_targets(source, msg);
	DECLARE_BITMAP(best, LODGE_MAX_VCPUS);
	struct lodge_vcpu *vcpu;
	u32 lowest = U32_MAX;
	u32 id, skip;

	bitmap_zero(best, LODGE_MAX_VCPUS);
	while ((vcpu = next_target(vm, source, msg, &t))) {
		u32 ppr = lapic_ppr(&vcpu->lapic);

		if (!lapic_software_enabled(&vcpu->lapic) || ppr > lowest)
			continue;
		if (ppr < lowest)
			bitmap_zero(best, LODGE_MAX_VCPUS);
		lowest = ppr;
		__set_bit(vcpu->id, best);
	}
	if (bitmap_empty(best, LODGE_MAX_VCPUS))
		return NULL;

	skip = msg->vector % bitmap_weight(best, LODGE_MAX_VCPUS);
	for_each_set_bit(id, best, LODGE_MAX_VCPUS)
		if (!skip--)
			break;
	return vcpu_at(vm, id);
}

/* -------------------------------------------------------- what it does there */

static bool deliver_fixed(struct lodge_vcpu *target, const struct lapic_message *msg, bool own)
{
	if (!lapic_software_enabled(&target->lapic))
		return false;
	return lapic_raise(&target->lapic, msg->vector, msg->level, own);
}

static bool deliver_nmi(struct lodge_vcpu *target, const struct lapic_message *msg, bool own)
{
	lodge_vcpu_nmi(target);
	return true;
}

/* INIT level de-assert does nothing since the Pentium 4 (SDM 3A 11.6.1). */
static bool deliver_init(struct lodge_vcpu *target, const struct lapic_message *msg, bool own)
{
	if (msg->level && !msg->assert)
		return false;
	/* A start-up that came before means the CPU's life before. */
	clear_bit(LODGE_REQ_SIPI, &target->requests);
	lodge_vcpu_request(target, LODGE_REQ_INIT);
	return true;
}

static bool deliver_sipi(struct lodge_vcpu *target, const struct lapic_message *msg, bool own)
{
	/* The first one starts it; a second on its heels is ignored (SDM 3A 9.4.4.1). */
	if (!test_bit(LODGE_REQ_SIPI, &target->requests))
		WRITE_ONCE(target->sipi_vector, msg->vector);
	lodge_vcpu_request(target, LODGE_REQ_SIPI);
	return true;
}

/* There is no SMM and no PIC: SMI and ExtINT find nobody. */
static bool (*const deliver[NR_MODES])(struct lodge_vcpu *target,
				       const struct lapic_message *msg, bool own) = {
	[MODE_FIXED]	= deliver_fixed,
	[MODE_LOWEST]	= deliver_fixed,
	[MODE_NMI]	= deliver_nmi,
	[MODE_INIT]	= deliver_init,
	[MODE_SIPI]	= deliver_sipi,
};

/* ------------------------------------------------------------------- sending */

/* By shorthand: the delivery modes it goes with (SDM 3A table 11-3). */
static const u8 shorthand_modes[] = {
	[TO_DEST]	= 0xff,
	[TO_SELF]	= BIT(MODE_FIXED),
	[TO_ALL]	= BIT(MODE_FIXED),
	[TO_OTHERS]	= 0xff,
};

/**
 * lapic_send() - send a message to the APICs it addresses
 * @vm: their VM; the caller has a reference
 * @source: the sending vCPU; the caller is its owner. NULL: a device, which
 *	has no shorthands
 * @msg: the message
 *
 * Context: any thread, hard interrupts included; no lock needed.
 * Return: number of vCPUs that took it.
 */
int lapic_send(struct lodge_vm *vm, struct lodge_vcpu *source, const struct lapic_message *msg)
{
	u8 mode = array_index_nospec(msg->mode & 7, NR_MODES);
	struct lodge_vcpu *vcpu;
	struct targets t;
	int taken = 0;

	if (!deliver[mode] || !(shorthand_modes[msg->shorthand & 3] & BIT(mode)))
		return 0;

	if (mode == MODE_LOWEST) {
		vcpu = arbitrate(vm, source, msg);
		taken = vcpu && deliver[mode](vcpu, msg, vcpu == source);
	} else {
		t = find_targets(source, msg);
		while ((vcpu = next_target(vm, source, msg, &t)))
			taken += deliver[mode](vcpu, msg, vcpu == source);
	}
	return taken;
}

/**
 * lapic_send_icr() - the guest has written its interrupt command register
 * @apic: the sending APIC; owner
 * @low: ICR bits 31:0; reserved ones are clear
 * @dest: destination, 8 or 32 bits wide as the APIC's mode has it
 *
 * A fixed or lowest-priority IPI is edge triggered whatever bit 15 says, as on
 * every CPU since the Pentium 4 (SDM 3A 11.6.1).
 */
void lapic_send_icr(struct lapic *apic, u32 low, u32 dest)
{
	struct lapic_message msg = {
		.dest = dest,
		.vector = low & APIC_VECTOR_MASK,
		.mode = GET_APIC_DELIVERY_MODE(low),
		.logical = low & APIC_DEST_LOGICAL,
		.assert = low & APIC_INT_ASSERT,
		.x2apic = lapic_mode(apic) == LAPIC_X2APIC,
		.shorthand = (low & APIC_DEST_ALLBUT) / APIC_DEST_SELF,
	};

	msg.level = msg.mode == MODE_INIT && low & APIC_INT_LEVELTRIG;
	if (msg.mode <= MODE_LOWEST && msg.vector < LAPIC_FIRST_VECTOR)
		lapic_error(apic, APIC_ESR_SENDILL, true);
	lapic_send(apic->vcpu->vm, apic->vcpu, &msg);
}

/* MSI address and data (SDM 3A figures 11-24 and 11-25). */
#define MSI_ADDRESS_BASE	0xfee
#define MSI_ADDRESS_HINT	BIT(3)
#define MSI_ADDRESS_LOGICAL	BIT(2)
#define MSI_DATA_ASSERT		BIT(14)
#define MSI_DATA_LEVEL		BIT(15)

/**
 * lapic_msi_message() - what a message-signalled interrupt is for the APICs
 * @address: message address
 * @data: message data
 * @msg: out: the message
 *
 * With the redirection hint a logical destination stands for one of its CPUs,
 * the one of lowest priority (SDM 3A 11.11.1).
 *
 * Context: any.
 * Return: 0; -EINVAL when @address is no MSI address.
 */
int lapic_msi_message(u64 address, u32 data, struct lapic_message *msg)
{
	if (address >> 20 != MSI_ADDRESS_BASE)
		return -EINVAL;
	*msg = (struct lapic_message) {
		.dest = (address >> 12) & 0xff,
		.vector = data & APIC_VECTOR_MASK,
		.mode = GET_APIC_DELIVERY_MODE(data),
		.logical = address & MSI_ADDRESS_LOGICAL,
		.level = data & MSI_DATA_LEVEL,
		.assert = data & MSI_DATA_ASSERT,
	};
	if (address & MSI_ADDRESS_HINT && msg->logical && msg->mode == MODE_FIXED)
		msg->mode = MODE_LOWEST;
	return 0;
}

/* A level goes down without a word to the APIC; SIPIs are the CPUs' own. */
static bool device_may_send(const struct lapic_message *msg)
{
	return (!msg->level || msg->assert) && msg->mode != MODE_SIPI;
}

/**
 * lapic_message_check() - can a device's message do anything at all?
 * @msg: the message
 *
 * Context: any.
 * Return: 0; -EINVAL when no APIC in any state would take it.
 */
int lapic_message_check(const struct lapic_message *msg)
{
	if (!deliver[msg->mode & 7] || !device_may_send(msg))
		return -EINVAL;
	if (msg->mode <= MODE_LOWEST && msg->vector < LAPIC_FIRST_VECTOR)
		return -EINVAL;
	return 0;
}

/**
 * lapic_send_msi() - send a message-signalled interrupt
 * @vm: the VM; the caller has a reference
 * @address: message address
 * @data: message data
 *
 * Context: any thread, hard interrupts included; no lock needed.
 * Return: number of vCPUs that took it; -EINVAL when @address is no MSI address.
 */
int lapic_send_msi(struct lodge_vm *vm, u64 address, u32 data)
{
	struct lapic_message msg;

	if (lapic_msi_message(address, data, &msg))
		return -EINVAL;
	return device_may_send(&msg) ? lapic_send(vm, NULL, &msg) : 0;
}
