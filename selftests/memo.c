// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that is not RAM, by an instruction that has been there before: lodge may
 * remember what it decoded, and yet each access must be what the guest's registers,
 * tables and memory say at that moment. Everything that decides about an instruction
 * is changed here on its own, at the same RIP and for the same device.
 */
#include "fuzz.h"
#include "vm.h"
#include "kselftest_harness.h"

/*
 * Guest memory: two pages of code behind one linear address, with tables of their own
 * at all levels; devices are identity-mapped, as all below 4 GiB.
 */
#define CODE		GPA_TEST
#define WINDOW		(4ULL << 39)		/* an entry of its own in the root */
#define SLOT		0x100			/* where in its page the instruction is */
#define DEVICE		GPA_MMIO
#define NR_DEVICES	8
#define PATH		(GPA_FREE + PAGE_SIZE)	/* the tables of way 0, then those of way 1 */
#define ROOT		GPA_FREE		/* another root, with way 1 */
#define TABLE(way, level) (PATH + ((way) * 3 + 3 - (level)) * PAGE_SIZE)
#define TABLE_FLAGS	(PTE_P | PTE_W | PTE_U)
#define VISITS		3
#define LONG_WORDS	4			/* a level each: 4 is the root's */

enum source { FROM_RAX, FROM_R8, FROM_IMM };

/* An instruction that accesses @offset from RBX, with RCX = 0. */
struct form {
	const char *name;
	u8 kind;		/* 'r', 'w'; 'u': not decoded */
	u8 width;
	u8 source;		/* 'w': enum source */
	u8 shift;		/* the register's bits that count begin here */
	bool sign;		/* 'r': extend it */
	u16 offset;
	u64 imm;
	u64 kept;		/* 'r': what stays of RAX */
	u8 len;
	u8 code[15];
};

#define CODE_BYTES(...)	.len = sizeof((u8[]){ __VA_ARGS__ }), .code = { __VA_ARGS__ }
#define KEEP(bits)	.kept = ~(((1ULL << (bits)) - 1))

static const struct form forms[] = {
	{ "mov %rax, (%rbx)", 'w', 8, CODE_BYTES(0x48, 0x89, 0x03) },
	{ "mov %eax, (%rbx)", 'w', 4, CODE_BYTES(0x89, 0x03) },
	{ "mov %ax, (%rbx)", 'w', 2, CODE_BYTES(0x66, 0x89, 0x03) },
	{ "mov %al, (%rbx)", 'w', 1, CODE_BYTES(0x88, 0x03) },
	{ "mov %ah, (%rbx)", 'w', 1, .shift = 8, CODE_BYTES(0x88, 0x23) },
	{ "mov %r8, 8(%rbx)", 'w', 8, FROM_R8, .offset = 8, CODE_BYTES(0x4c, 0x89, 0x43, 8) },
	{ "mov %r8d, 0x100(%rbx)", 'w', 4, FROM_R8, .offset = 0x100,
	  CODE_BYTES(0x44, 0x89, 0x83, 0, 1, 0, 0) },
	{ "movb $0x5a, 4(%rbx)", 'w', 1, FROM_IMM, .imm = 0x5a, .offset = 4,
	  CODE_BYTES(0xc6, 0x43, 4, 0x5a) },
	{ "movl $0x12345678, (%rbx)", 'w', 4, FROM_IMM, .imm = 0x12345678,
	  CODE_BYTES(0xc7, 0x03, 0x78, 0x56, 0x34, 0x12) },
	{ "movl $0x12345679, (%rbx)", 'w', 4, FROM_IMM, .imm = 0x12345679,
	  CODE_BYTES(0xc7, 0x03, 0x79, 0x56, 0x34, 0x12) },
	/* These two differ in the 9th byte, and those in the 10th, 11th and 12th. */
	{ "movq $0x11223344, 0x100(%rbx,%rcx)", 'w', 8, FROM_IMM, .imm = 0x11223344,
	  .offset = 0x100, CODE_BYTES(0x48, 0xc7, 0x84, 0x0b, 0, 1, 0, 0, 0x44, 0x33, 0x22, 0x11) },
	{ "movq $0x11223345, 0x100(%rbx,%rcx)", 'w', 8, FROM_IMM, .imm = 0x11223345,
	  .offset = 0x100, CODE_BYTES(0x48, 0xc7, 0x84, 0x0b, 0, 1, 0, 0, 0x45, 0x33, 0x22, 0x11) },
	{ "movq $-0x1123457, 0x100(%rbx,%rcx)", 'w', 8, FROM_IMM, .imm = -0x1123457ULL,
	  .offset = 0x100, CODE_BYTES(0x48, 0xc7, 0x84, 0x0b, 0, 1, 0, 0, 0xa9, 0xcb, 0xed, 0xfe) },
	/* The same with another prefix each in front, up to the longest there is. */
	{ "movl $0x11223344, %ds:0x100(%rbx,%rcx)", 'w', 4, FROM_IMM, .imm = 0x11223344,
	  .offset = 0x100, CODE_BYTES(0x3e, 0x3e, 0x3e, 0x3e, 0xc7, 0x84, 0x0b, 0, 1, 0, 0,
				      0x44, 0x33, 0x22, 0x11) },
	{ "movl $0x12223344, %ds:0x100(%rbx,%rcx)", 'w', 4, FROM_IMM, .imm = 0x12223344,
	  .offset = 0x100, CODE_BYTES(0x3e, 0x3e, 0x3e, 0x3e, 0xc7, 0x84, 0x0b, 0, 1, 0, 0,
				      0x44, 0x33, 0x22, 0x12) },
	{ "mov (%rbx), %rax", 'r', 8, CODE_BYTES(0x48, 0x8b, 0x03) },
	{ "mov (%rbx), %eax", 'r', 4, CODE_BYTES(0x8b, 0x03) },
	{ "mov (%rbx), %ax", 'r', 2, KEEP(16), CODE_BYTES(0x66, 0x8b, 0x03) },
	{ "mov (%rbx), %al", 'r', 1, KEEP(8), CODE_BYTES(0x8a, 0x03) },
	{ "mov (%rbx), %ah", 'r', 1, .shift = 8, .kept = ~0xff00ULL, CODE_BYTES(0x8a, 0x23) },
	{ "movzbl (%rbx), %eax", 'r', 1, CODE_BYTES(0x0f, 0xb6, 0x03) },
	{ "movsbq (%rbx), %rax", 'r', 1, .sign = true, CODE_BYTES(0x48, 0x0f, 0xbe, 0x03) },
	{ "movzwl 0x100(%rbx), %eax", 'r', 2, .offset = 0x100,
	  CODE_BYTES(0x0f, 0xb7, 0x83, 0, 1, 0, 0) },
	{ "movslq (%rbx), %rax", 'r', 4, .sign = true, CODE_BYTES(0x48, 0x63, 0x03) },
	{ "mov 0x100(%rbx,%rcx), %rax", 'r', 8, .offset = 0x100,
	  CODE_BYTES(0x48, 0x8b, 0x84, 0x0b, 0, 1, 0, 0) },
	{ "add %eax, (%rbx)", 'u', 4, CODE_BYTES(0x01, 0x03) },
	{ "cmp %eax, (%rbx)", 'u', 4, CODE_BYTES(0x39, 0x03) },
};

