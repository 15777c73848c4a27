/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's side. A guest is a function of the test program itself: the
 * program's image is guest memory at the addresses where it stands, so guest
 * code, its strings and all global variables are common to host and guest, and
 * a pointer means the same to both.
 *
 * Guest code runs in long mode at CPL 0 on a stack of its own. It must not call
 * libc and has no thread-local storage. Exceptions and interrupts come to
 * guest_trap() in guest.c; what it calls is marked __guest_irq, so that it
 * leaves the interrupted code's SSE registers alone.
 */
#ifndef LODGE_TEST_GUEST_H
#define LODGE_TEST_GUEST_H

#include "x86.h"

/* Guest-physical layout of every VM that vm_create() makes; see vm.c. */
#define GPA_GDT			0x1000ULL
#define GPA_IDT			0x2000ULL
#define GPA_TSS			0x3000ULL	/* 256 bytes for each vCPU */
#define GPA_CODE		0x8000ULL	/* free for a test's raw code */
#define GPA_CODE_END		0x10000ULL
#define GPA_TABLES		0x10000ULL	/* page tables */
#define GPA_TABLES_END		0x80000ULL
#define GPA_FREE		0x80000ULL	/* free for a test's data */
#define GPA_STACKS		0x100000ULL
#define STACK_SIZE		0x10000
#define NR_GUEST_CPUS		16
#define LOW_SIZE		0x200000
#define GPA_IMAGE		0x08000000ULL
#define GPA_TEST		0x10000000ULL	/* from here to 0xe0000000: the test's */
#define GPA_MMIO		0xe0000000ULL	/* never mapped */

/* Selectors in the guest's GDT. */
#define SEL_CODE64		0x08
#define SEL_DATA		0x10
#define SEL_CODE32		0x18
#define SEL_CODE16		0x20
#define SEL_DATA16		0x28
#define SEL_USER_CODE32		0x33
#define SEL_USER_DATA		0x3b
#define SEL_USER_CODE64		0x43
#define SEL_TSS			0x50	/* 16 bytes for each vCPU */
#define GDT_LIMIT		(SEL_TSS + NR_GUEST_CPUS * 16 - 1)

/* What the guest says to the host: OUT of the number to this port. */
#define GUEST_PORT		0x5e0

enum guest_call_nr {
	GUEST_CALL_DONE = 1,
	GUEST_CALL_SYNC,	/* arg 0: number */
	GUEST_CALL_VALUE,	/* arg 0: value */
	GUEST_CALL_FAIL,	/* args: text, file, line */
	GUEST_CALL_FAIL_CMP,	/* args: text, file, line, seen, expected */
	GUEST_CALL_TRAP,	/* arg 0: struct guest_frame */
};

/* Registers at an exception or interrupt, as trap.S stores them. */
struct guest_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8;
	u64 rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};

#define NO_TRAP			(-1)

/* The last exception that a guest_try() met. */
struct guest_trap {
	int vector;
	u32 error;
	u64 rip;
	u64 cr2;
};

#define __guest_irq		__attribute__((target("general-regs-only")))

typedef void (*guest_handler)(struct guest_frame *frame);

struct guest_cpu {
	struct guest_trap trap;
	u64 user_sp;		/* where guest_user_call() goes on */
	u64 interrupts[256];	/* by vector, those that had a handler */
};

/* Filled by the linker from TRY_ASM: offsets, each relative to itself. */
struct guest_extable {
	__s32 insn;
	__s32 fixup;
};

extern const struct guest_extable __start_guest_extable[];
extern const struct guest_extable __stop_guest_extable[];

extern struct guest_cpu guest_cpus[NR_GUEST_CPUS];
extern guest_handler guest_handlers[256];

/* trap.S, and what it calls */
extern const u8 guest_trap_stubs[256][16];
extern const u8 guest_user_exit[];
__guest_irq void guest_trap(struct guest_frame *frame);
void guest_user_enter(u64 code, u64 stack, u64 *sp, u64 selector);

/* A vCPU knows itself by its stack. */
static inline u32 guest_cpu_id(void)
{
	u64 sp;

	asm volatile("mov %%rsp, %0" : "=r"(sp));
	return (sp - GPA_STACKS) / STACK_SIZE % NR_GUEST_CPUS;
}

static inline struct guest_cpu *this_guest_cpu(void)
{
	return &guest_cpus[guest_cpu_id()];
}

