// SPDX-License-Identifier: GPL-2.0
/*
 * The modes a guest can be in and its ways between them: reset, real, protected,
 * 32-bit and PAE paging, compatibility and long mode; and the control registers,
 * good and bad.
 */
#include "vm.h"
#include "kselftest_harness.h"

#define GPA_DIR32	(GPA_FREE)		/* 32-bit page directory */
#define GPA_PDPT	(GPA_FREE + 0x2000)	/* PAE */
#define GPA_DIR_PAE	(GPA_FREE + 0x3000)
#define GPA_IDT32	(GPA_FREE + 0x4000)
#define GPA_MAGIC	(GPA_FREE + 0x1f000)
#define MAGIC32		0xcafe1234
#define ALIAS		0x400000		/* 4 MiB: a second view of 0 */

#define USER_GVA	0x100000000ULL
#define TEST_GVA	0x180000000ULL

FIXTURE(modes)
{
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(modes)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0);
}

FIXTURE_TEARDOWN(modes)
{
	vcpu_destroy(self->vcpu);
	vm_destroy(self->vm);
}

static void run_guest(struct vcpu *vcpu, void (*fn)(u64 arg), u64 arg)
{
	vcpu_start_long(vcpu, fn, arg);
	guest_run_done(vcpu);
}

/* ------------------------------------------------------------ through all modes */

/* Where raw code lies in the guest. */
#define CHAIN(label)	"(" label " - mode_chain + 0x8000)"
/* GUEST_CALL_VALUE with what is in EDI, GUEST_CALL_DONE. */
#define SAY		"movl $3, %eax\n movl $0x5e0, %edx\n outl %eax, %dx\n"
#define SAY_DONE	"movl $1, %eax\n movl $0x5e0, %edx\n outl %eax, %dx\n"
#define CR0_OR(bits)	"movl %cr0, %eax\n orl $" bits ", %eax\n movl %eax, %cr0\n"
#define CR0_AND(bits)	"movl %cr0, %eax\n andl $" bits ", %eax\n movl %eax, %cr0\n"
#define SEGMENTS(sel)	"movl $" sel ", %eax\n movl %eax, %ds\n movl %eax, %es\n" \
			"movl %eax, %ss\n"
#define READ_ALIAS	"movl 0x49f000, %edi\n"

GUEST_ASM(mode_chain, .code16,
	  /* Real mode: a software interrupt and an exception through the IVT. */
	  SEGMENTS("0")
	  "movw $0x7000, %sp\n"
	  "movw $" CHAIN("chain_int") ", 0x100\n"	/* vector 0x40 */
	  "movw %ax, 0x102\n"
	  "movw $" CHAIN("chain_ud") ", 0x18\n"		/* vector 6 */
	  "movw %ax, 0x1a\n"
	  "xorl %edi, %edi\n"
	  "int $0x40\n"
	  "ud2\n"
	  SAY						/* 0x21 */
	  /* Protected mode, 32-bit, flat. */
	  "lgdtl " CHAIN("chain_gdtr") "\n"
	  CR0_OR("1")
	  "ljmpl $0x18, $" CHAIN("chain_32") "\n"
	  "chain_int: addl $1, %edi\n iretw\n"
	  "chain_ud: addl $0x20, %edi\n movw %sp, %bp\n addw $2, (%bp)\n iretw\n"
	  "chain_gdtr: .word 0x14f\n .long 0x1000\n"

	  ".code32\n"
	  "chain_32:\n"
	  SEGMENTS("0x10")
	  "movl $0x7000, %esp\n"
	  "pushl $2\n popl %edi\n"
	  SAY						/* 2 */
	  /* 32-bit paging with 4 MiB pages, on and off. */
	  "movl $0x80000, %eax\n movl %eax, %cr3\n"
	  "movl %cr4, %eax\n orl $0x10, %eax\n movl %eax, %cr4\n"
	  CR0_OR("0x80000000")
	  READ_ALIAS
	  SAY						/* magic */
	  CR0_AND("0x7fffffff")
	  "movl $3, %edi\n"
	  SAY						/* 3 */
	  /* PAE paging, on and off. */
	  "movl $0x82000, %eax\n movl %eax, %cr3\n"
	  "movl %cr4, %eax\n orl $0x20, %eax\n movl %eax, %cr4\n"
	  CR0_OR("0x80000000")
	  READ_ALIAS
	  SAY						/* magic */
	  CR0_AND("0x7fffffff")
	  "movl $4, %edi\n"
	  SAY						/* 4 */
	  /* Long mode: LME, paging on: compatibility mode, then 64-bit code. */
	  "movl $0x10000, %eax\n movl %eax, %cr3\n"
	  "movl $0xc0000080, %ecx\n rdmsr\n orl $0x100, %eax\n wrmsr\n"
	  CR0_OR("0x80000000")
	  "rdmsr\n movl %eax, %edi\n andl $0x500, %edi\n"
	  SAY						/* 0x500: LME, LMA */
	  "ljmpl $0x08, $" CHAIN("chain_64") "\n"

	  ".code64\n"
	  "chain_64:\n"
	  "movabsq $0x123456789abcdef0, %rdi\n"
	  "movq %rdi, %r15\n"
	  SAY						/* that */
	  "movq %r15, %rdi\n shrq $4, %rdi\n"
	  SAY						/* the 64 bits are still there */
	  "pushq $0x18\n pushq $" CHAIN("chain_compat") "\n lretq\n"

	  ".code32\n"
	  "chain_compat:\n"
	  "movl $-1, %edi\n incl %edi\n movl $5, %edi\n"
	  SAY						/* 5 */
	  CR0_AND("0x7fffffff")
	  "movl $0xc0000080, %ecx\n rdmsr\n movl %eax, %edi\n andl $0x500, %edi\n"
	  SAY						/* 0x100: LME only */
	  "rdmsr\n andl $0xfffffeff, %eax\n wrmsr\n"
	  "movl %cr4, %eax\n andl $0xffffffcf, %eax\n movl %eax, %cr4\n"
	  /* 16-bit protected mode, and back to real mode. */
	  "ljmpl $0x20, $" CHAIN("chain_16") "\n"

	  ".code16\n"
	  "chain_16:\n"
	  SEGMENTS("0x28")
	  "movl $6, %edi\n"
	  SAY						/* 6 */
	  CR0_AND("0xfffffffe")
	  "ljmpw $0, $" CHAIN("chain_real") "\n"
	  "chain_real:\n"
	  SEGMENTS("0")
	  "movl $7, %edi\n"
	  "int $0x40\n"
	  SAY						/* 8 */
	  SAY_DONE);