#define NR_FORMS	ARRAY_SIZE(forms)
/*
 * What is to be told apart is two stores, or two loads: by the kind of access alone a
 * load and a store are.
 */
#define STORE		(&forms[0])
#define STORE_4		(&forms[1])
#define LOAD		(&forms[15])
#define LOAD_4		(&forms[16])

/*
 * The guest says here what it is about to do, and the host takes it from here when it
 * comes.
 */
static struct {
	const struct form *form;
	u64 gpa;
	u64 rax;
	u64 r8;
	u64 data;		/* what a read gives */
	bool undecoded;		/* a form that is not decoded, this time */
	bool due;		/* an exit must come, and has not yet */
} now;

static u64 key;

static u64 mix(u64 v)
{
	v *= 0x9e3779b97f4a7c15ULL;
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ULL;
	v = (v ^ v >> 27) * 0x94d049bb133111ebULL;
	return v ^ v >> 31;
}

static u64 width_mask(u32 width)
{
	return width == 8 ? ~0ULL : BIT_ULL(width * 8) - 1;
}

/* ------------------------------------------------------------- the guest's side */

/* Writes @form where the identity map has it, with a RET behind. */
static void put_form(u64 page, const struct form *form)
{
	u8 *to = (u8 *)(page + SLOT);
	u32 i;

	for (i = 0; i < form->len; i++)
		WRITE_ONCE(to[i], form->code[i]);
	WRITE_ONCE(to[i++], 0xc3);
	for (; i < 16; i++)
		WRITE_ONCE(to[i], 0x90);
}

/* The instruction at linear address @at, on @device. RAX afterwards. */
static u64 call_slot(u64 at, u64 device)
{
	register u64 r8 asm("r8") = now.r8;
	u64 rax = now.rax;

	asm volatile("subq $128, %%rsp; call *%1; addq $128, %%rsp"
		     : "+a"(rax) : "r"(at), "b"(device), "c"(0), "r"(r8) : "memory", "cc");
	return rax;
}

static u64 rax_after(const struct form *form, u64 rax, u64 data)
{
	u32 unused = 64 - form->width * 8;

	if (form->kind != 'r')
		return rax;
	data &= width_mask(form->width);
	if (form->sign)
		data = (u64)((s64)(data << unused) >> unused);
	return (rax & form->kept) | (data << form->shift & ~form->kept);
}

static void prepare(const struct form *form, u64 device)
{
	now.form = form;
	now.gpa = (device < WINDOW ? device : CODE + (device - WINDOW)) + form->offset;
	now.rax = mix(++key);
	now.r8 = mix(++key);
	now.data = mix(++key);
	now.undecoded = form->kind == 'u';
}

/*
 * What stands at @at now is @form, and @device is one. What lodge remembers it makes of
 * what comes twice running, and uses from the third time on.
 */
static void visit_at(u64 at, const struct form *form, u64 device)
{
	int turn;

	for (turn = 0; turn < VISITS; turn++) {
		prepare(form, device);
		now.due = true;
		GUEST_EQ(call_slot(at, device), rax_after(form, now.rax, now.data));
		GUEST_ASSERT(!READ_ONCE(now.due));
	}
}

