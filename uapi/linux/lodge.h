/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The ABI of /dev/lodge: three kinds of file (device, VM, vCPU), the calls each
 * takes, and the page that a vCPU shares with the thread that runs it.
 *
 * Rules that hold for every call:
 *
 * - The argument is a pointer to a structure whose first member is @size (the
 *   caller's sizeof) and whose second is @flags. A structure may grow at its
 *   end: one as short as its first published form reads as if the rest were
 *   zero (shorter is EINVAL), a longer one is taken when what the module does
 *   not know is zero, else refused with E2BIG.
 *   Unknown flags are refused with EINVAL, and so is a reserved member that is
 *   not zero.
 * - A call that fails has changed nothing, save members marked "out".
 * - errno: ENOTTY unknown call; E2BIG unknown non-zero tail; EOPNOTSUPP known,
 *   but not on this machine; EINVAL bad value; ENOENT no such object; EBUSY in
 *   use; EINTR kicked or signalled; EFAULT bad pointer; ENOMEM; ENOSPC the
 *   caller's array is too short (its count member says what is needed); EPERM
 *   wrong process (a VM's memory is that of the process that created it);
 *   EBADF no such file descriptor;
 *   EIO the CPU refused, or is leaving VMX operation.
 * - Pointers travel as __u64. Times are nanoseconds.
 * - Every file descriptor is O_CLOEXEC and may be closed in any order; an
 *   object lives until its last descriptor, mapping and child are gone.
 */
#ifndef _UAPI_LINUX_LODGE_H
#define _UAPI_LINUX_LODGE_H

#include <linux/const.h>
#include <linux/ioctl.h>
#include <linux/types.h>

#define LODGE_IOC_TYPE		0xDF

/* Calls on /dev/lodge. */
#define LODGE_GET_INFO			_IO(LODGE_IOC_TYPE, 0x00)
#define LODGE_GET_SUPPORTED_CPUID	_IO(LODGE_IOC_TYPE, 0x01)
#define LODGE_GET_SUPPORTED_MSRS	_IO(LODGE_IOC_TYPE, 0x02)
#define LODGE_CREATE_VM			_IO(LODGE_IOC_TYPE, 0x03)

/* Calls on a VM. */
#define LODGE_VM_CREATE_VCPU		_IO(LODGE_IOC_TYPE, 0x20)
#define LODGE_VM_MEM_UPDATE		_IO(LODGE_IOC_TYPE, 0x21)
#define LODGE_VM_MEM_QUERY		_IO(LODGE_IOC_TYPE, 0x22)
#define LODGE_VM_PAUSE			_IO(LODGE_IOC_TYPE, 0x23)
#define LODGE_VM_RESUME			_IO(LODGE_IOC_TYPE, 0x24)
#define LODGE_VM_CLOCK_GET		_IO(LODGE_IOC_TYPE, 0x25)
#define LODGE_VM_CLOCK_SET		_IO(LODGE_IOC_TYPE, 0x26)
#define LODGE_VM_MSI			_IO(LODGE_IOC_TYPE, 0x27)
#define LODGE_VM_IRQ_ROUTES		_IO(LODGE_IOC_TYPE, 0x28)
#define LODGE_VM_IRQFD			_IO(LODGE_IOC_TYPE, 0x29)
#define LODGE_VM_IOEVENTFD		_IO(LODGE_IOC_TYPE, 0x2a)

/* Calls on a vCPU. */
#define LODGE_VCPU_RUN			_IO(LODGE_IOC_TYPE, 0x40)
#define LODGE_VCPU_KICK			_IO(LODGE_IOC_TYPE, 0x41)
#define LODGE_VCPU_GET_STATE		_IO(LODGE_IOC_TYPE, 0x42)
#define LODGE_VCPU_SET_STATE		_IO(LODGE_IOC_TYPE, 0x43)
#define LODGE_VCPU_SET_CPUID		_IO(LODGE_IOC_TYPE, 0x44)
#define LODGE_VCPU_INJECT		_IO(LODGE_IOC_TYPE, 0x45)
#define LODGE_VCPU_TRANSLATE		_IO(LODGE_IOC_TYPE, 0x46)
#define LODGE_VCPU_GET_STATS		_IO(LODGE_IOC_TYPE, 0x47)

/* ------------------------------------------------------------------ device */

/*
 * struct lodge_info.features: what the CPU offers and the module uses; all but
 * UMIP can be switched off by the module parameter "off".
 */
#define LODGE_FEATURE_EPT_1GB		_BITULL(0)	/* 1 GiB EPT pages */
#define LODGE_FEATURE_EPT_AD		_BITULL(1)	/* EPT accessed/dirty bits */
#define LODGE_FEATURE_XSAVES		_BITULL(2)	/* XSAVES for guests */
#define LODGE_FEATURE_INVPCID		_BITULL(3)	/* INVPCID for guests */
#define LODGE_FEATURE_RDTSCP		_BITULL(4)	/* RDTSCP for guests */
#define LODGE_FEATURE_UMIP		_BITULL(5)	/* CR4.UMIP for guests */
#define LODGE_FEATURE_NOTIFY_WINDOW	_BITULL(6)	/* notify-window exits */
#define LODGE_FEATURE_BUS_LOCK		_BITULL(7)	/* bus-lock exits */

/* struct lodge_info.mitigations: what is done around VM entry and exit. */
#define LODGE_MITIGATION_L1D_FLUSH	_BITULL(0)	/* L1TF: flush L1D before entry */
#define LODGE_MITIGATION_L1D_SOFTWARE	_BITULL(1)	/* ... by reading memory, not by MSR */
#define LODGE_MITIGATION_VERW		_BITULL(2)	/* MDS, TAA, MMIO, RFDS: clear buffers */
#define LODGE_MITIGATION_IBPB		_BITULL(3)	/* barrier between vCPUs */
#define LODGE_MITIGATION_SPEC_CTRL	_BITULL(4)	/* host's SPEC_CTRL put back at exit */
#define LODGE_MITIGATION_RSB_FILL	_BITULL(5)	/* return buffer filled at exit */
#define LODGE_MITIGATION_BHB_CLEAR	_BITULL(6)	/* branch history cleared at exit */
#define LODGE_MITIGATION_IBPB_TO_USER	_BITULL(7)	/* VMSCAPE: barrier before user mode */
#define LODGE_MITIGATION_NX_HUGE	_BITULL(8)	/* no executable huge EPT pages */

/**
 * struct lodge_info - what this machine and module offer (LODGE_GET_INFO)
 * @size: in: sizeof(struct lodge_info)
 * @flags: in: must be 0
 * @features: out: LODGE_FEATURE_* in use
 * @mitigations: out: LODGE_MITIGATION_* in force
 * @status: out: 0 when a VM can be created now, else the errno that
 *	LODGE_CREATE_VM would give (EBUSY: another hypervisor owns VMX)
 * @max_vcpus: out: vCPUs a VM may have; ids run from 0 to @max_vcpus - 1
 * @run_size: out: bytes to mmap() at offset 0 of a vCPU file
 * @fpu_size: out: bytes of a full LODGE_STATE_FPU image
 * @gpa_bits: out: guest-physical address width
 * @tsc_khz: out: rate of the guest's TSC
 * @max_regions: out: memory regions a VM may have
 * @reserved: must be 0
 * @owner: out: when @status is EBUSY, who owns VMX ("kvm", "unknown"); NUL-terminated
 * @max_routes: out: routes a VM may have; ids run from 0 to @max_routes - 1. And so
 *	many LODGE_VM_IRQFD
 * @max_ioeventfds: out: LODGE_VM_IOEVENTFD a VM may have, of ports and of addresses each
 */
struct lodge_info {
	__u32 size;
	__u32 flags;
	__u64 features;
	__u64 mitigations;
	__u32 status;
	__u32 max_vcpus;
	__u32 run_size;
	__u32 fpu_size;
	__u32 gpa_bits;
	__u32 tsc_khz;
	__u32 max_regions;
	__u32 reserved;
	char owner[32];
	__u32 max_routes;
	__u32 max_ioeventfds;
};

/* struct lodge_cpuid_entry.flags */
#define LODGE_CPUID_F_SUBLEAF	_BITUL(0)	/* @subleaf counts; else any ECX matches */

/**
 * struct lodge_cpuid_entry - the answer to one CPUID leaf
 * @leaf: EAX of the request
 * @subleaf: ECX of the request, when LODGE_CPUID_F_SUBLEAF is set
 * @flags: LODGE_CPUID_F_*
 * @eax: answer
 * @ebx: answer
 * @ecx: answer
 * @edx: answer
 * @reserved: must be 0
 */
struct lodge_cpuid_entry {
	__u32 leaf;
	__u32 subleaf;
	__u32 flags;
	__u32 eax;
	__u32 ebx;
	__u32 ecx;
	__u32 edx;
	__u32 reserved;
};

/**
 * struct lodge_cpuid - a CPUID table (LODGE_GET_SUPPORTED_CPUID, LODGE_VCPU_SET_CPUID)
 * @size: in: sizeof(struct lodge_cpuid)
 * @flags: in: must be 0
 * @entries: in: pointer to an array of struct lodge_cpuid_entry
 * @nr: in: its length; out (GET): entries filled, or needed when ENOSPC
 * @bad: out (SET, EINVAL): index of the first entry that asks for more than
 *	LODGE_GET_SUPPORTED_CPUID offers
 *
 * A leaf that has subleaves needs LODGE_CPUID_F_SUBLEAF, any other must not
 * have it. SET replaces the whole table, and the vCPU starts again from its
 * reset state; leaves not in the table read as zero. It is refused with EBUSY
 * once the vCPU has run. Bits that follow from the vCPU's state
 * (OSXSAVE, OSPKE, the APIC id, the XSAVE sizes) are kept up by the module
 * whatever the caller says. A new vCPU has the supported table.
 */
struct lodge_cpuid {
	__u32 size;
	__u32 flags;
	__u64 entries;
	__u32 nr;
	__u32 bad;
};

/**
 * struct lodge_msr_list - MSRs that hold guest state (LODGE_GET_SUPPORTED_MSRS)
 * @size: in: sizeof(struct lodge_msr_list)
 * @flags: in: must be 0
 * @indices: in: pointer to an array of __u32
 * @nr: in: its length; out: indices filled, or needed when ENOSPC
 * @reserved: must be 0
 *
 * These are the MSRs to save and restore with LODGE_STATE_MSRS. State that has
 * a group of its own (EFER, FS and GS base, the APIC) is not among them.
 */
struct lodge_msr_list {
	__u32 size;
	__u32 flags;
	__u64 indices;
	__u32 nr;
	__u32 reserved;
};

/**
 * struct lodge_create_vm - make a VM (LODGE_CREATE_VM)
 * @size: in: sizeof(struct lodge_create_vm)
 * @flags: in: must be 0
 *
 * Returns the VM's file descriptor. The first VM takes VMX on every CPU; EBUSY
 * when another hypervisor holds it (LODGE_GET_INFO names it), or KVM is there;
 * EOPNOTSUPP when a CPU lacks what the others have (the kernel's log names it).
 * The VM's memory is memory of the calling process.
 */
struct lodge_create_vm {
	__u32 size;
	__u32 flags;
};

/* ---------------------------------------------------------------------- VM */

/**
 * struct lodge_create_vcpu - make a vCPU (LODGE_VM_CREATE_VCPU)
 * @size: in: sizeof(struct lodge_create_vcpu)
 * @flags: in: must be 0
 * @id: in: its number and APIC id, below lodge_info.max_vcpus. 0 is the boot
 *	processor and starts runnable in reset state; the others wait for SIPI
 * @reserved: must be 0
 *
 * Returns the vCPU's file descriptor; EBUSY when @id exists. Closing the file
 * stops the vCPU for good, but it stays part of the VM: its id is not free again.
 */
struct lodge_create_vcpu {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 reserved;
};

/* struct lodge_mem_op.op */
#define LODGE_MEM_MAP		1	/* map where nothing is */
#define LODGE_MEM_UNMAP		2	/* unmap; every byte must be mapped */
#define LODGE_MEM_PROTECT	3	/* change flags; every byte must be mapped */

/* struct lodge_mem_op.flags, struct lodge_mem_region.flags */
#define LODGE_MEM_F_READONLY	_BITUL(0)	/* guest writes leave as LODGE_EXIT_MMIO */

/**
 * struct lodge_mem_op - one change of a VM's memory map
 * @op: LODGE_MEM_MAP, _UNMAP or _PROTECT
 * @flags: LODGE_MEM_F_*; 0 for UNMAP
 * @gpa: guest-physical start, page aligned
 * @len: bytes, page aligned, not 0
 * @hva: user address of the memory behind @gpa, page aligned (MAP; else 0)
 */
struct lodge_mem_op {
	__u32 op;
	__u32 flags;
	__u64 gpa;
	__u64 len;
	__u64 hva;
};

/**
 * struct lodge_mem_update - change a VM's memory map (LODGE_VM_MEM_UPDATE)
 * @size: in: sizeof(struct lodge_mem_update)
 * @flags: in: must be 0
 * @ops: in: pointer to an array of struct lodge_mem_op, applied in order
 * @nr: in: its length, at most 1024
 * @bad: out: when the call fails because of one operation, its index
 *
 * All or nothing: a guest sees the map before or the map after. When the call
 * returns, no vCPU can use a mapping that it took away. EBUSY: MAP over a
 * mapping; ENOENT: UNMAP or PROTECT of a hole; ENOSPC: too many regions.
 */
struct lodge_mem_update {
	__u32 size;
	__u32 flags;
	__u64 ops;
	__u32 nr;
	__u32 bad;
};

/**
 * struct lodge_mem_region - one range of the memory map as it stands
 * @gpa: guest-physical start
 * @len: bytes
 * @hva: user address behind @gpa
 * @flags: LODGE_MEM_F_*
 * @reserved: 0
 */
struct lodge_mem_region {
	__u64 gpa;
	__u64 len;
	__u64 hva;
	__u32 flags;
	__u32 reserved;
};

/**
 * struct lodge_mem_query - read the memory map (LODGE_VM_MEM_QUERY)
 * @size: in: sizeof(struct lodge_mem_query)
 * @flags: in: must be 0
 * @regions: in: pointer to an array of struct lodge_mem_region, filled by gpa
 * @nr: in: its length; out: regions filled, or needed when ENOSPC
 * @reserved: must be 0
 */
struct lodge_mem_query {
	__u32 size;
	__u32 flags;
	__u64 regions;
	__u32 nr;
	__u32 reserved;
};

/**
 * struct lodge_clock - the VM's clock (LODGE_VM_CLOCK_GET, LODGE_VM_CLOCK_SET)
 * @size: in: sizeof(struct lodge_clock)
 * @flags: in: must be 0
 * @guest_ns: the guest's kvmclock: nanoseconds since the VM was created
 * @host_ns: host CLOCK_REALTIME taken with @guest_ns. SET: when not 0, the time
 *	that has passed since then is added to @guest_ns
 * @host_tsc: out: host TSC taken with the two
 *
 * To restore a VM's time, SET with what GET gave; to restart the clock where it
 * stood, SET with @host_ns 0.
 */
struct lodge_clock {
	__u32 size;
	__u32 flags;
	__u64 guest_ns;
	__u64 host_ns;
	__u64 host_tsc;
};

/**
 * struct lodge_msi - send a message-signalled interrupt (LODGE_VM_MSI)
 * @size: in: sizeof(struct lodge_msi)
 * @flags: in: must be 0
 * @address: in: the message's address (SDM 3A 11.11.1), 0xfeexxxxx
 * @data: in: the message's data (SDM 3A 11.11.2)
 * @reserved: must be 0
 *
 * Returns the number of vCPUs that took it, 0 when nobody is addressed.
 */
struct lodge_msi {
	__u32 size;
	__u32 flags;
	__u64 address;
	__u32 data;
	__u32 reserved;
};

/**
 * struct lodge_route - what one interrupt source of the VM sends
 * @id: the source's number, below lodge_info.max_routes
 * @flags: must be 0
 * @address: address of its message, as in struct lodge_msi
 * @data: data of its message
 * @reserved: must be 0
 *
 * The message must be one that could reach somebody: delivery mode fixed or lowest
 * priority with a vector of 16 or more, NMI or INIT; not the deassertion of a level.
 */
struct lodge_route {
	__u32 id;
	__u32 flags;
	__u64 address;
	__u32 data;
	__u32 reserved;
};

/**
 * struct lodge_irq_routes - replace the VM's routes (LODGE_VM_IRQ_ROUTES)
 * @size: in: sizeof(struct lodge_irq_routes)
 * @flags: in: must be 0
 * @routes: in: pointer to an array of struct lodge_route, each id at most once
 * @nr: in: its length, at most lodge_info.max_routes; 0: no routes
 * @bad: out: when the call fails because of one route, its index; else as it was
 *
 * All or nothing, and at once: a source sends by the old table or by the new. When the
 * call returns, nothing is sent by the old one any more. A source without a route sends
 * nothing.
 */
struct lodge_irq_routes {
	__u32 size;
	__u32 flags;
	__u64 routes;
	__u32 nr;
	__u32 bad;
};

/* struct lodge_irqfd.flags */
#define LODGE_IRQFD_F_DEASSIGN	_BITUL(0)	/* no more */
#define LODGE_IRQFD_F_RESAMPLE	_BITUL(1)	/* @resample_fd is signalled at each EOI */

/**
 * struct lodge_irqfd - let an eventfd be an interrupt source (LODGE_VM_IRQFD)
 * @size: in: sizeof(struct lodge_irqfd)
 * @flags: in: LODGE_IRQFD_F_*
 * @fd: in: an eventfd. Whenever it is signalled, source @route sends its message,
 *	and the count is read off (of an EFD_SEMAPHORE one, 1)
 * @route: in: the source, below lodge_info.max_routes; it need not have a route yet
 * @resample_fd: in: with LODGE_IRQFD_F_RESAMPLE, an eventfd that is signalled when the
 *	guest has acknowledged the level interrupt that @route sends, and when @route
 *	has changed; else 0
 * @reserved: must be 0
 *
 * EBUSY: @fd is a source of this VM already; ENOSPC: too many; EBADF, EINVAL: no file
 * descriptor, or not of an eventfd. DEASSIGN takes @fd and @route as they were assigned,
 * and nothing else: ENOENT when there is none like that. An eventfd whose last descriptor
 * is closed is deassigned by that.
 */
struct lodge_irqfd {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 route;
	__s32 resample_fd;
	__u32 reserved;
};

/* struct lodge_ioeventfd.flags */
#define LODGE_IOEVENTFD_F_DEASSIGN	_BITUL(0)	/* no more */
#define LODGE_IOEVENTFD_F_PIO		_BITUL(1)	/* @addr is a port; else guest-physical */
#define LODGE_IOEVENTFD_F_DATAMATCH	_BITUL(2)	/* only writes of @datamatch */

/**
 * struct lodge_ioeventfd - let a guest's write signal an eventfd (LODGE_VM_IOEVENTFD)
 * @size: in: sizeof(struct lodge_ioeventfd)
 * @flags: in: LODGE_IOEVENTFD_F_*
 * @addr: in: port or address: where the write begins
 * @datamatch: in: with LODGE_IOEVENTFD_F_DATAMATCH, the value, of @len bytes; else 0
 * @len: in: bytes the write has: 1, 2, 4, 8 (not at a port), or 0: any. With a value
 *	to match not 0
 * @fd: in: an eventfd
 *
 * A write that matches signals the eventfd, and is done; no LODGE_EXIT_PIO or _MMIO comes.
 * EBUSY: a write could match another one of the VM's as well, or would meet the local
 * APIC; ENOSPC: too many; EBADF, EINVAL: no file descriptor, or not of an eventfd.
 * DEASSIGN takes all as it was assigned: ENOENT when there is none like that. Closing the
 * eventfd does not deassign it.
 */
struct lodge_ioeventfd {
	__u32 size;
	__u32 flags;
	__u64 addr;
	__u64 datamatch;
	__u32 len;
	__s32 fd;
};

/* -------------------------------------------------------------- vCPU state */

/* Register groups: lodge_run.wanted, .valid, .dirty; lodge_vcpu_state.groups. */
#define LODGE_STATE_GPRS	_BITULL(0)	/* struct lodge_gprs */
#define LODGE_STATE_SREGS	_BITULL(1)	/* struct lodge_sregs */
#define LODGE_STATE_CRS		_BITULL(2)	/* struct lodge_crs */
#define LODGE_STATE_DRS		_BITULL(3)	/* struct lodge_drs */
#define LODGE_STATE_EVENTS	_BITULL(4)	/* struct lodge_events */
#define LODGE_STATE_MSRS	_BITULL(5)	/* by call only */
#define LODGE_STATE_FPU		_BITULL(6)	/* by call only */
#define LODGE_STATE_LAPIC	_BITULL(7)	/* by call only */

/* The groups that live in the shared page. */
#define LODGE_STATE_SHARED	(LODGE_STATE_GPRS | LODGE_STATE_SREGS | LODGE_STATE_CRS | \
				 LODGE_STATE_DRS | LODGE_STATE_EVENTS)

/**
 * struct lodge_gprs - general registers
 * @reg: RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 ... R15: the order in which
 *	instructions number them
 * @rip: instruction pointer
 * @rflags: flags
 */
struct lodge_gprs {
	__u64 reg[16];
	__u64 rip;
	__u64 rflags;
};

/**
 * struct lodge_segment - a segment register with its hidden part
 * @base: base address
 * @limit: limit in bytes
 * @selector: selector
 * @attrs: attributes as the VMCS has them (SDM 3C 25.4.1): type 3:0, S 4,
 *	DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15
 * @unusable: 1 when the register holds no segment
 * @reserved: must be 0
 */
struct lodge_segment {
	__u64 base;
	__u32 limit;
	__u16 selector;
	__u16 attrs;
	__u32 unusable;
	__u32 reserved;
};

/**
 * struct lodge_table - GDTR or IDTR
 * @base: linear address
 * @limit: limit in bytes
 * @reserved: must be 0
 */
struct lodge_table {
	__u64 base;
	__u32 limit;
	__u32 reserved;
};

/* Indices into lodge_sregs.seg. */
#define LODGE_SEG_ES	0
#define LODGE_SEG_CS	1
#define LODGE_SEG_SS	2
#define LODGE_SEG_DS	3
#define LODGE_SEG_FS	4
#define LODGE_SEG_GS	5
#define LODGE_SEG_LDTR	6
#define LODGE_SEG_TR	7
#define LODGE_NR_SEGS	8

/**
 * struct lodge_sregs - segment and descriptor-table registers
 * @seg: by LODGE_SEG_*
 * @gdt: GDTR
 * @idt: IDTR
 */
struct lodge_sregs {
	struct lodge_segment seg[LODGE_NR_SEGS];
	struct lodge_table gdt;
	struct lodge_table idt;
};

/**
 * struct lodge_crs - control registers
 * @cr0: as the guest reads it
 * @cr2: page-fault address
 * @cr3: page-table root
 * @cr4: as the guest reads it
 * @cr8: task priority (3:0); the same as bits 7:4 of the APIC's TPR
 * @efer: IA32_EFER
 * @xcr0: extended control register 0
 * @pdpte: the four PAE page-directory-pointer entries the CPU holds; they count
 *	while PAE paging is on
 */
struct lodge_crs {
	__u64 cr0;
	__u64 cr2;
	__u64 cr3;
	__u64 cr4;
	__u64 cr8;
	__u64 efer;
	__u64 xcr0;
	__u64 pdpte[4];
};

/**
 * struct lodge_drs - debug registers
 * @dr: DR0 to DR3
 * @dr6: status
 * @dr7: control
 */
struct lodge_drs {
	__u64 dr[4];
	__u64 dr6;
	__u64 dr7;
};

/* struct lodge_events.mp_state */
#define LODGE_MP_RUNNABLE	0	/* executes */
#define LODGE_MP_HALTED		1	/* in HLT */
#define LODGE_MP_WAIT_SIPI	2	/* had INIT, waits for SIPI */

/* struct lodge_events.flags */
#define LODGE_EV_STI_SHADOW	_BITUL(0)	/* one instruction after STI */
#define LODGE_EV_SS_SHADOW	_BITUL(1)	/* one instruction after MOV SS */
#define LODGE_EV_NMI_PENDING	_BITUL(2)	/* an NMI waits */
#define LODGE_EV_NMI_MASKED	_BITUL(3)	/* NMIs are blocked until IRET */
#define LODGE_EV_EVENT		_BITUL(4)	/* @event_* is to be delivered first */
#define LODGE_EV_EVENT_CODE	_BITUL(5)	/* ... with @event_code on the stack */
#define LODGE_EV_NMI_QUEUED	_BITUL(6)	/* a second NMI waits behind the first */

/* struct lodge_events.event_type: SDM 3C table 25-17 */
#define LODGE_EVENT_INTERRUPT	0
#define LODGE_EVENT_NMI		2
#define LODGE_EVENT_EXCEPTION	3
#define LODGE_EVENT_SOFT_INT	4
#define LODGE_EVENT_PRIV_TRAP	5
#define LODGE_EVENT_SOFT_TRAP	6

/**
 * struct lodge_events - activity, shadows and events in flight
 * @mp_state: LODGE_MP_*
 * @flags: LODGE_EV_*
 * @event_vector: vector of the event to deliver
 * @event_type: LODGE_EVENT_*
 * @event_insn_len: instruction length of a software event, else 0
 * @event_code: error code
 * @pending_dbg: pending debug exceptions (SDM 3C 25.4.2)
 */
struct lodge_events {
	__u32 mp_state;
	__u32 flags;
	__u8 event_vector;
	__u8 event_type;
	__u16 event_insn_len;
	__u32 event_code;
	__u64 pending_dbg;
};

/**
 * struct lodge_msr - one MSR and its value
 * @index: the MSR
 * @reserved: must be 0
 * @value: its value
 */
struct lodge_msr {
	__u32 index;
	__u32 reserved;
	__u64 value;
};

/**
 * struct lodge_lapic - the local APIC
 * @base: IA32_APIC_BASE
 * @tsc_deadline: IA32_TSC_DEADLINE, 0 when unarmed
 * @timer_ns: one-shot and periodic timer: nanoseconds until it fires, 0 when
 *	it is stopped
 * @regs: the register page, one 32-bit register every 16 bytes (SDM 3A table
 *	11-1), IRR, ISR and TMR included; in x2APIC mode the id and ICR have
 *	their x2APIC form
 */
struct lodge_lapic {
	__u64 base;
	__u64 tsc_deadline;
	__u64 timer_ns;
	__u32 regs[256];
};

/**
 * struct lodge_vcpu_state - read or write register groups from any thread
 *	(LODGE_VCPU_GET_STATE, LODGE_VCPU_SET_STATE)
 * @size: in: sizeof(struct lodge_vcpu_state)
 * @flags: in: must be 0
 * @groups: in: LODGE_STATE_* to read or write; the others are left alone
 * @gprs: general registers
 * @sregs: segments
 * @crs: control registers
 * @drs: debug registers
 * @events: events
 * @msrs: pointer to an array of struct lodge_msr (GET: indices in, values out)
 * @nr_msrs: its length
 * @bad_msr: out: index into @msrs of one that is unknown or has a bad value
 * @fpu: pointer to an XSAVE image in the standard (not compacted) form
 * @fpu_size: its size; GET needs lodge_info.fpu_size bytes
 * @reserved: must be 0
 * @lapic: pointer to a struct lodge_lapic
 * @bad_groups: out: when SET fails with EINVAL, the group that is wrong
 *
 * All groups or none are written, in any order: what depends on one another is
 * checked together. A vCPU inside LODGE_VCPU_RUN leaves the guest for the time
 * of the call and goes on after it.
 */
struct lodge_vcpu_state {
	__u32 size;
	__u32 flags;
	__u64 groups;
	struct lodge_gprs gprs;
	struct lodge_sregs sregs;
	struct lodge_crs crs;
	struct lodge_drs drs;
	struct lodge_events events;
	__u64 msrs;
	__u32 nr_msrs;
	__u32 bad_msr;
	__u64 fpu;
	__u32 fpu_size;
	__u32 reserved;
	__u64 lapic;
	__u64 bad_groups;
};

/* struct lodge_inject.kind */
#define LODGE_INJECT_NMI	1
#define LODGE_INJECT_EXCEPTION	2

/* struct lodge_inject.flags */
#define LODGE_INJECT_F_CODE	_BITUL(0)	/* @code goes on the stack */

/**
 * struct lodge_inject - give the vCPU an event (LODGE_VCPU_INJECT)
 * @size: in: sizeof(struct lodge_inject)
 * @flags: in: LODGE_INJECT_F_*
 * @kind: in: LODGE_INJECT_*
 * @vector: in: 0 to 31 for an exception, else 0
 * @code: in: error code of an exception
 * @address: in: CR2 of a page fault, else 0
 *
 * An NMI may be sent by any thread at any time; a second one waits behind the
 * first, a third is lost, as in hardware. An exception is delivered before the
 * next instruction; EBUSY when another event is on its way.
 */
struct lodge_inject {
	__u32 size;
	__u32 flags;
	__u32 kind;
	__u32 vector;
	__u64 code;
	__u64 address;
};

/* struct lodge_translate.flags: the access, in; what the page allows, out */
#define LODGE_GVA_WRITE		_BITUL(0)
#define LODGE_GVA_EXEC		_BITUL(1)
#define LODGE_GVA_USER		_BITUL(2)

/**
 * struct lodge_translate - walk the guest's page tables (LODGE_VCPU_TRANSLATE)
 * @size: in: sizeof(struct lodge_translate)
 * @flags: in: the access, LODGE_GVA_*
 * @gva: in: linear address
 * @gpa: out: guest-physical address
 *
 * Takes the paging mode the vCPU is in. ENOENT when the guest would fault.
 * Accessed and dirty bits are left alone.
 */
struct lodge_translate {
	__u32 size;
	__u32 flags;
	__u64 gva;
	__u64 gpa;
};

#define LODGE_NR_HW_EXITS	96	/* more than any basic exit reason in the SDM */

/**
 * struct lodge_vcpu_stats - what a vCPU has done so far (LODGE_VCPU_GET_STATS)
 * @size: in: sizeof(struct lodge_vcpu_stats)
 * @flags: in: must be 0
 * @exits: out: VM exits in all
 * @user_exits: out: returns of LODGE_VCPU_RUN
 * @halts: out: HLTs that blocked
 * @injected: out: events injected
 * @ept_mapped: out: EPT violations answered by mapping the page, maybe with neighbours
 * @guest_tsc: out: TSC ticks spent in the guest, as its VMX preemption timer counts
 *	them: in steps of some, up to the last return of the vCPU to the run loop
 * @hw: out: exits by basic exit reason (SDM 3D appendix C)
 */
struct lodge_vcpu_stats {
	__u32 size;
	__u32 flags;
	__u64 exits;
	__u64 user_exits;
	__u64 halts;
	__u64 injected;
	__u64 ept_mapped;
	__u64 guest_tsc;
	__u64 hw[LODGE_NR_HW_EXITS];
};

/* --------------------------------------------------------------------- RUN */

/* struct lodge_exit.reason */
#define LODGE_EXIT_NONE		0	/* has not run yet */
#define LODGE_EXIT_KICK		1	/* RUN gave EINTR: LODGE_VCPU_KICK */
#define LODGE_EXIT_SIGNAL	2	/* RUN gave EINTR: a signal waits */
#define LODGE_EXIT_HOST_WORK	3	/* the host needs the thread; call RUN again */
#define LODGE_EXIT_PAUSED	4	/* the VM is paused */
#define LODGE_EXIT_PIO		5	/* IN, OUT, INS, OUTS: @pio */
#define LODGE_EXIT_MMIO		6	/* memory that is not RAM: @mmio */
#define LODGE_EXIT_RDMSR	7	/* an MSR of the program's: @msr */
#define LODGE_EXIT_WRMSR	8	/* the same, written */
#define LODGE_EXIT_EOI		9	/* a level interrupt was acknowledged: @eoi */
#define LODGE_EXIT_SHUTDOWN	10	/* triple fault */
#define LODGE_EXIT_MEM_FAULT	11	/* RAM the host cannot provide: @mem */
#define LODGE_EXIT_FAIL_ENTRY	12	/* the CPU refused the guest's state: @fail */
#define LODGE_EXIT_UNHANDLED	13	/* an exit lodge has no answer to: @unhandled */
#define LODGE_NR_EXITS		14

/* struct lodge_exit.flags */
#define LODGE_EXIT_F_INSN	_BITUL(0)	/* @insn_len and @next_rip are known */
#define LODGE_EXIT_F_BYTES	_BITUL(1)	/* @insn holds @insn_bytes bytes at RIP */
#define LODGE_EXIT_F_COMPLETE	_BITUL(2)	/* lodge_run.complete may finish it */

/* struct lodge_exit.pio.flags */
#define LODGE_PIO_IN		_BITUL(0)	/* IN or INS; else OUT or OUTS */
#define LODGE_PIO_STRING	_BITUL(1)	/* INS or OUTS: no data, not completable */
#define LODGE_PIO_REP		_BITUL(2)	/* with REP */

/* struct lodge_exit.mmio.flags */
#define LODGE_MMIO_WRITE	_BITUL(0)	/* @data holds what is written */
#define LODGE_MMIO_UNDECODED	_BITUL(1)	/* instruction not known: not completable */
#define LODGE_MMIO_FETCH	_BITUL(2)	/* instruction fetch: not completable */

/**
 * struct lodge_exit - why RUN came back
 * @reason: LODGE_EXIT_*
 * @flags: LODGE_EXIT_F_*
 * @seq: counts this vCPU's returns from RUN, from 1
 * @rip: the guest's RIP
 * @next_rip: RIP after the instruction
 * @insn_len: instruction length in bytes
 * @insn_bytes: how many bytes of @insn are filled
 * @reserved: 0
 * @insn: instruction bytes at @rip
 * @pio: LODGE_EXIT_PIO
 * @pio.port: I/O port
 * @pio.width: bytes: 1, 2 or 4
 * @pio.flags: LODGE_PIO_*
 * @pio.data: OUT: the value
 * @mmio: LODGE_EXIT_MMIO
 * @mmio.gpa: guest-physical address
 * @mmio.width: bytes: 1, 2, 4 or 8
 * @mmio.flags: LODGE_MMIO_*
 * @mmio.data: write: the value
 * @msr: LODGE_EXIT_RDMSR, LODGE_EXIT_WRMSR
 * @msr.index: the MSR
 * @msr.reserved: 0
 * @msr.data: WRMSR: the value
 * @eoi: LODGE_EXIT_EOI
 * @eoi.vector: its vector
 * @eoi.reserved: 0
 * @mem: LODGE_EXIT_MEM_FAULT
 * @mem.gpa: guest-physical address
 * @mem.hva: user address behind it
 * @mem.error: errno of the host's fault (EFAULT, EHWPOISON, ENOMEM ...)
 * @mem.flags: LODGE_GVA_WRITE, LODGE_GVA_EXEC
 * @fail: LODGE_EXIT_FAIL_ENTRY
 * @fail.hw_reason: exit reason as the VMCS has it, 0 for an instruction error
 * @fail.insn_error: VM-instruction error (SDM 3C 31.4), 0 for a guest-state check
 * @fail.qualification: exit qualification
 * @fail.text: the failed check in words; NUL-terminated
 * @unhandled: LODGE_EXIT_UNHANDLED
 * @unhandled.hw_reason: exit reason as the VMCS has it (SDM 3D appendix C)
 * @unhandled.intr_info: VM-exit interruption information
 * @unhandled.qualification: exit qualification
 * @unhandled.gpa: guest-physical address, where the exit has one
 *
 * Of the union only the member that goes with @reason is filled: the rest, and @insn
 * beyond @insn_bytes, may be of an earlier exit.
 */
struct lodge_exit {
	__u32 reason;
	__u32 flags;
	__u64 seq;
	__u64 rip;
	__u64 next_rip;
	__u8 insn_len;
	__u8 insn_bytes;
	__u8 reserved[6];
	__u8 insn[16];
	union {
		struct {
			__u16 port;
			__u16 width;
			__u32 flags;
			__u64 data;
		} pio;
		struct {
			__u64 gpa;
			__u32 width;
			__u32 flags;
			__u64 data;
		} mmio;
		struct {
			__u32 index;
			__u32 reserved;
			__u64 data;
		} msr;
		struct {
			__u32 vector;
			__u32 reserved;
		} eoi;
		struct {
			__u64 gpa;
			__u64 hva;
			__u32 error;
			__u32 flags;
		} mem;
		struct {
			__u32 hw_reason;
			__u32 insn_error;
			__u64 qualification;
			char text[96];
		} fail;
		struct {
			__u32 hw_reason;
			__u32 intr_info;
			__u64 qualification;
			__u64 gpa;
		} unhandled;
		__u64 space[24];
	};
};

/* struct lodge_run.complete: what became of the instruction that left */
#define LODGE_COMPLETE_NONE	0	/* nothing: it is executed again */
#define LODGE_COMPLETE_DONE	1	/* done: go on behind it; a read takes @data */
#define LODGE_COMPLETE_FAULT	2	/* refused: the guest gets #GP */

/* struct lodge_run.flags */
#define LODGE_RUN_F_BYTES	_BITUL(0)	/* fill lodge_exit.insn at every exit */

/**
 * struct lodge_run - the page a vCPU shares with the thread that runs it
 * @size: set by the module: bytes of this structure it knows
 * @flags: in: LODGE_RUN_F_*
 * @wanted: in: LODGE_STATE_* (shared ones) to fill in at every return from RUN
 * @dirty: in: groups the caller has changed here; RUN takes them and sets 0.
 *	When it refuses them (EINVAL), @dirty keeps the group that is wrong
 * @valid: out: groups that are filled in
 * @data: in: with LODGE_COMPLETE_DONE, the value that IN, an MMIO read or
 *	RDMSR gives
 * @complete: in: LODGE_COMPLETE_*; RUN takes it and sets 0. It applies to the
 *	last exit, if that has LODGE_EXIT_F_COMPLETE, else RUN gives EINVAL;
 *	changing GPRS in the same RUN is applied after it
 * @reserved: must be 0
 * @exit: out: why RUN came back
 * @gprs: group LODGE_STATE_GPRS
 * @sregs: group LODGE_STATE_SREGS
 * @crs: group LODGE_STATE_CRS
 * @drs: group LODGE_STATE_DRS
 * @events: group LODGE_STATE_EVENTS
 *
 * Mapped by mmap(MAP_SHARED) of lodge_info.run_size bytes at offset 0 of the
 * vCPU's file. RUN reads the inputs once, at its start, and writes the outputs
 * once, at its end; the thread that calls RUN owns the page in between.
 *
 * An exit that asks for data leaves the guest at the instruction: state saved
 * then and restored elsewhere executes it again.
 */
struct lodge_run {
	__u32 size;
	__u32 flags;
	__u64 wanted;
	__u64 dirty;
	__u64 valid;
	__u64 data;
	__u32 complete;
	__u32 reserved;
	struct lodge_exit exit;
	struct lodge_gprs gprs;
	struct lodge_sregs sregs;
	struct lodge_crs crs;
	struct lodge_drs drs;
	struct lodge_events events;
};

/*
 * MSRs LODGE_MSR_USER to LODGE_MSR_USER + 15 belong to the program: the guest's
 * accesses leave as LODGE_EXIT_RDMSR and LODGE_EXIT_WRMSR.
 */
#define LODGE_MSR_USER		0x4c4f4400
#define LODGE_NR_MSR_USER	16

/* CPUID leaf where lodge names itself: EBX, ECX, EDX = "LodgeLodgeLo". */
#define LODGE_CPUID_SIGNATURE	0x40000100

#endif /* _UAPI_LINUX_LODGE_H */