/* Two views of the first 4 MiB for each kind of paging. */
static void put_alias_tables(struct vm *vm)
{
	u32 *dir = (u32 *)(vm->low + GPA_DIR32);
	u64 *pdpt = (u64 *)(vm->low + GPA_PDPT);
	u64 *pae = (u64 *)(vm->low + GPA_DIR_PAE);

	dir[0] = PTE_P | PTE_W | PTE_PS;
	dir[ALIAS >> 22] = PTE_P | PTE_W | PTE_PS;
	pdpt[0] = GPA_DIR_PAE | PTE_P;
	pae[0] = PTE_P | PTE_W | PTE_PS;
	pae[ALIAS >> 21] = PTE_P | PTE_W | PTE_PS;
	*(u32 *)(vm->low + GPA_MAGIC) = MAGIC32;
}

static const u64 chain_values[] = {
	0x21, 2, MAGIC32, 3, MAGIC32, 4, 0x500, 0x123456789abcdef0ULL,
	0x0123456789abcdefULL, 5, 0x100, 6, 8,
};

TEST_F(modes, chain)
{
	size_t i;

	put_alias_tables(self->vm);
	vm_put_code(self->vm, GPA_CODE, mode_chain, guest_asm_size(mode_chain));
	vcpu_start_real(self->vcpu, 0, GPA_CODE);
	for (i = 0; i < ARRAY_SIZE(chain_values); i++) {
		u64 v = guest_run_value(self->vcpu);

		if (v != chain_values[i])
			vcpu_fail(self->vcpu, "step %zu gave 0x%llx, wanted 0x%llx", i, v,
				  chain_values[i]);
	}
	guest_run_done(self->vcpu);
}

/* The same with everything the host can see, at each step. */
TEST_F(modes, chain_state)
{
	static const u64 cr0[] = { 0, CR0_PE, CR0_PE | CR0_PG, CR0_PE, CR0_PE | CR0_PG };
	struct lodge_run *run = self->vcpu->run;
	size_t i;

	put_alias_tables(self->vm);
	vm_put_code(self->vm, GPA_CODE, mode_chain, guest_asm_size(mode_chain));
	vcpu_start_real(self->vcpu, 0, GPA_CODE);
	run->wanted = LODGE_STATE_SHARED;
	for (i = 0; i < ARRAY_SIZE(chain_values); i++) {
		guest_run_value(self->vcpu);
		if (i < ARRAY_SIZE(cr0))
			ASSERT_EQ(cr0[i], run->crs.cr0 & (CR0_PE | CR0_PG));
		if (i == 4)		/* PAE paging: the entries the CPU holds */
			ASSERT_EQ(GPA_DIR_PAE | PTE_P, run->crs.pdpte[0]);
		if (i == 7) {
			ASSERT_EQ(EFER_LME | EFER_LMA, run->crs.efer & (EFER_LME | EFER_LMA));
			ASSERT_EQ(0x2000, run->sregs.seg[LODGE_SEG_CS].attrs & 0x2000);
		}
		if (i == 12)
			ASSERT_EQ(0, run->crs.efer & (EFER_LME | EFER_LMA));
	}
	guest_run_done(self->vcpu);
}

/* -------------------------------------------------------------------- reset */

GUEST_ASM(reset_code, .code16,
	  "xorl %edi, %edi\n"
	  "movw %cs, %di\n"
	  SAY
	  "movl %cr0, %edi\n"
	  SAY
	  SAY_DONE);