static void visit(const struct form *form, u64 device)
{
	visit_at(WINDOW + SLOT, form, device);
}

/* An exit in spite of a form that is decoded elsewhere. */
static void visit_undecoded(const struct form *form, u64 device)
{
	prepare(form, device);
	now.undecoded = true;
	now.due = true;
	GUEST_EQ(call_slot(WINDOW + SLOT, device), now.rax);
	GUEST_ASSERT(!READ_ONCE(now.due));
}

/* The same where RAM is: nobody sees it, and it is done. */
static void visit_ram(const struct form *form, u64 ram)
{
	u64 *at = (u64 *)(ram + form->offset), after;

	prepare(form, ram);
	now.due = false;
	if (form->kind == 'r')
		WRITE_ONCE(*at, now.data);
	after = call_slot(WINDOW + SLOT, ram);
	GUEST_EQ(after, rax_after(form, now.rax, now.data));
	if (form->kind == 'w')
		GUEST_EQ(READ_ONCE(*at) & width_mask(form->width),
			 now.rax & width_mask(form->width));
}

static void flush(u64 how)
{
	if (how)
		write_cr3(read_cr3());
	else
		asm volatile("invlpg (%0)" : : "r"(WINDOW) : "memory");
}

/* -------------------------------------------------------------- the host's side */

FIXTURE(memo)
{
	struct vm *vm;
	struct vcpu *vcpu;
	u8 *code;		/* both pages */
};

static u64 *table(struct vm *vm, u64 gpa)
{
	return (u64 *)(vm->low + gpa);
}

/* Two ways from the root to the code; the one in use is 0. */
static void lay_ways(struct vm *vm)
{
	u64 way;

	for (way = 0; way < 2; way++) {
		table(vm, TABLE(way, 3))[0] = TABLE(way, 2) | TABLE_FLAGS;
		table(vm, TABLE(way, 2))[0] = TABLE(way, 1) | TABLE_FLAGS;
		table(vm, TABLE(way, 1))[0] = (CODE + way * PAGE_SIZE) | TABLE_FLAGS;
	}
	memcpy(table(vm, ROOT), table(vm, GPA_TABLES), PAGE_SIZE);
	table(vm, GPA_TABLES)[WINDOW >> 39] = TABLE(0, 3) | TABLE_FLAGS;
	table(vm, ROOT)[WINDOW >> 39] = TABLE(1, 3) | TABLE_FLAGS;
}

FIXTURE_SETUP(memo)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0);
	self->vcpu->run->wanted = LODGE_STATE_GPRS;
	self->code = vm_ram(self->vm, CODE, 2 * PAGE_SIZE);
	lay_ways(self->vm);
}

FIXTURE_TEARDOWN(memo)
{
	vcpu_destroy(self->vcpu);
	vm_destroy(self->vm);
}

static u64 stored(const struct form *form)
{
	const u64 from[] = { now.rax, now.r8, form->imm };

	return from[form->source] >> form->shift & width_mask(form->width);
}

static void check_undecoded(struct vcpu *vcpu, const struct lodge_exit *e)
{
	const struct form *form = now.form;

	if (!(e->mmio.flags & LODGE_MMIO_UNDECODED) || e->flags & LODGE_EXIT_F_COMPLETE ||
	    e->insn_bytes < form->len || memcmp(e->insn, form->code, form->len))
		vcpu_fail(vcpu, "%s: wanted its bytes", form->name);
	vcpu->run->gprs.rip += form->len;
	vcpu->run->dirty = LODGE_STATE_GPRS;
}

static void check_decoded(struct vcpu *vcpu, const struct lodge_exit *e)
{
	const struct form *form = now.form;
	bool store = form->kind == 'w';
	u64 data = store ? stored(form) : 0;

	if (e->mmio.width != form->width || e->mmio.flags != (store ? LODGE_MMIO_WRITE : 0) ||
	    e->mmio.data != data || e->insn_len != form->len ||
	    e->next_rip != e->rip + form->len || e->insn_bytes != form->len ||
	    memcmp(e->insn, form->code, form->len) ||
	    !(e->flags & LODGE_EXIT_F_COMPLETE))
		vcpu_fail(vcpu, "%s: wanted %s of %u bytes, data 0x%llx", form->name,
			  store ? "write" : "read", form->width, data);
	vcpu->run->data = now.data;
	vcpu->complete = true;
}

/* The exit must be the access that the guest has announced. */
static void check_exit(struct vcpu *vcpu)
{
	const struct lodge_exit *e = &vcpu->run->exit;

	if (!now.due || e->mmio.gpa != now.gpa)
		vcpu_fail(vcpu, "%s: wanted %s at 0x%llx", now.form->name,
			  now.due ? "an access" : "nothing", now.gpa);
	if (now.undecoded)
		check_undecoded(vcpu, e);
	else
		check_decoded(vcpu, e);
	now.due = false;
}

/* RUN until the guest says something: what it syncs with; 0 when it is done. */
static u64 serve(struct vcpu *vcpu)
{
	const struct lodge_exit *e = &vcpu->run->exit;

	for (;;) {
		if (vcpu_run(vcpu))
			vcpu_fail(vcpu, "RUN");
		guest_hear(vcpu);
		if (e->reason != LODGE_EXIT_MMIO)
			break;
		check_exit(vcpu);
	}
	if (e->reason != LODGE_EXIT_PIO)
		vcpu_fail(vcpu, "wanted an access or a word of the guest");
	vcpu->complete = true;
	return e->pio.data == GUEST_CALL_DONE ? 0 : vcpu->run->gprs.reg[7];
}