static inline void guest_call(u32 nr, u64 a, u64 b, u64 c, u64 d, u64 e)
{
	register u64 r8 asm("r8") = d;
	register u64 r9 asm("r9") = e;

	asm volatile("outl %%eax, %%dx"
		     : "+a"(nr) : "d"(GUEST_PORT), "D"(a), "S"(b), "c"(c),
		       "r"(r8), "r"(r9) : "memory");
}

static inline void guest_sync(u64 n)
{
	guest_call(GUEST_CALL_SYNC, n, 0, 0, 0, 0);
}

static inline void guest_value(u64 v)
{
	guest_call(GUEST_CALL_VALUE, v, 0, 0, 0, 0);
}

static inline void guest_done(void)
{
	guest_call(GUEST_CALL_DONE, 0, 0, 0, 0, 0);
}

void guest_fail(const char *text, const char *file, u32 line);
void guest_fail_cmp(const char *text, const char *file, u32 line, u64 seen, u64 want);

#define GUEST_ASSERT(expr)						\
do {									\
	if (!(expr))							\
		guest_fail(#expr, __FILE__, __LINE__);			\
} while (0)

#define GUEST_EQ(seen, want)						\
do {									\
	u64 __eq_seen = (u64)(seen), __eq_want = (u64)(want);		\
									\
	if (__eq_seen != __eq_want)					\
		guest_fail_cmp(#seen " == " #want, __FILE__, __LINE__,	\
			       __eq_seen, __eq_want);			\
} while (0)

/* Assembly text of an instruction that may fault; for guest_try(). */
#define TRY_ASM(insn)							\
	"771: " insn "\n772:\n"						\
	".pushsection guest_extable, \"a\"\n"				\
	".balign 4\n"							\
	".long 771b - ., 772b - .\n"					\
	".popsection\n"

/*
 * Execute one instruction, given with its operands as for asm(); the value is
 * the vector of the exception that it met, or NO_TRAP. More about the exception
 * is in this_guest_cpu()->trap. Without operands write guest_try("insn", :).
 */
#define guest_try(insn, ...)						\
({									\
	this_guest_cpu()->trap.vector = NO_TRAP;			\
	asm volatile("" : : : "memory");				\
	asm volatile(TRY_ASM(insn) __VA_ARGS__);			\
	asm volatile("" : : : "memory");				\
	this_guest_cpu()->trap.vector;					\
})

/* The usual ones. */
int guest_try_rdmsr(u32 index, u64 *value);
int guest_try_wrmsr(u32 index, u64 value);
int guest_try_cr0(u64 value);
int guest_try_cr3(u64 value);
int guest_try_cr4(u64 value);
int guest_try_xsetbv(u32 index, u64 value);
int guest_try_read(u64 addr);
int guest_try_write(u64 addr, u64 value);
int guest_try_call(u64 addr);

/* Count interrupts of @vector in guest_cpu.interrupts, with EOI or without. */
__guest_irq void guest_count_irq(struct guest_frame *frame);
__guest_irq void guest_count_only(struct guest_frame *frame);

/*
 * Run code at CPL 3 with I/O privilege until it meets an exception or executes
 * INT GUEST_USER_RETURN; the value is the vector of that. @selector is
 * SEL_USER_CODE64 or _CODE32. The pages must have PTE_U.
 */
#define GUEST_USER_RETURN	0x80
int guest_user_call(u16 selector, u64 code, u64 stack);

/* The local APIC by whichever way it is enabled now. */
u64 guest_apic_read(u32 reg);
void guest_apic_write(u32 reg, u64 value);
__guest_irq void guest_eoi(void);
void guest_x2apic_on(void);
void guest_apic_enable(void);
void guest_send_ipi(u32 dest, u32 icr_low);
void guest_handle(u8 vector, guest_handler handler);
bool guest_apic_bit(u32 base_reg, u8 vector);

/* Spin for about @ticks of the TSC. */
void guest_delay(u64 ticks);

/*
 * Raw code for modes that the compiler knows nothing of: GUEST_ASM(name, mode,
 * text) assembles @text for .code16, .code32 or .code64; name and name_end
 * bound it, and guest_asm_size(name) is its size.
 */
#define GUEST_ASM(name, mode, text)					\
extern const u8 name[], name##_end[];					\
asm(".pushsection .rodata\n" #mode "\n"				\
	".globl " #name ", " #name "_end\n"				\
	#name ":\n" text "\n" #name "_end:\n"				\
	".code64\n.popsection\n")

#define guest_asm_size(name)		((size_t)(name##_end - (name)))

#endif