/* A new boot processor starts where the manual says. */
TEST_F(modes, reset)
{
	struct lodge_vcpu_state s = {};
	u8 *rom = vm_ram(self->vm, 0xfffff000, PAGE_SIZE);

	vcpu_get(self->vcpu, &s, LODGE_STATE_SHARED);
	ASSERT_EQ(0xfff0, s.gprs.rip);
	ASSERT_EQ(RFLAGS_ONE, s.gprs.rflags);
	ASSERT_EQ(0xf000, s.sregs.seg[LODGE_SEG_CS].selector);
	ASSERT_EQ(0xffff0000, s.sregs.seg[LODGE_SEG_CS].base);
	ASSERT_EQ(0xffff, s.sregs.seg[LODGE_SEG_CS].limit);
	ASSERT_EQ(0, s.sregs.seg[LODGE_SEG_DS].base);
	ASSERT_EQ(0, s.sregs.gdt.base);
	ASSERT_EQ(0xffff, s.sregs.gdt.limit);
	ASSERT_EQ(CR0_CD | CR0_NW | CR0_ET, s.crs.cr0);
	ASSERT_EQ(0, s.crs.cr3);
	ASSERT_EQ(0, s.crs.cr4);
	ASSERT_EQ(0, s.crs.efer);
	ASSERT_EQ(XCR0_X87, s.crs.xcr0);
	ASSERT_EQ(DR6_RESET, s.drs.dr6);
	ASSERT_EQ(DR7_RESET, s.drs.dr7);
	ASSERT_EQ(LODGE_MP_RUNNABLE, s.events.mp_state);
	ASSERT_EQ(0, s.events.flags);

	/* JMP back to the start of the page, then the code. */
	memcpy(rom, reset_code, guest_asm_size(reset_code));
	memcpy(rom + 0xff0, "\xe9\x0d\xf0", 3);
	vm_protect(self->vm, 0xfffff000, PAGE_SIZE, LODGE_MEM_F_READONLY);
	ASSERT_EQ(0xf000, guest_run_value(self->vcpu));
	ASSERT_EQ(CR0_CD | CR0_NW | CR0_ET, guest_run_value(self->vcpu));
	guest_run_done(self->vcpu);
}

TEST_F(modes, reset_of_others)
{
	struct vcpu *ap = vcpu_create(self->vm, 3);
	struct lodge_vcpu_state s = {};

	vcpu_get(ap, &s, LODGE_STATE_SHARED);
	ASSERT_EQ(LODGE_MP_WAIT_SIPI, s.events.mp_state);
	ASSERT_EQ(CR0_CD | CR0_NW | CR0_ET, s.crs.cr0);
	vcpu_destroy(ap);
}

/* --------------------------------------------------- faults in 32-bit code */

#define FAULTS(label)	"(" label " - faults32 + 0x8000)"

GUEST_ASM(faults32, .code32,
	  "lidtl " FAULTS("faults32_idtr") "\n"
	  "xorl %edi, %edi\n"
	  "ud2\n"
	  SAY					/* 6 */
	  "movl $0x1238, %eax\n"
	  "movl %eax, %ds\n"			/* beyond the GDT */
	  SAY					/* 0x1238 << 8 | 13 */
	  "movl $0x80000, %eax\n movl %eax, %cr3\n"
	  "movl %cr4, %eax\n orl $0x10, %eax\n movl %eax, %cr4\n"
	  CR0_OR("0x80010000")
	  "movl %eax, 0x10000000\n nop\n"	/* 5 bytes and one */
	  SAY					/* 2 << 8 | 14 */
	  "movl %cr2, %edi\n"
	  SAY					/* 0x10000000 */
	  CR0_AND("0x7fffffff")
	  SAY_DONE
	  "faults32_ud: movl $6, %edi\n addl $2, (%esp)\n iretl\n"
	  "faults32_gp: popl %edi\n shll $8, %edi\n orl $13, %edi\n addl $2, (%esp)\n iretl\n"
	  "faults32_pf: popl %edi\n shll $8, %edi\n orl $14, %edi\n addl $5, (%esp)\n iretl\n"
	  "faults32_idtr: .word 0xff\n .long 0x84000\n"
	  ".balign 4\n"
	  ".long " FAULTS("faults32_ud") ", " FAULTS("faults32_gp") ", "
	  FAULTS("faults32_pf") "\n");

static void put_gate32(struct vm *vm, int vector, u32 offset)
{
	u64 *idt = (u64 *)(vm->low + GPA_IDT32);

	idt[vector] = (offset & 0xffff) | SEL_CODE32 << 16 | 0x8eULL << 40 |
		      (u64)(offset >> 16) << 48;
}

TEST_F(modes, faults_in_32_bit)
{
	size_t size = guest_asm_size(faults32);
	u32 table[3];

	put_alias_tables(self->vm);
	vm_put_code(self->vm, GPA_CODE, faults32, size);
	memcpy(table, self->vm->low + GPA_CODE + size - sizeof(table), sizeof(table));
	put_gate32(self->vm, UD_VECTOR, table[0]);
	put_gate32(self->vm, GP_VECTOR, table[1]);
	put_gate32(self->vm, PF_VECTOR, table[2]);
	vcpu_start_protected(self->vcpu, GPA_CODE);
	ASSERT_EQ(6, guest_run_value(self->vcpu));
	ASSERT_EQ(0x1238 << 8 | 13, guest_run_value(self->vcpu));
	ASSERT_EQ(PF_WRITE << 8 | 14, guest_run_value(self->vcpu));
	ASSERT_EQ(0x10000000, guest_run_value(self->vcpu));
	guest_run_done(self->vcpu);
}

/*
 * Outside 64-bit mode an operand has 32 bits; what else the register has, from the
 * program or from 64-bit code before, does not count.
 */
GUEST_ASM(debug32, .code32,
	  "movl %eax, %dr6\n"
	  "movl %dr6, %edi\n"
	  SAY
	  SAY_DONE);