static void run_guest(struct vcpu *vcpu, void (*fn)(u64 arg), u64 arg)
{
	vcpu_start_long(vcpu, fn, arg);
	if (serve(vcpu))
		vcpu_fail(vcpu, "wanted the guest's end");
}

/* ------------------------------------------------------------------- its bytes */

/* Each form after each other, in the same place. */
static void change_bytes(u64 arg)
{
	u64 i, j;

	for (i = 0; i < NR_FORMS; i++) {
		for (j = 0; j < NR_FORMS; j++) {
			put_form(CODE, &forms[i]);
			visit(&forms[i], DEVICE);
			put_form(CODE, &forms[j]);
			visit(&forms[j], DEVICE);
		}
	}
	guest_done();
}

TEST_F(memo, bytes)
{
	run_guest(self->vcpu, change_bytes, 0);
}

/* Two places, each with its own: RIP tells them apart. */
static void change_rip(u64 arg)
{
	u64 i;

	put_form(CODE, STORE);
	put_form(CODE + 0x200, STORE_4);
	put_form(CODE + 0x400, LOAD);
	for (i = 0; i < 5; i++) {
		visit(STORE, DEVICE);
		visit_at(WINDOW + SLOT + 0x200, STORE_4, DEVICE);
		visit_at(WINDOW + SLOT + 0x400, LOAD, DEVICE);
	}
	guest_done();
}

TEST_F(memo, rip)
{
	run_guest(self->vcpu, change_rip, 0);
}

/* ----------------------------------------------------------------- page tables */

/* The entry of each level, from the page up, and its two values. */
static struct {
	u64 *entry;
	u64 value[2];
} levels[LONG_WORDS];

static void change_level(u64 level, u64 how)
{
	u64 i;

	for (i = 0; i < 6; i++) {
		WRITE_ONCE(*levels[level].entry, levels[level].value[i & 1]);
		flush(how);
		visit(i & 1 ? STORE_4 : STORE, DEVICE);
	}
	WRITE_ONCE(*levels[level].entry, levels[level].value[0]);
	flush(how);
}

static void change_levels(u64 how)
{
	u64 level;

	put_form(CODE, STORE);
	put_form(CODE + PAGE_SIZE, STORE_4);
	for (level = 0; level < LONG_WORDS; level++)
		change_level(level, how);
	guest_done();
}

/* The guest has low memory at its guest-physical address. */
static void find_levels(void)
{
	u64 level, way;

	levels[0].entry = (u64 *)TABLE(0, 1);
	levels[1].entry = (u64 *)TABLE(0, 2);
	levels[2].entry = (u64 *)TABLE(0, 3);
	levels[3].entry = (u64 *)GPA_TABLES + (WINDOW >> 39);
	for (way = 0; way < 2; way++) {
		levels[0].value[way] = (CODE + way * PAGE_SIZE) | TABLE_FLAGS;
		for (level = 1; level < LONG_WORDS; level++)
			levels[level].value[way] = TABLE(way, level) | TABLE_FLAGS;
	}
}

TEST_F(memo, levels_invlpg)
{
	find_levels();
	run_guest(self->vcpu, change_levels, 0);
}

TEST_F(memo, levels_cr3)
{
	find_levels();
	run_guest(self->vcpu, change_levels, 1);
}

static void change_cr3(u64 arg)
{
	u64 i;

	put_form(CODE, STORE);
	put_form(CODE + PAGE_SIZE, STORE_4);
	for (i = 0; i < 6; i++) {
		write_cr3(i & 1 ? ROOT : GPA_TABLES);
		visit(i & 1 ? STORE_4 : STORE, DEVICE);
	}
	guest_done();
}

TEST_F(memo, cr3)
{
	run_guest(self->vcpu, change_cr3, 0);
}

#define HAS_1G		BIT_ULL(26)	/* CPUID 80000001h, EDX */
#define GIB		BIT_ULL(30)

/* A large page's entry becomes another's, and a table's: walks of two to four entries. */
static void change_size(u64 level)
{
	u64 page = level == 2 ? HUGE_SIZE : GIB, base = CODE & ~(page - 1), i;
	u64 value[] = { base | TABLE_FLAGS | PTE_PS, (base + page) | TABLE_FLAGS | PTE_PS,
			levels[level - 1].value[0] };
	const struct form *want[] = { STORE, STORE_4, &forms[2] };
	u64 at = WINDOW + (CODE & (page - 1)) + SLOT;

	put_form(CODE, STORE);
	put_form(CODE + page, STORE_4);
	put_form(CODE + PAGE_SIZE, &forms[2]);
	for (i = 0; i < 9; i++) {
		WRITE_ONCE(*levels[level - 1].entry, value[i % 3]);
		write_cr3(read_cr3());
		visit_at(at, want[i % 3], DEVICE);
	}
	guest_done();
}

