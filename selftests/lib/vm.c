// SPDX-License-Identifier: GPL-2.0
/*
 * VMs and vCPUs: creation, memory, registers.
 *
 * What vm_create() makes (guest-physical; see guest.h for the numbers): 2 MiB
 * of low memory with the GDT, IDT, TSSs, page tables and stacks, and the
 * program's own image at GPA_IMAGE. The page tables map the image where the
 * program has it and everything else below 4 GiB to itself.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include "vm.h"

/* The linker's: the bounds of the program's image. */
extern const char __executable_start[], _end[];

#define IMAGE_START	((u64)(uintptr_t)__executable_start & ~(PAGE_SIZE - 1))
#define IMAGE_END	(((u64)(uintptr_t)_end + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1))

/* One stack block of STACK_SIZE for each vCPU: main stack, then three IST ones. */
#define MAIN_TOP	0x8000
#define TRAP_TOP	0xc000
#define NMI_TOP		0xe000
#define FAULT_TOP	0xffc0

#define TABLE_FLAGS	(PTE_P | PTE_W | PTE_U)

/* ------------------------------------------------------------------ device */

int device_open(void)
{
	int fd = open("/dev/lodge", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		test_fail("/dev/lodge: %s", strerror(errno));
	return fd;
}

int try_ioctl(int fd, unsigned long call, void *arg)
{
	int ret = ioctl(fd, call, arg);

	return ret < 0 ? -errno : ret;
}

const struct lodge_info *device_info(void)
{
	static struct lodge_info info;
	int fd, ret;

	if (info.size)
		return &info;
	fd = device_open();
	info.size = sizeof(info);
	ret = try_ioctl(fd, LODGE_GET_INFO, &info);
	if (ret)
		test_fail("LODGE_GET_INFO: %s", strerror(-ret));
	close(fd);
	return &info;
}

u32 guest_cpuid(u32 leaf, u32 subleaf, int reg)
{
	static struct lodge_cpuid_entry entries[256];
	struct lodge_cpuid table = {
		.size = sizeof(table), .entries = (uintptr_t)entries, .nr = 256,
	};
	struct lodge_cpuid_entry *e;
	int fd = device_open();
	int ret = try_ioctl(fd, LODGE_GET_SUPPORTED_CPUID, &table);

	if (ret)
		test_fail("LODGE_GET_SUPPORTED_CPUID: %s", strerror(-ret));
	close(fd);
	for (e = entries; e < entries + table.nr; e++)
		if (e->leaf == leaf &&
		    (!(e->flags & LODGE_CPUID_F_SUBLEAF) || e->subleaf == subleaf))
			return (&e->eax)[reg];
	return 0;
}

/* ------------------------------------------------------------------ memory */

int vm_try_update(struct vm *vm, struct lodge_mem_op *ops, u32 nr, u32 *bad)
{
	struct lodge_mem_update update = {
		.size = sizeof(update), .ops = (uintptr_t)ops, .nr = nr,
	};
	int ret = try_ioctl(vm->fd, LODGE_VM_MEM_UPDATE, &update);

	if (bad)
		*bad = update.bad;
	return ret;
}

static int try_op(struct vm *vm, u32 op, u64 gpa, u64 hva, u64 len, u32 flags)
{
	struct lodge_mem_op change = {
		.op = op, .flags = flags, .gpa = gpa, .len = len, .hva = hva,
	};

	return vm_try_update(vm, &change, 1, NULL);
}

int vm_try_map(struct vm *vm, u64 gpa, void *hva, u64 len, u32 flags)
{
	return try_op(vm, LODGE_MEM_MAP, gpa, (uintptr_t)hva, len, flags);
}

int vm_try_unmap(struct vm *vm, u64 gpa, u64 len)
{
	return try_op(vm, LODGE_MEM_UNMAP, gpa, 0, len, 0);
}

int vm_try_protect(struct vm *vm, u64 gpa, u64 len, u32 flags)
{
	return try_op(vm, LODGE_MEM_PROTECT, gpa, 0, len, flags);
}

static void must(int ret, const char *what, u64 gpa, u64 len)
{
	if (ret)
		test_fail("%s of 0x%llx bytes at gpa 0x%llx: %s", what, len, gpa,
			  strerror(-ret));
}

void vm_map(struct vm *vm, u64 gpa, void *hva, u64 len, u32 flags)
{
	must(vm_try_map(vm, gpa, hva, len, flags), "map", gpa, len);
}

void vm_unmap(struct vm *vm, u64 gpa, u64 len)
{
	must(vm_try_unmap(vm, gpa, len), "unmap", gpa, len);
}

void vm_protect(struct vm *vm, u64 gpa, u64 len, u32 flags)
{
	must(vm_try_protect(vm, gpa, len, flags), "protect", gpa, len);
}

void *vm_ram(struct vm *vm, u64 gpa, u64 len)
{
	void *p = map_anon(len);

	vm_map(vm, gpa, p, len, 0);
	return p;
}

void vm_put_code(struct vm *vm, u64 gpa, const void *code, size_t size)
{
	require(gpa + size <= LOW_SIZE);
	memcpy(vm->low + gpa, code, size);
}

/* ------------------------------------------------------- guest page tables */

static u64 *table_at(struct vm *vm, u64 entry)
{
	return (u64 *)(vm->low + (entry & PTE_ADDR));
}

static u64 new_table(struct vm *vm)
{
	u64 gpa = vm->next_table;

	require(gpa + PAGE_SIZE <= GPA_TABLES_END);
	vm->next_table += PAGE_SIZE;
	memset(vm->low + gpa, 0, PAGE_SIZE);
	return gpa;
}

/* A large entry becomes a table of 512 that say the same. */
static void split_entry(struct vm *vm, u64 *entry)
{
	u64 gpa = new_table(vm), *table = table_at(vm, gpa), old = *entry;
	int i;

	for (i = 0; i < 512; i++)
		table[i] = (old & ~PTE_PS) + i * PAGE_SIZE;
	*entry = gpa | TABLE_FLAGS;
}

/* The entry of @gva at @level (1: 4 KiB, 2: 2 MiB), with the tables above it. */
static u64 *walk(struct vm *vm, u64 gva, int level)
{
	u64 *table = table_at(vm, GPA_TABLES), *entry;
	int i;

	for (i = 4;; i--) {
		entry = &table[gva >> (12 + 9 * (i - 1)) & 511];
		if (i == level)
			return entry;
		if (!(*entry & PTE_P))
			*entry = new_table(vm) | TABLE_FLAGS;
		else if (*entry & PTE_PS)
			split_entry(vm, entry);
		table = table_at(vm, *entry);
	}
}

u64 *vm_gva_pte(struct vm *vm, u64 gva)
{
	return walk(vm, gva, 1);
}

void vm_gva_map(struct vm *vm, u64 gva, u64 gpa, u64 len, u64 pte_flags, bool small)
{
	u64 end = gva + len, step;

	for (; gva < end; gva += step, gpa += step) {
		step = PAGE_SIZE;
		if (!small && !((gva | gpa) & (HUGE_SIZE - 1)) && end - gva >= HUGE_SIZE)
			step = HUGE_SIZE;
		if (step == HUGE_SIZE)
			*walk(vm, gva, 2) = gpa | pte_flags | PTE_PS;
		else
			*walk(vm, gva, 1) = gpa | pte_flags;
	}
}

/* -------------------------------------------------- descriptor tables, TSS */

static u64 descriptor(u32 base, u32 limit, u16 attrs)
{
	return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 |
	       (u64)(attrs & 0xf0ff) << 40 | (u64)(limit >> 16 & 0xf) << 48 |
	       (u64)(base >> 24) << 56;
}

static void put_gdt(struct vm *vm)
{
	u64 *gdt = (u64 *)(vm->low + GPA_GDT);
	u32 id;

	gdt[SEL_CODE64 / 8] = descriptor(0, 0xfffff, SEG_CODE64);
	gdt[SEL_DATA / 8] = descriptor(0, 0xfffff, SEG_DATA);
	gdt[SEL_CODE32 / 8] = descriptor(0, 0xfffff, SEG_CODE32);
	gdt[SEL_CODE16 / 8] = descriptor(0, 0xffff, SEG_CODE16);
	gdt[SEL_DATA16 / 8] = descriptor(0, 0xffff, 0x93);
	gdt[SEL_USER_CODE32 / 8] = descriptor(0, 0xfffff, SEG_CODE32 | 0x60);
	gdt[SEL_USER_DATA / 8] = descriptor(0, 0xfffff, SEG_DATA | 0x60);
	gdt[SEL_USER_CODE64 / 8] = descriptor(0, 0xfffff, SEG_CODE64 | 0x60);
	for (id = 0; id < NR_GUEST_CPUS; id++)
		gdt[SEL_TSS / 8 + id * 2] = descriptor(GPA_TSS + id * 256, 103, 0x8b);
}

/* Vector to interrupt stack: see trap.S. */
static u8 vector_ist(u8 vector)
{
	if (vector == NMI_VECTOR)
		return 2;
	if (vector == DF_VECTOR || vector == 18)
		return 3;
	return 1;
}

static void put_idt(struct vm *vm)
{
	u64 *idt = (u64 *)(vm->low + GPA_IDT), entry;
	bool user;
	int i;

	for (i = 0; i < 256; i++) {
		entry = (uintptr_t)guest_trap_stubs[i];
		user = i == BP_VECTOR || i == 4 || i == GUEST_USER_RETURN;
		idt[i * 2] = (entry & 0xffff) | SEL_CODE64 << 16 |
			     (u64)vector_ist(i) << 32 | 0x8eULL << 40 |
			     (user ? 0x60ULL << 40 : 0) | (entry >> 16 & 0xffff) << 48;
		idt[i * 2 + 1] = entry >> 32;
	}
}

static void put_u64(u8 *p, u64 v)
{
	memcpy(p, &v, sizeof(v));
}

static void put_tss(struct vm *vm)
{
	u64 stack;
	u8 *tss;
	u32 id;

	for (id = 0; id < NR_GUEST_CPUS; id++) {
		tss = vm->low + GPA_TSS + id * 256;
		stack = GPA_STACKS + id * STACK_SIZE;
		put_u64(tss + 4, stack + MAIN_TOP);
		put_u64(tss + 36, stack + TRAP_TOP);
		put_u64(tss + 44, stack + NMI_TOP);
		put_u64(tss + 52, stack + FAULT_TOP);
		tss[102] = 104;		/* no I/O permission map */
	}
}

/* ---------------------------------------------------------------------- VM */

struct vm *vm_create_empty(void)
{
	struct lodge_create_vm create = { .size = sizeof(create) };
	struct vm *vm = calloc(1, sizeof(*vm));
	int dev = device_open();

	vm->fd = try_ioctl(dev, LODGE_CREATE_VM, &create);
	if (vm->fd < 0)
		test_fail("LODGE_CREATE_VM: %s", strerror(-vm->fd));
	close(dev);
	return vm;
}

void *vm_image(u64 *len)
{
	*len = IMAGE_END - IMAGE_START;
	return (void *)IMAGE_START;
}

void vm_map_image(struct vm *vm)
{
	vm_map(vm, GPA_IMAGE, (void *)IMAGE_START, IMAGE_END - IMAGE_START, 0);
}

void vm_lay_out(struct vm *vm)
{
	vm->next_table = GPA_TABLES + PAGE_SIZE;
	put_gdt(vm);
	put_idt(vm);
	put_tss(vm);
	vm_gva_map(vm, 0, 0, 4ULL << 30, PTE_P | PTE_W, GVA_ANY);
	vm_gva_map(vm, IMAGE_START, GPA_IMAGE, IMAGE_END - IMAGE_START,
		   PTE_P | PTE_W, GVA_4K);
}

struct vm *vm_create(void)
{
	struct vm *vm = vm_create_empty();

	vm->low = vm_ram(vm, 0, LOW_SIZE);
	vm_map_image(vm);
	vm_lay_out(vm);
	return vm;
}

void vm_destroy(struct vm *vm)
{
	close(vm->fd);
	if (vm->low)
		munmap(vm->low, LOW_SIZE);
	free(vm);
}

static void simple_call(int fd, unsigned long call, const char *name)
{
	int ret = try_ioctl(fd, call, NULL);

	if (ret)
		test_fail("%s: %s", name, strerror(-ret));
}

void vm_pause(struct vm *vm)
{
	simple_call(vm->fd, LODGE_VM_PAUSE, "LODGE_VM_PAUSE");
}

void vm_resume(struct vm *vm)
{
	simple_call(vm->fd, LODGE_VM_RESUME, "LODGE_VM_RESUME");
}

int vm_try_msi(struct vm *vm, u64 address, u32 data)
{
	struct lodge_msi msi = {
		.size = sizeof(msi), .address = address, .data = data,
	};

	return try_ioctl(vm->fd, LODGE_VM_MSI, &msi);
}

void vm_irq(struct vm *vm, u32 apic_id, u8 vector)
{
	int ret = vm_try_msi(vm, APIC_BASE_ADDR | apic_id << 12, vector);

	if (ret != 1)
		test_fail("LODGE_VM_MSI of vector %u to APIC %u gave %d, not 1",
			  vector, apic_id, ret);
}

/* -------------------------------------------------------------------- vCPU */

int vcpu_try_create(struct vm *vm, u32 id)
{
	struct lodge_create_vcpu create = { .size = sizeof(create), .id = id };

	return try_ioctl(vm->fd, LODGE_VM_CREATE_VCPU, &create);
}

struct vcpu *vcpu_create(struct vm *vm, u32 id)
{
	struct vcpu *vcpu = calloc(1, sizeof(*vcpu));

	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->fd = vcpu_try_create(vm, id);
	if (vcpu->fd < 0)
		test_fail("LODGE_VM_CREATE_VCPU %u: %s", id, strerror(-vcpu->fd));
	vcpu->run = mmap(NULL, device_info()->run_size, PROT_READ | PROT_WRITE,
			 MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		test_fail("mmap of vCPU %u: %s", id, strerror(errno));
	return vcpu;
}

struct vcpu *vcpu_create_at(struct vm *vm, u32 id, void (*fn)(u64 arg), u64 arg)
{
	struct vcpu *vcpu = vcpu_create(vm, id);

	vcpu_start_long(vcpu, fn, arg);
	return vcpu;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	munmap(vcpu->run, device_info()->run_size);
	close(vcpu->fd);
	free(vcpu);
}

int vcpu_try_get(struct vcpu *vcpu, struct lodge_vcpu_state *state, u64 groups)
{
	state->size = sizeof(*state);
	state->groups = groups;
	return try_ioctl(vcpu->fd, LODGE_VCPU_GET_STATE, state);
}

int vcpu_try_set(struct vcpu *vcpu, struct lodge_vcpu_state *state, u64 groups)
{
	state->size = sizeof(*state);
	state->groups = groups;
	return try_ioctl(vcpu->fd, LODGE_VCPU_SET_STATE, state);
}

void vcpu_get(struct vcpu *vcpu, struct lodge_vcpu_state *state, u64 groups)
{
	int ret = vcpu_try_get(vcpu, state, groups);

	if (ret)
		test_fail("LODGE_VCPU_GET_STATE of groups 0x%llx: %s", groups,
			  strerror(-ret));
}

void vcpu_set(struct vcpu *vcpu, struct lodge_vcpu_state *state, u64 groups)
{
	int ret = vcpu_try_set(vcpu, state, groups);

	if (ret)
		test_fail("LODGE_VCPU_SET_STATE of groups 0x%llx: %s (bad group 0x%llx, MSR %u)",
			  groups, strerror(-ret), (u64)state->bad_groups,
			  state->bad_msr);
}

u64 vcpu_get_msr(struct vcpu *vcpu, u32 index)
{
	struct lodge_msr msr = { .index = index };
	struct lodge_vcpu_state state = { .msrs = (uintptr_t)&msr, .nr_msrs = 1 };

	vcpu_get(vcpu, &state, LODGE_STATE_MSRS);
	return msr.value;
}

int vcpu_try_set_msr(struct vcpu *vcpu, u32 index, u64 value)
{
	struct lodge_msr msr = { .index = index, .value = value };
	struct lodge_vcpu_state state = { .msrs = (uintptr_t)&msr, .nr_msrs = 1 };

	return vcpu_try_set(vcpu, &state, LODGE_STATE_MSRS);
}

void vcpu_get_lapic(struct vcpu *vcpu, struct lodge_lapic *lapic)
{
	struct lodge_vcpu_state state = { .lapic = (uintptr_t)lapic };

	vcpu_get(vcpu, &state, LODGE_STATE_LAPIC);
}

struct lodge_vcpu_stats vcpu_stats(struct vcpu *vcpu)
{
	struct lodge_vcpu_stats stats = { .size = sizeof(stats) };
	int ret = try_ioctl(vcpu->fd, LODGE_VCPU_GET_STATS, &stats);

	if (ret)
		test_fail("LODGE_VCPU_GET_STATS: %s", strerror(-ret));
	return stats;
}

int vcpu_try_inject(struct vcpu *vcpu, struct lodge_inject inject)
{
	inject.size = sizeof(inject);
	return try_ioctl(vcpu->fd, LODGE_VCPU_INJECT, &inject);
}

void vcpu_nmi(struct vcpu *vcpu)
{
	struct lodge_inject nmi = { .kind = LODGE_INJECT_NMI };
	int ret = vcpu_try_inject(vcpu, nmi);

	if (ret)
		test_fail("LODGE_VCPU_INJECT of an NMI: %s", strerror(-ret));
}

void vcpu_kick(struct vcpu *vcpu)
{
	simple_call(vcpu->fd, LODGE_VCPU_KICK, "LODGE_VCPU_KICK");
}

/* ---------------------------------------------------------- initial states */

struct lodge_segment seg_flat(u16 selector, u16 attrs)
{
	return (struct lodge_segment) {
		.selector = selector, .attrs = attrs,
		.limit = attrs & 0x8000 ? 0xffffffff : 0xffff,
	};
}

struct lodge_segment seg_real(u16 selector, bool code)
{
	return (struct lodge_segment) {
		.selector = selector, .base = selector << 4, .limit = 0xffff,
		.attrs = code ? 0x9b : 0x93,
	};
}

static void set_data_segments(struct lodge_sregs *sregs, struct lodge_segment seg)
{
	sregs->seg[LODGE_SEG_DS] = seg;
	sregs->seg[LODGE_SEG_ES] = seg;
	sregs->seg[LODGE_SEG_SS] = seg;
	sregs->seg[LODGE_SEG_FS] = seg;
	sregs->seg[LODGE_SEG_GS] = seg;
}

static void set_system_tables(u32 id, struct lodge_sregs *sregs)
{
	struct lodge_segment *tr = &sregs->seg[LODGE_SEG_TR];

	tr->selector = SEL_TSS + id * 16;
	tr->base = GPA_TSS + id * 256;
	tr->limit = 103;
	tr->attrs = 0x8b;
	sregs->seg[LODGE_SEG_LDTR].unusable = 1;
	sregs->gdt.base = GPA_GDT;
	sregs->gdt.limit = GDT_LIMIT;
	sregs->idt.base = GPA_IDT;
	sregs->idt.limit = 0xfff;
}

static void set_long_mode(struct lodge_crs *crs)
{
	crs->cr0 = CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE;
	crs->cr3 = GPA_TABLES;
	crs->cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	crs->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NX;
	crs->xcr0 = XCR0_X87;
}

static u64 main_stack(u32 id)
{
	return GPA_STACKS + id * STACK_SIZE + MAIN_TOP;
}

void vcpu_long_state(u32 id, void (*fn)(u64 arg), u64 arg, struct lodge_vcpu_state *s)
{
	require(id < NR_GUEST_CPUS);
	s->gprs.rip = (uintptr_t)fn;
	s->gprs.rflags = RFLAGS_ONE;
	s->gprs.reg[4] = main_stack(id) - 8;	/* as after a call */
	s->gprs.reg[7] = arg;
	set_data_segments(&s->sregs, seg_flat(SEL_DATA, SEG_DATA));
	s->sregs.seg[LODGE_SEG_CS] = seg_flat(SEL_CODE64, SEG_CODE64);
	set_system_tables(id, &s->sregs);
	set_long_mode(&s->crs);
}

void vcpu_start_long(struct vcpu *vcpu, void (*fn)(u64 arg), u64 arg)
{
	struct lodge_vcpu_state s = {};

	vcpu_long_state(vcpu->id, fn, arg, &s);
	vcpu_set(vcpu, &s, VCPU_START_GROUPS);
}

void vcpu_start_compat(struct vcpu *vcpu, u32 eip)
{
	struct lodge_vcpu_state s;

	vcpu_start_long(vcpu, NULL, 0);
	memset(&s, 0, sizeof(s));
	vcpu_get(vcpu, &s, LODGE_STATE_SREGS | LODGE_STATE_GPRS);
	s.gprs.rip = eip;
	s.sregs.seg[LODGE_SEG_CS] = seg_flat(SEL_CODE32, SEG_CODE32);
	vcpu_set(vcpu, &s, LODGE_STATE_SREGS | LODGE_STATE_GPRS);
}

static void start_protected(struct vcpu *vcpu, u32 eip, struct lodge_segment code)
{
	struct lodge_vcpu_state s = {};

	s.gprs.rip = eip;
	s.gprs.rflags = RFLAGS_ONE;
	s.gprs.reg[4] = main_stack(vcpu->id);
	set_data_segments(&s.sregs, seg_flat(SEL_DATA, SEG_DATA));
	s.sregs.seg[LODGE_SEG_CS] = code;
	set_system_tables(vcpu->id, &s.sregs);
	s.sregs.idt.limit = 0;		/* the IDT there is a 64-bit one */
	s.crs.cr0 = CR0_NE | CR0_ET | CR0_PE;
	s.crs.cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
	s.crs.xcr0 = XCR0_X87;
	vcpu_set(vcpu, &s, VCPU_START_GROUPS);
}

void vcpu_start_protected(struct vcpu *vcpu, u32 eip)
{
	start_protected(vcpu, eip, seg_flat(SEL_CODE32, SEG_CODE32));
}

void vcpu_start_protected16(struct vcpu *vcpu, u32 eip)
{
	start_protected(vcpu, eip, seg_flat(SEL_CODE16, SEG_CODE16));
}

void vcpu_start_real(struct vcpu *vcpu, u16 segment, u16 ip)
{
	struct lodge_vcpu_state s = {};

	s.gprs.rip = ip;
	s.gprs.rflags = RFLAGS_ONE;
	s.gprs.reg[4] = 0x7000;
	set_data_segments(&s.sregs, seg_real(0, false));
	s.sregs.seg[LODGE_SEG_CS] = seg_real(segment, true);
	s.sregs.seg[LODGE_SEG_LDTR] = (struct lodge_segment) {
		.limit = 0xffff, .attrs = 0x82,
	};
	s.sregs.seg[LODGE_SEG_TR] = (struct lodge_segment) {
		.limit = 0xffff, .attrs = 0x8b,
	};
	s.sregs.gdt.limit = 0xffff;
	s.sregs.idt.limit = 0x3ff;
	s.crs.cr0 = CR0_ET;
	s.crs.xcr0 = XCR0_X87;
	vcpu_set(vcpu, &s, VCPU_START_GROUPS);
}