TEST_F(modes, debug_registers_in_32_bit)
{
	struct lodge_vcpu_state s = {};

	vm_put_code(self->vm, GPA_CODE, debug32, guest_asm_size(debug32));
	vcpu_start_protected(self->vcpu, GPA_CODE);
	vcpu_get(self->vcpu, &s, LODGE_STATE_GPRS);
	s.gprs.reg[0] = 0x1234567800000005ULL;
	vcpu_set(self->vcpu, &s, LODGE_STATE_GPRS);
	ASSERT_EQ(0xffff0ff5, guest_run_value(self->vcpu));
	guest_run_done(self->vcpu);
}

/* PAE entries are checked when paging goes on, by the module and its INVALID. */
GUEST_ASM(bad_pdpte, .code32,
	  "movl %cr4, %eax\n orl $0x20, %eax\n movl %eax, %cr4\n"
	  "movl $0x82000, %eax\n movl %eax, %cr3\n"
	  CR0_OR("0x80000000")
	  SAY_DONE);

TEST_F(modes, bad_pdpte)
{
	u64 *pdpt = (u64 *)(self->vm->low + GPA_PDPT);

	/* Reserved bit 1 set: #GP, and without an IDT that is the end. */
	put_alias_tables(self->vm);
	pdpt[1] = GPA_DIR_PAE | PTE_P | BIT_ULL(1);
	vm_put_code(self->vm, GPA_CODE, bad_pdpte, guest_asm_size(bad_pdpte));
	vcpu_start_protected(self->vcpu, GPA_CODE);
	vcpu_run_until(self->vcpu, LODGE_EXIT_SHUTDOWN);

	pdpt[1] = 0;
	vcpu_start_protected(self->vcpu, GPA_CODE);
	guest_run_done(self->vcpu);
}

/* ------------------------------------------------------- compatibility mode */

GUEST_ASM(compat_code, .code32,
	  "movl $0x11111111, %edi\n"
	  "addl %edi, %edi\n"
	  "decl %edi\n"			/* a REX prefix in 64-bit code */
	  SAY
	  SAY_DONE);

TEST_F(modes, compat)
{
	vm_put_code(self->vm, GPA_CODE, compat_code, guest_asm_size(compat_code));
	vcpu_start_compat(self->vcpu, GPA_CODE);
	ASSERT_EQ(0x22222221, guest_run_value(self->vcpu));
	guest_run_done(self->vcpu);
}

GUEST_ASM(compat_user, .code32,
	  "movl $0x22222222, %edi\n"
	  "decl %edi\n"
	  SAY
	  "int $0x80\n");

static void call_compat_user(u64 gva)
{
	GUEST_EQ(guest_user_call(SEL_USER_CODE32, gva, gva + PAGE_SIZE), GUEST_USER_RETURN);
	guest_done();
}

TEST_F(modes, compat_user)
{
	const u64 gva = 0xd0000000;

	vm_put_code(self->vm, GPA_CODE, compat_user, guest_asm_size(compat_user));
	vm_gva_map(self->vm, gva, GPA_CODE, PAGE_SIZE, PTE_P | PTE_W | PTE_U, GVA_4K);
	vcpu_start_long(self->vcpu, call_compat_user, gva);
	ASSERT_EQ(0x22222221, guest_run_value(self->vcpu));
	guest_run_done(self->vcpu);
}

/* SYSCALL and SYSRET, which need STAR, LSTAR, SFMASK and EFER.SCE. */
GUEST_ASM(syscall_user, .code64,
	  "syscall\n"
	  "int $0x80\n"
	  "syscall_entry: incl syscall_count(%rip)\n"
	  "sysretq\n"
	  ".balign 8\n"
	  "syscall_count: .quad 0\n"
	  ".quad syscall_entry - syscall_user\n");

static void do_syscalls(u64 entry_offset)
{
	const u64 stack = USER_GVA + PAGE_SIZE;
	int i;

	wrmsr(MSR_STAR, (0x30ULL | 3) << 48 | (u64)SEL_CODE64 << 32);
	wrmsr(MSR_LSTAR, USER_GVA + entry_offset);
	wrmsr(MSR_SFMASK, RFLAGS_IF);
	for (i = 0; i < 3; i++)
		GUEST_EQ(guest_user_call(SEL_USER_CODE64, USER_GVA, stack), GUEST_USER_RETURN);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SCE);
	GUEST_EQ(guest_user_call(SEL_USER_CODE64, USER_GVA, stack), UD_VECTOR);
	guest_done();
}

TEST_F(modes, syscall)
{
	size_t size = guest_asm_size(syscall_user);
	u64 entry, count;

	vm_put_code(self->vm, GPA_CODE, syscall_user, size);
	vm_gva_map(self->vm, USER_GVA, GPA_CODE, PAGE_SIZE, PTE_P | PTE_W | PTE_U, GVA_4K);
	memcpy(&entry, self->vm->low + GPA_CODE + size - 8, sizeof(entry));
	run_guest(self->vcpu, do_syscalls, entry);
	memcpy(&count, self->vm->low + GPA_CODE + size - 16, sizeof(count));
	ASSERT_EQ(3, count);
}

/* -------------------------------------------------- control registers, bad values */