/* The small page at the large one's address of the code. */
static void lay_size(struct vm *vm, u64 level)
{
	u64 at = CODE & ((level == 2 ? HUGE_SIZE : GIB) - 1);

	table(vm, TABLE(0, 2))[at >> 21 & 511] = TABLE(0, 1) | TABLE_FLAGS;
	table(vm, TABLE(0, 1))[at >> 12 & 511] = (CODE + PAGE_SIZE) | TABLE_FLAGS;
	find_levels();
	vm_ram(vm, CODE + (level == 2 ? HUGE_SIZE : GIB), PAGE_SIZE);
}

TEST_F(memo, size_2m)
{
	lay_size(self->vm, 2);
	run_guest(self->vcpu, change_size, 2);
}

TEST_F(memo, size_1g)
{
	if (!(guest_cpuid(0x80000001, 0, 3) & HAS_1G))
		SKIP(return, "no 1 GiB pages");
	lay_size(self->vm, 3);
	run_guest(self->vcpu, change_size, 3);
}

/* ---------------------------------------------------------------- the memory map */

/* Syncs with 1, 2, ... and the host changes the map each time. */
static void change_code(u64 arg)
{
	put_form(CODE, STORE);
	visit(STORE, DEVICE);
	guest_sync(1);
	visit(STORE_4, DEVICE);
	guest_sync(2);
	visit(STORE, DEVICE);
	guest_done();
}

static void replace(struct vm *vm, u64 gpa, void *mem)
{
	struct lodge_mem_op ops[] = {
		{ .op = LODGE_MEM_UNMAP, .gpa = gpa, .len = PAGE_SIZE },
		{ .op = LODGE_MEM_MAP, .gpa = gpa, .len = PAGE_SIZE,
		  .hva = (uintptr_t)mem },
	};

	require(!vm_try_update(vm, ops, 2, NULL));
}

static void put_form_host(u8 *page, const struct form *form)
{
	memcpy(page + SLOT, form->code, form->len);
	page[SLOT + form->len] = 0xc3;
}

TEST_F(memo, map_of_code)
{
	u8 *other = map_anon(PAGE_SIZE);

	put_form_host(other, STORE_4);
	vcpu_start_long(self->vcpu, change_code, 0);
	ASSERT_EQ(1, serve(self->vcpu));
	replace(self->vm, CODE, other);
	ASSERT_EQ(2, serve(self->vcpu));
	replace(self->vm, CODE, self->code);
	ASSERT_EQ(0, serve(self->vcpu));
}

/* The last table comes from memory of its own, and then from other memory. */
#define TABLE_AT	(CODE + 16 * PAGE_SIZE)

TEST_F(memo, map_of_tables)
{
	u64 *a = vm_ram(self->vm, TABLE_AT, PAGE_SIZE), *b = map_anon(PAGE_SIZE);

	a[0] = CODE | TABLE_FLAGS;
	b[0] = (CODE + PAGE_SIZE) | TABLE_FLAGS;
	table(self->vm, TABLE(0, 2))[0] = TABLE_AT | TABLE_FLAGS;
	put_form_host(self->code + PAGE_SIZE, STORE_4);
	vcpu_start_long(self->vcpu, change_code, 0);
	ASSERT_EQ(1, serve(self->vcpu));
	replace(self->vm, TABLE_AT, b);
	ASSERT_EQ(2, serve(self->vcpu));
	replace(self->vm, TABLE_AT, a);
	ASSERT_EQ(0, serve(self->vcpu));
}

/* A device's page becomes RAM and a device's again. */
static void change_device(u64 arg)
{
	put_form(CODE, STORE);
	visit(STORE, DEVICE);
	visit(STORE, DEVICE);
	guest_sync(1);
	visit_ram(STORE, DEVICE);
	guest_sync(2);
	visit(STORE, DEVICE);
	put_form(CODE, LOAD);
	visit(LOAD, DEVICE);
	guest_sync(3);
	visit_ram(LOAD, DEVICE);
	guest_done();
}

TEST_F(memo, device_becomes_ram)
{
	u8 *mem = map_anon(PAGE_SIZE);

	vcpu_start_long(self->vcpu, change_device, 0);
	ASSERT_EQ(1, serve(self->vcpu));
	vm_map(self->vm, DEVICE, mem, PAGE_SIZE, 0);
	ASSERT_EQ(2, serve(self->vcpu));
	vm_unmap(self->vm, DEVICE, PAGE_SIZE);
	ASSERT_EQ(3, serve(self->vcpu));
	vm_map(self->vm, DEVICE, mem, PAGE_SIZE, 0);
	ASSERT_EQ(0, serve(self->vcpu));
}

/* Reads of a read-only region are RAM's, and its first read comes as a device's does. */
static void change_readonly(u64 arg)
{
	u64 value;

	put_form(CODE, LOAD);
	visit(LOAD, DEVICE);
	guest_sync(1);
	prepare(LOAD, DEVICE);
	value = call_slot(WINDOW + SLOT, DEVICE);
	GUEST_EQ(value, 0x1122334455667788ULL);
	put_form(CODE, STORE);
	visit(STORE, DEVICE);
	visit(STORE, DEVICE);
	guest_sync(2);
	visit_ram(STORE, DEVICE);
	guest_sync(3);
	visit(STORE, DEVICE);
	put_form(CODE, LOAD);
	visit_ram(LOAD, DEVICE + PAGE_SIZE);
	guest_done();
}

TEST_F(memo, device_becomes_readonly)
{
	u64 *mem = map_anon(PAGE_SIZE);

	mem[0] = 0x1122334455667788ULL;
	vcpu_start_long(self->vcpu, change_readonly, 0);
	ASSERT_EQ(1, serve(self->vcpu));
	vm_map(self->vm, DEVICE, mem, PAGE_SIZE, LODGE_MEM_F_READONLY);
	ASSERT_EQ(2, serve(self->vcpu));
	vm_protect(self->vm, DEVICE, PAGE_SIZE, 0);
	ASSERT_EQ(3, serve(self->vcpu));
	vm_protect(self->vm, DEVICE, PAGE_SIZE, LODGE_MEM_F_READONLY);
	vm_ram(self->vm, DEVICE + PAGE_SIZE, PAGE_SIZE);
	ASSERT_EQ(0, serve(self->vcpu));
}

/*
 * Code that stores to its own page, which is read-only: RAM to be fetched from, and a
 * device to be written to. The host takes the page away meanwhile, and what comes then
 * from this RIP to this page is the fetch.
 */
static void store_to_code(u64 arg)
{
	visit(STORE, WINDOW + 0x800);
	visit(STORE, WINDOW + 0x800);
	guest_sync(1);
	visit(STORE, WINDOW + 0x800);
	guest_done();
}

TEST_F(memo, fetch_from_device)
{
	put_form_host(self->code, STORE);
	vm_protect(self->vm, CODE, PAGE_SIZE, LODGE_MEM_F_READONLY);
	vcpu_start_long(self->vcpu, store_to_code, 0);
	ASSERT_EQ(1, serve(self->vcpu));
	require(!mprotect(self->code, PAGE_SIZE, PROT_NONE));
	require(!mprotect(self->code, PAGE_SIZE, PROT_READ));
	ASSERT_EQ(0, serve(self->vcpu));
}

/* ------------------------------------------------------------- what is accessed */

/* More devices than are remembered, by one instruction and by several. */
static void change_devices(u64 arg)
{
	u64 i, j;

	put_form(CODE, STORE);
	put_form(CODE + 0x200, LOAD);
	for (i = 0; i < 4; i++) {
		for (j = 0; j < NR_DEVICES; j++) {
			visit(STORE, DEVICE + j * PAGE_SIZE);
			visit_at(WINDOW + SLOT + (j & 1 ? 0x200 : 0), j & 1 ? LOAD : STORE,
				 DEVICE + (j ^ 3) * PAGE_SIZE + 8 * i);
		}
	}
	guest_done();
}

TEST_F(memo, devices)
{
	run_guest(self->vcpu, change_devices, 0);
}

/* RAM that nobody has touched, wherever a device may be remembered. */
#define FRESH		(CODE + 0x100000)

static void device_and_ram(u64 arg)
{
	u64 i;

	put_form(CODE, STORE);
	for (i = 0; i < NR_DEVICES; i++)
		visit(STORE, DEVICE + i * PAGE_SIZE);
	for (i = 0; i < 2 * NR_DEVICES; i++)
		visit_ram(STORE, FRESH + i * PAGE_SIZE);
	guest_done();
}

TEST_F(memo, device_and_fresh_ram)
{
	vm_ram(self->vm, FRESH, 2 * NR_DEVICES * PAGE_SIZE);
	run_guest(self->vcpu, device_and_ram, 0);
}

/* To the end of the page and beyond it. */
static void cross_page(u64 arg)
{
	u64 end = DEVICE + PAGE_SIZE, i;

	put_form(CODE, STORE);
	for (i = 0; i < 4; i++) {
		visit(STORE, DEVICE);
		visit(STORE, end - 8);
		visit_undecoded(STORE, end - 7 + i);
		visit(STORE, end - 8);
		visit(STORE, end);
	}
	put_form(CODE, LOAD);
	visit(LOAD, end - 8);
	visit_undecoded(LOAD, end - 1);
	guest_done();
}

TEST_F(memo, page_end)
{
	run_guest(self->vcpu, cross_page, 0);
}

/* The local APIC's page: a device like any while the APIC is off, or not in memory. */
static void lapic_page(u64 off)
{
	u64 on = rdmsr(MSR_APIC_BASE), version = mmio_read(APIC_BASE_ADDR + APIC_VERSION), i;

	put_form(CODE, LOAD_4);
	for (i = 0; i < 3; i++) {
		wrmsr(MSR_APIC_BASE, off);
		visit(LOAD_4, APIC_BASE_ADDR + APIC_VERSION);
		visit(LOAD_4, APIC_BASE_ADDR + APIC_VERSION);
		wrmsr(MSR_APIC_BASE, off & ~(APIC_BASE_ENABLE | APIC_BASE_X2APIC));
		wrmsr(MSR_APIC_BASE, on);
		prepare(LOAD_4, APIC_BASE_ADDR + APIC_VERSION);
		GUEST_EQ(call_slot(WINDOW + SLOT, APIC_BASE_ADDR + APIC_VERSION), version);
	}
	guest_done();
}

TEST_F(memo, lapic_off)
{
	run_guest(self->vcpu, lapic_page, APIC_BASE_ADDR | APIC_BASE_BSP);
}