static void bad_cr0(u64 arg)
{
	u64 cr0 = read_cr0();

	GUEST_EQ(guest_try_cr0(cr0 & ~CR0_PE), GP_VECTOR);	/* PG without PE */
	GUEST_EQ(guest_try_cr0(cr0 & ~CR0_PG), GP_VECTOR);	/* in 64-bit code */
	GUEST_EQ(guest_try_cr0(cr0 | CR0_NW), GP_VECTOR);	/* NW without CD */
	GUEST_EQ(guest_try_cr0(cr0 | BIT_ULL(32)), GP_VECTOR);
	GUEST_EQ(guest_try_cr0(cr0 | BIT_ULL(63)), GP_VECTOR);
	GUEST_EQ(this_guest_cpu()->trap.error, 0);
	GUEST_EQ(read_cr0(), cr0);
	guest_done();
}

TEST_F(modes, bad_cr0)
{
	run_guest(self->vcpu, bad_cr0, 0);
}

/* CR4 bits and the CPUID bits that offer them. */
static const struct {
	u64 bit;
	u32 leaf;
	u8 reg;		/* 1: EBX, 2: ECX, 3: EDX */
	u8 shift;
} cr4_bits[] = {
	{ CR4_TSD, 1, 3, 4 },
	{ CR4_DE, 1, 3, 2 },
	{ CR4_PSE, 1, 3, 3 },
	{ CR4_MCE, 1, 3, 7 },
	{ CR4_PGE, 1, 3, 13 },
	{ CR4_OSFXSR, 1, 3, 24 },
	{ CR4_OSXMMEXCPT, 1, 3, 25 },
	{ CR4_UMIP, 7, 2, 2 },
	{ CR4_VMXE, 1, 2, 5 },
	{ CR4_SMXE, 1, 2, 6 },
	{ CR4_FSGSBASE, 7, 1, 0 },
	{ CR4_PCIDE, 1, 2, 17 },
	{ CR4_OSXSAVE, 1, 2, 26 },
	{ CR4_SMEP, 7, 1, 7 },
	{ CR4_SMAP, 7, 1, 20 },
};

/* The guest asks its own CPUID. */
static bool cpuid_offers(u32 leaf, u8 reg, u8 shift)
{
	struct cpuid_regs r = cpuid(leaf, 0);
	u32 v = reg == 1 ? r.ebx : reg == 2 ? r.ecx : r.edx;

	return v >> shift & 1;
}

/* Each bit can be set if and only if CPUID has it, and reads back as set. */
static void try_cr4_bit(u64 i)
{
	u64 cr4 = read_cr4() & ~cr4_bits[i].bit;
	bool offered = cpuid_offers(cr4_bits[i].leaf, cr4_bits[i].reg, cr4_bits[i].shift);

	GUEST_EQ(guest_try_cr4(cr4), NO_TRAP);
	GUEST_EQ(read_cr4(), cr4);
	GUEST_EQ(guest_try_cr4(cr4 | cr4_bits[i].bit), offered ? NO_TRAP : GP_VECTOR);
	GUEST_EQ(read_cr4(), offered ? cr4 | cr4_bits[i].bit : cr4);
	GUEST_EQ(guest_try_cr4(cr4), NO_TRAP);
	GUEST_EQ(read_cr4(), cr4);
	guest_done();
}

TEST_F(modes, cr4_bits)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cr4_bits); i++) {
		test_context("CR4 bit 0x%llx", cr4_bits[i].bit);
		run_guest(self->vcpu, try_cr4_bit, i);
	}
}

static void bad_cr4(u64 arg)
{
	u64 cr4 = read_cr4();
	int i;

	GUEST_EQ(guest_try_cr4(cr4 & ~CR4_PAE), GP_VECTOR);	/* in long mode */
	GUEST_EQ(guest_try_cr4(cr4 | CR4_LA57), GP_VECTOR);
	GUEST_EQ(guest_try_cr4(cr4 | BIT_ULL(15)), GP_VECTOR);
	GUEST_EQ(guest_try_cr4(cr4 | BIT_ULL(19)), GP_VECTOR);
	for (i = 26; i < 64; i++)
		GUEST_EQ(guest_try_cr4(cr4 | BIT_ULL(i)), GP_VECTOR);
	GUEST_EQ(read_cr4(), cr4);
	guest_done();
}

TEST_F(modes, bad_cr4)
{
	run_guest(self->vcpu, bad_cr4, 0);
}

static void bad_others(u64 gpa_bits)
{
	u64 efer = rdmsr(MSR_EFER), cr3 = read_cr3();

	GUEST_EQ(guest_try_cr3(cr3 | BIT_ULL(62)), GP_VECTOR);
	GUEST_EQ(guest_try_cr3(cr3 | BIT_ULL(51)), gpa_bits > 51 ? NO_TRAP : GP_VECTOR);
	GUEST_EQ(read_cr3(), cr3);

	GUEST_EQ(guest_try_wrmsr(MSR_EFER, efer & ~EFER_LME), GP_VECTOR);
	GUEST_EQ(guest_try_wrmsr(MSR_EFER, efer | BIT_ULL(1)), GP_VECTOR);
	GUEST_EQ(guest_try_wrmsr(MSR_EFER, efer | BIT_ULL(63)), GP_VECTOR);
	GUEST_EQ(guest_try_wrmsr(MSR_EFER, efer & ~EFER_NX), NO_TRAP);
	GUEST_EQ(rdmsr(MSR_EFER), efer & ~EFER_NX);
	wrmsr(MSR_EFER, efer);
	GUEST_EQ(rdmsr(MSR_EFER), efer);

	GUEST_EQ(guest_try("mov %0, %%cr8", : : "r"(16ULL)), GP_VECTOR);
	GUEST_EQ(guest_try("mov %0, %%cr8", : : "r"(15ULL)), NO_TRAP);
	GUEST_EQ(read_cr8(), 15);
	write_cr8(0);
	GUEST_EQ(guest_try("mov %0, %%dr7", : : "r"(BIT_ULL(32) | DR7_RESET)), GP_VECTOR);
	GUEST_EQ(guest_try("mov %0, %%dr6", : : "r"(BIT_ULL(32) | DR6_RESET)), GP_VECTOR);
	guest_done();
}