TEST_F(memo, lapic_in_msrs)
{
	run_guest(self->vcpu, lapic_page, APIC_BASE_ADDR | APIC_BASE_BSP | APIC_BASE_ENABLE |
		  APIC_BASE_X2APIC);
}

/*
 * What the CPU does by itself on the device's page is no access of the instruction,
 * though that stands at its RIP: reading a page table, and pushing for an exception.
 */
#define THROUGH		(2 * WINDOW)	/* an address whose tables are at the device */

static void walk_through_device(u64 store)
{
	const struct form *form = store ? STORE : LOAD;

	put_form(CODE, form);
	visit(form, DEVICE);
	visit(form, DEVICE);
	prepare(form, THROUGH);
	call_slot(WINDOW + SLOT, THROUGH);
	guest_done();
}

static void push_to_device(u64 arg)
{
	put_form(CODE, STORE);
	visit(STORE, DEVICE);
	visit(STORE, DEVICE);
	prepare(STORE, 0);
	call_slot(WINDOW + SLOT, BIT_ULL(63));
	guest_done();
}

static void run_to_unhandled(struct vcpu *vcpu, void (*fn)(u64 arg), u64 arg)
{
	const struct lodge_exit *e = &vcpu->run->exit;

	vcpu_start_long(vcpu, fn, arg);
	do {
		if (vcpu_run(vcpu))
			vcpu_fail(vcpu, "RUN");
		guest_hear(vcpu);
		if (e->reason == LODGE_EXIT_MMIO)
			check_exit(vcpu);
	} while (e->reason == LODGE_EXIT_MMIO);
	if (e->reason != LODGE_EXIT_UNHANDLED || e->rip != WINDOW + SLOT ||
	    (e->unhandled.gpa & ~(PAGE_SIZE - 1)) != DEVICE)
		vcpu_fail(vcpu, "wanted an access of the CPU's own");
}

TEST_F(memo, page_walk)
{
	table(self->vm, GPA_TABLES)[THROUGH >> 39] = DEVICE | TABLE_FLAGS;
	/* With accessed bits in EPT the CPU's reading counts as a write: SDM 3C 29.3.2. */
	run_to_unhandled(self->vcpu, walk_through_device, 0);
	run_to_unhandled(self->vcpu, walk_through_device, 1);
}

TEST_F(memo, exception)
{
	u64 stack = DEVICE + PAGE_SIZE;

	/* The first of the interrupt stacks, of vCPU 0's TSS: SDM 3A 8.7. */
	memcpy(self->vm->low + GPA_TSS + 36, &stack, sizeof(stack));
	run_to_unhandled(self->vcpu, push_to_device, 0);
}

/* ------------------------------------------------------- the same bytes, elsewhere */

/*
 * At one linear address: what these bytes are is the mode's to say. Memory at the
 * window cannot be reached by 32-bit code, so it is the code page itself.
 */
#define LOW_SLOT	(CODE + SLOT)

struct mode {
	const char *name;
	u16 cs;			/* attributes */
	u8 cpl;
	bool legacy;		/* without long mode, in PAE paging */
	u8 width;		/* of the first code below, and whether the second ... */
	u8 moffs_len;		/* ... has an address as long as this makes it */
};

static const struct mode modes[] = {
	{ "64-bit", SEG_CODE64, 0, false, 4, 9 },
	{ "32-bit in long mode", SEG_CODE32, 0, false, 4, 5 },
	{ "64-bit", SEG_CODE64, 0, false, 4, 9 },
	{ "16-bit in long mode", SEG_CODE16 | 0x8000, 0, false, 2, 0 },
	{ "64-bit at CPL 3", SEG_CODE64, 3, false, 4, 9 },
	{ "64-bit", SEG_CODE64, 0, false, 4, 9 },
	{ "32-bit at CPL 3", SEG_CODE32, 3, false, 4, 5 },
	{ "64-bit at CPL 3", SEG_CODE64, 3, false, 4, 9 },
	{ "32-bit in PAE paging", SEG_CODE32, 0, true, 4, 5 },
	{ "64-bit", SEG_CODE64, 0, false, 4, 9 },
	/* L means nothing here, and D is 0. */
	{ "16-bit in PAE paging", SEG_CODE64, 0, true, 2, 0 },
	{ "64-bit", SEG_CODE64, 0, false, 4, 9 },
};

static void set_mode(struct vcpu *vcpu, const struct mode *mode)
{
	struct lodge_vcpu_state s = {};
	u16 dpl = mode->cpl << 5;
	int i;

	vcpu_start_long(vcpu, NULL, 0);
	vcpu_get(vcpu, &s, LODGE_STATE_GPRS | LODGE_STATE_SREGS | LODGE_STATE_CRS);
	s.gprs.rip = LOW_SLOT;
	s.gprs.reg[7] = DEVICE;
	s.sregs.seg[LODGE_SEG_CS] = seg_flat(SEL_CODE64 | mode->cpl, mode->cs | dpl);
	s.sregs.seg[LODGE_SEG_SS] = seg_flat(SEL_DATA | mode->cpl, SEG_DATA | dpl);
	s.sregs.seg[LODGE_SEG_DS] = seg_flat(SEL_DATA | mode->cpl, SEG_DATA | dpl);
	s.sregs.seg[LODGE_SEG_ES] = s.sregs.seg[LODGE_SEG_DS];
	s.sregs.seg[LODGE_SEG_FS] = s.sregs.seg[LODGE_SEG_DS];
	s.sregs.seg[LODGE_SEG_GS] = s.sregs.seg[LODGE_SEG_DS];
	if (mode->legacy) {
		/* The third level's table, by way of the registers. */
		s.crs.efer &= ~(EFER_LME | EFER_LMA);
		for (i = 0; i < 4; i++)
			s.crs.pdpte[i] = (table(vcpu->vm, table(vcpu->vm, GPA_TABLES)[0] &
						PTE_ADDR)[i] & PTE_ADDR) | PTE_P;
	}
	vcpu_set(vcpu, &s, LODGE_STATE_GPRS | LODGE_STATE_SREGS | LODGE_STATE_CRS);
}

/* All of the identity map is the user's, too. */
static void give_to_user(struct vm *vm)
{
	u64 *pdpt = table(vm, table(vm, GPA_TABLES)[0] & PTE_ADDR);
	u64 i, j;

	table(vm, GPA_TABLES)[0] |= PTE_U;
	for (i = 0; i < 4; i++) {
		pdpt[i] |= PTE_U;
		for (j = 0; j < 512; j++)
			table(vm, pdpt[i] & PTE_ADDR)[j] |= PTE_U;
	}
}

static void check_mode(struct vcpu *vcpu, const struct mode *mode, u32 width, u32 len)
{
	const struct lodge_exit *e;
	int i;

	set_mode(vcpu, mode);
	/* Twice: the second time it may be remembered. */
	for (i = 0; i < 2; i++) {
		e = vcpu_run_until(vcpu, LODGE_EXIT_MMIO);
		if (e->rip != LOW_SLOT || e->mmio.gpa != DEVICE || e->mmio.flags ||
		    e->mmio.width != width || e->insn_len != len)
			vcpu_fail(vcpu, "%s: wanted %u bytes read by %u", mode->name, width, len);
	}
}

/* mov (%edi), %eax in 64-bit code; in 16-bit code mov (%edi), %ax; not so in 32-bit. */
TEST_F(memo, mode_decides_width)
{
	const u8 code[] = { 0x67, 0x8b, 0x07 };
	size_t i;

	give_to_user(self->vm);
	memcpy(self->code + SLOT, code, sizeof(code));
	for (i = 0; i < ARRAY_SIZE(modes); i++)
		if (modes[i].width == 2 || modes[i].cs == SEG_CODE64)
			check_mode(self->vcpu, &modes[i], modes[i].width, sizeof(code));
}

/* mov DEVICE, %eax with an address of 8 bytes, or of 4. */
TEST_F(memo, mode_decides_length)
{
	const u8 code[] = { 0xa1, 0x00, 0x00, 0x00, DEVICE >> 24, 0, 0, 0, 0 };
	size_t i;

	give_to_user(self->vm);
	memcpy(self->code + SLOT, code, sizeof(code));
	for (i = 0; i < ARRAY_SIZE(modes); i++)
		if (modes[i].moffs_len)
			check_mode(self->vcpu, &modes[i], 4, modes[i].moffs_len);
}

/* ------------------------------------------------------------------- all at once */

/* What there is now, as the guest has made it. */
static struct {
	const struct form *form[2];	/* in each page of code */
	u32 way[LONG_WORDS];		/* of each level */
	bool other_root;
} world;

static u64 below(u64 n)
{
	return (mix(++key) >> 20) % n;
}

/* Which page the window shows: a step to way 1 is never taken back. */
static u32 page_shown(void)
{
	u32 level, way = world.other_root;

	for (level = LONG_WORDS; level-- && !way;)
		way = world.way[level];
	return way;
}

/* Few are other than 0 at a time, or there would be little to see of the rest. */
static void change_way(u32 level)
{
	world.way[level] = !below(3);
	WRITE_ONCE(*levels[level].entry, levels[level].value[world.way[level]]);
	flush(below(2));
}

static void change_anything(void)
{
	u64 page = below(2);

	switch (below(8)) {
	case 0:
	case 1:
		world.form[page] = &forms[below(NR_FORMS)];
		put_form(CODE + page * PAGE_SIZE, world.form[page]);
		break;
	case 2:
	case 3:
		change_way(below(LONG_WORDS));
		break;
	case 4:
		world.other_root = page;
		write_cr3(page ? ROOT : GPA_TABLES);
		break;
	}
}

static void wander(u64 rounds)
{
	u64 i;

	for (i = 0; i < 2; i++) {
		world.form[i] = STORE;
		put_form(CODE + i * PAGE_SIZE, STORE);
	}
	for (i = 0; i < rounds; i++) {
		change_anything();
		/* The first and the last have one place to be remembered in. */
		visit(world.form[page_shown()], DEVICE + below(3) * 2 * PAGE_SIZE +
		      below(0x180) * 8);
	}
	guest_done();
}

TEST_F_TIMEOUT(memo, anything, 600)
{
	key = fuzz_first_seed() << 32;
	find_levels();
	run_guest(self->vcpu, wander, fuzz_rounds(4000));
}

TEST_HARNESS_MAIN