TEST_F(modes, bad_others)
{
	run_guest(self->vcpu, bad_others, device_info()->gpa_bits);
}

/* ------------------------------------------------------------ what CR0 bits do */

static void write_protect(u64 gva)
{
	GUEST_EQ(guest_try_write(gva, 1), PF_VECTOR);
	GUEST_EQ(this_guest_cpu()->trap.error, PF_WRITE | PF_PROT);
	write_cr0(read_cr0() & ~CR0_WP);
	GUEST_EQ(read_cr0() & CR0_WP, 0);
	GUEST_EQ(guest_try_write(gva, 2), NO_TRAP);
	GUEST_EQ(*(u64 *)gva, 2);
	write_cr0(read_cr0() | CR0_WP);
	GUEST_EQ(guest_try_write(gva, 3), PF_VECTOR);
	GUEST_EQ(*(u64 *)gva, 2);
	guest_done();
}

TEST_F(modes, cr0_wp)
{
	vm_gva_map(self->vm, TEST_GVA, GPA_FREE, PAGE_SIZE, PTE_P, GVA_4K);
	run_guest(self->vcpu, write_protect, TEST_GVA);
}

static void task_switched(u64 arg)
{
	u64 cr0 = read_cr0();

	GUEST_EQ(guest_try("fnop", :), NO_TRAP);
	write_cr0(cr0 | CR0_TS);
	GUEST_EQ(read_cr0(), cr0 | CR0_TS);
	GUEST_EQ(guest_try("fnop", :), NM_VECTOR);
	GUEST_EQ(guest_try("movups %%xmm0, %%xmm1", :), NM_VECTOR);
	asm volatile("clts" : : : "memory");
	GUEST_EQ(read_cr0(), cr0);
	GUEST_EQ(guest_try("movups %%xmm0, %%xmm1", :), NO_TRAP);
	write_cr0(cr0 | CR0_EM);
	GUEST_EQ(guest_try("fnop", :), NM_VECTOR);
	GUEST_EQ(guest_try("movups %%xmm0, %%xmm1", :), UD_VECTOR);
	write_cr0(cr0);
	GUEST_EQ(guest_try("fnop", :), NO_TRAP);

	asm volatile("lmsw %0" : : "r"((u16)(cr0 | CR0_TS)) : "memory");
	GUEST_EQ(read_cr0(), cr0 | CR0_TS);
	asm volatile("lmsw %0" : : "r"((u16)0) : "memory");	/* does not clear PE */
	GUEST_EQ(read_cr0(), cr0 & ~(CR0_TS | CR0_MP));
	write_cr0(cr0);
	guest_done();
}

TEST_F(modes, cr0_ts_em)
{
	run_guest(self->vcpu, task_switched, 0);
}

/* The guest believes in its cache bits; the memory works all the same. */
static void cache_disable(u64 gva)
{
	u64 cr0 = read_cr0(), i, start;

	write_cr0(cr0 | CR0_CD);
	GUEST_EQ(read_cr0(), cr0 | CR0_CD);
	start = read_tsc();
	for (i = 0; i < 64; i++)
		((u64 *)gva)[i] = i;
	asm volatile("wbinvd" : : : "memory");
	for (i = 0; i < 64; i++)
		GUEST_EQ(((u64 *)gva)[i], i);
	GUEST_ASSERT(read_tsc() > start);
	write_cr0(cr0 | CR0_CD | CR0_NW);
	GUEST_EQ(read_cr0(), cr0 | CR0_CD | CR0_NW);
	write_cr0(cr0);
	GUEST_EQ(read_cr0(), cr0);
	guest_done();
}

TEST_F(modes, cr0_cd)
{
	run_guest(self->vcpu, cache_disable, GPA_FREE);
}

/* ---------------------------------------------------------- protection features */

static void no_execute(u64 gva)
{
	GUEST_EQ(guest_try_call(gva), PF_VECTOR);
	GUEST_EQ(this_guest_cpu()->trap.error, PF_PROT | PF_INSTR);
	GUEST_EQ(this_guest_cpu()->trap.cr2, gva);
	GUEST_EQ(guest_try_read(gva), NO_TRAP);
	/* Without EFER.NX the bit is a reserved one. */
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_NX);
	asm volatile("invlpg (%0)" : : "r"(gva) : "memory");
	GUEST_EQ(guest_try_read(gva), PF_VECTOR);
	GUEST_EQ(this_guest_cpu()->trap.error, PF_PROT | PF_RSVD);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NX);
	guest_done();
}

TEST_F(modes, nx)
{
	self->vm->low[GPA_FREE] = 0xc3;
	vm_gva_map(self->vm, TEST_GVA, GPA_FREE, PAGE_SIZE, PTE_P | PTE_W | PTE_NX, GVA_4K);
	run_guest(self->vcpu, no_execute, TEST_GVA);
}

static void smep(u64 gva)
{
	GUEST_EQ(guest_try_call(gva), NO_TRAP);
	write_cr4(read_cr4() | CR4_SMEP);
	GUEST_EQ(guest_try_call(gva), PF_VECTOR);
	GUEST_EQ(this_guest_cpu()->trap.error, PF_PROT | PF_INSTR);
	GUEST_EQ(guest_try_read(gva), NO_TRAP);
	write_cr4(read_cr4() & ~CR4_SMEP);
	GUEST_EQ(guest_try_call(gva), NO_TRAP);
	guest_done();
}

static void smap(u64 gva)
{
	GUEST_EQ(guest_try_read(gva), NO_TRAP);
	write_cr4(read_cr4() | CR4_SMAP);
	GUEST_EQ(guest_try_read(gva), PF_VECTOR);
	GUEST_EQ(this_guest_cpu()->trap.error, PF_PROT);
	GUEST_EQ(guest_try_write(gva, 1), PF_VECTOR);
	GUEST_EQ(this_guest_cpu()->trap.error, PF_PROT | PF_WRITE);
	asm volatile("stac" : : : "memory", "cc");
	GUEST_EQ(guest_try_read(gva), NO_TRAP);
	asm volatile("clac" : : : "memory", "cc");
	GUEST_EQ(guest_try_read(gva), PF_VECTOR);
	write_cr4(read_cr4() & ~CR4_SMAP);
	guest_done();
}

static void map_user_ret(struct vm *vm)
{
	vm->low[GPA_FREE] = 0xc3;
	vm_gva_map(vm, USER_GVA, GPA_FREE, PAGE_SIZE, PTE_P | PTE_W | PTE_U, GVA_4K);
}

TEST_F(modes, smep)
{
	if (!(guest_cpuid(7, 0, 1) & BIT_ULL(7)))
		SKIP(return, "no SMEP for guests");
	map_user_ret(self->vm);
	run_guest(self->vcpu, smep, USER_GVA);
}

TEST_F(modes, smap)
{
	if (!(guest_cpuid(7, 0, 1) & BIT_ULL(20)))
		SKIP(return, "no SMAP for guests");
	map_user_ret(self->vm);
	run_guest(self->vcpu, smap, USER_GVA);
}

GUEST_ASM(user_sgdt, .code64,
	  "sgdt -64(%rsp)\n"
	  "int $0x80\n");

static void umip(u64 gva)
{
	GUEST_EQ(guest_user_call(SEL_USER_CODE64, gva, gva + PAGE_SIZE), GUEST_USER_RETURN);
	if (!cpuid_offers(7, 2, 2))
		guest_done();
	write_cr4(read_cr4() | CR4_UMIP);
	GUEST_EQ(guest_user_call(SEL_USER_CODE64, gva, gva + PAGE_SIZE), GP_VECTOR);
	GUEST_EQ(this_guest_cpu()->trap.error, 0);
	GUEST_EQ(read_gdt().base, GPA_GDT);
	write_cr4(read_cr4() & ~CR4_UMIP);
	GUEST_EQ(guest_user_call(SEL_USER_CODE64, gva, gva + PAGE_SIZE), GUEST_USER_RETURN);
	guest_done();
}

TEST_F(modes, umip)
{
	vm_put_code(self->vm, GPA_CODE, user_sgdt, guest_asm_size(user_sgdt));
	vm_gva_map(self->vm, USER_GVA, GPA_CODE, PAGE_SIZE, PTE_P | PTE_W | PTE_U, GVA_4K);
	run_guest(self->vcpu, umip, USER_GVA);
}

/* -------------------------------------------------------------- translations */

static u64 *remapped_pte;

/* The guest changes an entry: INVLPG and a CR3 write make it count. */
static void change_mapping(u64 gva)
{
	u64 *pte = remapped_pte;

	GUEST_EQ(*(u64 *)gva, 1);
	*pte += PAGE_SIZE;
	asm volatile("invlpg (%0)" : : "r"(gva) : "memory");
	GUEST_EQ(READ_ONCE(*(u64 *)gva), 2);
	*pte -= PAGE_SIZE;
	write_cr3(read_cr3());
	GUEST_EQ(READ_ONCE(*(u64 *)gva), 1);
	*pte = 0;
	write_cr3(read_cr3());
	GUEST_EQ(guest_try_read(gva), PF_VECTOR);
	guest_done();
}

TEST_F(modes, invlpg)
{
	*(u64 *)(self->vm->low + GPA_FREE) = 1;
	*(u64 *)(self->vm->low + GPA_FREE + PAGE_SIZE) = 2;
	vm_gva_map(self->vm, TEST_GVA, GPA_FREE, PAGE_SIZE, PTE_P | PTE_W, GVA_4K);
	/* Low memory is mapped to itself: the entry's address for the guest. */
	remapped_pte = (u64 *)((u8 *)vm_gva_pte(self->vm, TEST_GVA) -
			       (uintptr_t)self->vm->low);
	run_guest(self->vcpu, change_mapping, TEST_GVA);
}

static void pcid(u64 gva)
{
	struct {
		u64 pcid;
		u64 addr;
	} what = { 1, gva };
	u64 cr3 = read_cr3();

	GUEST_EQ(guest_try_cr3(cr3 | 1), NO_TRAP);
	GUEST_EQ(guest_try_cr4(read_cr4() | CR4_PCIDE), GP_VECTOR);	/* CR3[11:0] */
	write_cr3(cr3);
	GUEST_EQ(guest_try_cr4(read_cr4() | CR4_PCIDE), NO_TRAP);
	write_cr3(cr3 | 1);
	GUEST_EQ(read_cr3(), cr3 | 1);
	write_cr3(cr3 | 2 | BIT_ULL(63));
	GUEST_EQ(read_cr3(), cr3 | 2);
	GUEST_EQ(READ_ONCE(*(u64 *)gva), 1);
	if (cpuid_offers(7, 1, 10)) {
		GUEST_EQ(guest_try("invpcid %0, %1", : : "m"(what), "r"(0ULL)), NO_TRAP);
		GUEST_EQ(guest_try("invpcid %0, %1", : : "m"(what), "r"(2ULL)), NO_TRAP);
		GUEST_EQ(guest_try("invpcid %0, %1", : : "m"(what), "r"(4ULL)), GP_VECTOR);
	} else {
		GUEST_EQ(guest_try("invpcid %0, %1", : : "m"(what), "r"(0ULL)), UD_VECTOR);
	}
	write_cr3(cr3);
	write_cr4(read_cr4() & ~CR4_PCIDE);
	guest_done();
}

TEST_F(modes, pcid)
{
	if (!(guest_cpuid(1, 0, 2) & BIT_ULL(17)))
		SKIP(return, "no PCID for guests");
	*(u64 *)(self->vm->low + GPA_FREE) = 1;
	run_guest(self->vcpu, pcid, GPA_FREE);
}

/* TRANSLATE walks as the guest does, in each paging mode. */
static int translate(struct vcpu *vcpu, u64 gva, u32 flags, u64 *gpa, u32 *allows)
{
	struct lodge_translate t = { .size = sizeof(t), .flags = flags, .gva = gva };
	int ret = try_ioctl(vcpu->fd, LODGE_VCPU_TRANSLATE, &t);

	*gpa = t.gpa;
	*allows = t.flags;
	return ret;
}

TEST_F(modes, translate)
{
	u32 allows;
	u64 gpa;

	vm_gva_map(self->vm, USER_GVA, GPA_FREE, PAGE_SIZE, PTE_P | PTE_U | PTE_NX, GVA_4K);
	vcpu_start_long(self->vcpu, umip, 0);
	ASSERT_EQ(0, translate(self->vcpu, USER_GVA + 0x123, 0, &gpa, &allows));
	ASSERT_EQ(GPA_FREE + 0x123, gpa);
	ASSERT_EQ(LODGE_GVA_USER, allows);
	ASSERT_EQ(0, translate(self->vcpu, USER_GVA, LODGE_GVA_USER, &gpa, &allows));
	ASSERT_EQ(-ENOENT, translate(self->vcpu, USER_GVA, LODGE_GVA_WRITE, &gpa, &allows));
	ASSERT_EQ(-ENOENT, translate(self->vcpu, USER_GVA, LODGE_GVA_EXEC, &gpa, &allows));
	ASSERT_EQ(-ENOENT, translate(self->vcpu, USER_GVA + PAGE_SIZE, 0, &gpa, &allows));
	ASSERT_EQ(0, translate(self->vcpu, 0x1234, LODGE_GVA_WRITE | LODGE_GVA_EXEC, &gpa,
			       &allows));
	ASSERT_EQ(0x1234, gpa);
	ASSERT_EQ(LODGE_GVA_WRITE | LODGE_GVA_EXEC, allows);
	ASSERT_EQ(-ENOENT, translate(self->vcpu, 0x1234, LODGE_GVA_USER, &gpa, &allows));
	ASSERT_EQ(-EINVAL, translate(self->vcpu, 0, 8, &gpa, &allows));
	/* Accessed and dirty bits are as they were. */
	ASSERT_EQ(GPA_FREE | PTE_P | PTE_U | PTE_NX, *vm_gva_pte(self->vm, USER_GVA));

	vcpu_start_protected(self->vcpu, GPA_CODE);
	ASSERT_EQ(0, translate(self->vcpu, 0x12345678, LODGE_GVA_WRITE, &gpa, &allows));
	ASSERT_EQ(0x12345678, gpa);
}

static void translate_alias(struct vcpu *vcpu, u64 cr3, u64 cr4, u64 pdpte)
{
	struct lodge_vcpu_state s = {};
	u32 allows;
	u64 gpa;

	vcpu_start_protected(vcpu, GPA_CODE);
	vcpu_get(vcpu, &s, LODGE_STATE_CRS);
	s.crs.cr0 |= CR0_PG;
	s.crs.cr3 = cr3;
	s.crs.cr4 |= cr4;
	s.crs.pdpte[0] = pdpte;
	vcpu_set(vcpu, &s, LODGE_STATE_CRS);
	require(!translate(vcpu, ALIAS + 0x1234, 0, &gpa, &allows));
	require(gpa == 0x1234);
	require(translate(vcpu, 3 * ALIAS, 0, &gpa, &allows) == -ENOENT);
}

TEST_F(modes, translate_32_bit)
{
	put_alias_tables(self->vm);
	translate_alias(self->vcpu, GPA_DIR32, CR4_PSE, 0);
	translate_alias(self->vcpu, GPA_PDPT, CR4_PAE, GPA_DIR_PAE | PTE_P);
}

TEST_HARNESS_MAIN
