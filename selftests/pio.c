// SPDX-License-Identifier: GPL-2.0
/*
 * Port I/O: every form of IN and OUT in 64-, 32- and 16-bit code, the string
 * forms, and the three ways in which a program can complete one.
 */
#include "vm.h"
#include "kselftest_harness.h"

#define PORT		0x1234
#define END_PORT	0xf1
#define RAX_IN		0x1122334455667788ULL
#define DATA_IN		0xffffffffb5a69798ULL

struct row {
	const char *name;
	u8 mode;
	u8 len;
	u8 code[4];
	u16 port;
	u8 width;
	u8 flags;
	u64 rax;		/* OUT: the data; IN: RAX afterwards */
};

#define CODE(...)	.len = sizeof((u8[]){ __VA_ARGS__ }), .code = { __VA_ARGS__ }
#define IN		LODGE_PIO_IN

static const struct row rows[] = {
	{ "out %al, $0xf0", 64, CODE(0xe6, 0xf0), 0xf0, 1, 0, 0x88 },
	{ "out %ax, $0xf0", 64, CODE(0x66, 0xe7, 0xf0), 0xf0, 2, 0, 0x7788 },
	{ "out %eax, $0xf0", 64, CODE(0xe7, 0xf0), 0xf0, 4, 0, 0x55667788 },
	{ "out %al, %dx", 64, CODE(0xee), PORT, 1, 0, 0x88 },
	{ "out %ax, %dx", 64, CODE(0x66, 0xef), PORT, 2, 0, 0x7788 },
	{ "out %eax, %dx", 64, CODE(0xef), PORT, 4, 0, 0x55667788 },
	{ "rex.w out %eax, %dx", 64, CODE(0x48, 0xef), PORT, 4, 0, 0x55667788 },
	{ "in $0xf0, %al", 64, CODE(0xe4, 0xf0), 0xf0, 1, IN, 0x1122334455667798ULL },
	{ "in $0xf0, %ax", 64, CODE(0x66, 0xe5, 0xf0), 0xf0, 2, IN, 0x1122334455669798ULL },
	{ "in $0xf0, %eax", 64, CODE(0xe5, 0xf0), 0xf0, 4, IN, 0xb5a69798 },
	{ "in %dx, %al", 64, CODE(0xec), PORT, 1, IN, 0x1122334455667798ULL },
	{ "in %dx, %ax", 64, CODE(0x66, 0xed), PORT, 2, IN, 0x1122334455669798ULL },
	{ "in %dx, %eax", 64, CODE(0xed), PORT, 4, IN, 0xb5a69798 },
	{ "out %ax, %dx", 32, CODE(0x66, 0xef), PORT, 2, 0, 0x7788 },
	{ "out %eax, %dx", 32, CODE(0xef), PORT, 4, 0, 0x55667788 },
	{ "in %dx, %al", 32, CODE(0xec), PORT, 1, IN, 0x55667798 },
	{ "in %dx, %eax", 32, CODE(0xed), PORT, 4, IN, 0xb5a69798 },
	{ "out %ax, %dx", 16, CODE(0xef), PORT, 2, 0, 0x7788 },
	{ "out %eax, %dx", 16, CODE(0x66, 0xef), PORT, 4, 0, 0x55667788 },
	{ "in %dx, %ax", 16, CODE(0xed), PORT, 2, IN, 0x55669798 },
};

FIXTURE(pio)
{
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(pio)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0);
	self->vcpu->run->wanted = LODGE_STATE_GPRS;
}

FIXTURE_TEARDOWN(pio)
{
	vcpu_destroy(self->vcpu);
	vm_destroy(self->vm);
}

static void start_code(struct vcpu *vcpu, int mode, const u8 *code, u8 len)
{
	const u8 end[] = { 0xe7, END_PORT };
	struct lodge_vcpu_state s = {};

	vm_put_code(vcpu->vm, GPA_CODE, code, len);
	vm_put_code(vcpu->vm, GPA_CODE + len, end, sizeof(end));
	vcpu->complete = false;
	if (mode == 64)
		vcpu_start_long(vcpu, NULL, 0);
	else if (mode == 32)
		vcpu_start_protected(vcpu, GPA_CODE);
	else
		vcpu_start_real(vcpu, 0, GPA_CODE);
	vcpu_get(vcpu, &s, LODGE_STATE_GPRS);
	s.gprs.rip = GPA_CODE;
	s.gprs.reg[0] = mode == 64 ? RAX_IN : (u32)RAX_IN;
	s.gprs.reg[1] = 3;
	s.gprs.reg[2] = PORT;
	s.gprs.reg[6] = 0xf000;
	s.gprs.reg[7] = 0xf000;
	vcpu_set(vcpu, &s, LODGE_STATE_GPRS);
}

static void run_row(struct vcpu *vcpu, const struct row *row)
{
	struct lodge_exit *e;
	u64 rax;

	start_code(vcpu, row->mode, row->code, row->len);
	e = vcpu_run_complete(vcpu, LODGE_EXIT_PIO, DATA_IN);
	if (e->pio.port != row->port || e->pio.width != row->width ||
	    e->pio.flags != row->flags || (!row->flags && e->pio.data != row->rax) ||
	    e->rip != GPA_CODE || e->next_rip != GPA_CODE + row->len ||
	    e->insn_len != row->len || !(e->flags & LODGE_EXIT_F_INSN))
		vcpu_fail(vcpu, "%s (%u-bit): wanted port 0x%x width %u data 0x%llx",
			  row->name, row->mode, row->port, row->width, row->rax);
	e = vcpu_run_until(vcpu, LODGE_EXIT_PIO);
	if (e->pio.port != END_PORT)
		vcpu_fail(vcpu, "%s: did not reach its end", row->name);

	rax = row->flags ? row->rax : row->mode == 64 ? RAX_IN : (u32)RAX_IN;
	if (vcpu->run->gprs.reg[0] != rax)
		vcpu_fail(vcpu, "%s (%u-bit): wanted RAX 0x%llx", row->name, row->mode, rax);
}

TEST_F(pio, forms)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		run_row(self->vcpu, &rows[i]);
}

static const struct {
	const char *name;
	u8 len;
	u8 code[3];
	u8 width;
	u32 flags;
} strings[] = {
	{ "insb", 1, { 0x6c }, 1, IN },
	{ "insw", 2, { 0x66, 0x6d }, 2, IN },
	{ "insl", 1, { 0x6d }, 4, IN },
	{ "outsb", 1, { 0x6e }, 1, 0 },
	{ "outsl", 1, { 0x6f }, 4, 0 },
	{ "rep insb", 2, { 0xf3, 0x6c }, 1, IN | LODGE_PIO_REP },
	{ "rep outsw", 3, { 0xf3, 0x66, 0x6f }, 2, LODGE_PIO_REP },
};

/* Left to the program: no data, registers untouched, nothing to complete. */
TEST_F(pio, strings)
{
	struct lodge_exit *e;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(strings); i++) {
		start_code(self->vcpu, 64, strings[i].code, strings[i].len);
		e = vcpu_run_until(self->vcpu, LODGE_EXIT_PIO);
		TH_LOG("%s", strings[i].name);
		ASSERT_EQ(PORT, e->pio.port);
		ASSERT_EQ(strings[i].width, e->pio.width);
		ASSERT_EQ(strings[i].flags | LODGE_PIO_STRING, e->pio.flags);
		ASSERT_FALSE(e->flags & LODGE_EXIT_F_COMPLETE);
		ASSERT_EQ(3, self->vcpu->run->gprs.reg[1]);
		ASSERT_EQ(0xf000, self->vcpu->run->gprs.reg[7]);

		self->vcpu->run->complete = LODGE_COMPLETE_DONE;
		ASSERT_EQ(EINVAL, vcpu_run(self->vcpu));
		self->vcpu->run->complete = LODGE_COMPLETE_NONE;

		/* The program skips it. */
		self->vcpu->run->gprs.rip += strings[i].len;
		self->vcpu->run->dirty = LODGE_STATE_GPRS;
		e = vcpu_run_until(self->vcpu, LODGE_EXIT_PIO);
		ASSERT_EQ(END_PORT, e->pio.port);
	}
}

/* Not completed, the instruction leaves again; completed, it goes on once. */
TEST_F(pio, again)
{
	const u8 code[] = { 0xec, 0xe4, 0xf0 };
	struct lodge_exit *e;
	u64 seq;
	int i;

	start_code(self->vcpu, 64, code, sizeof(code));
	e = vcpu_run_until(self->vcpu, LODGE_EXIT_PIO);
	for (i = 0; i < 3; i++) {
		seq = e->seq;
		e = vcpu_run_complete(self->vcpu, LODGE_EXIT_PIO, 0x42);
		ASSERT_EQ(seq + 1, e->seq);
		ASSERT_EQ(PORT, e->pio.port);
		ASSERT_EQ(RAX_IN, self->vcpu->run->gprs.reg[0]);
		self->vcpu->complete = i == 2;
	}
	e = vcpu_run_complete(self->vcpu, LODGE_EXIT_PIO, 0x43);
	ASSERT_EQ(0xf0, e->pio.port);
	ASSERT_EQ((RAX_IN & ~0xffULL) | 0x42, self->vcpu->run->gprs.reg[0]);
	vcpu_run_until(self->vcpu, LODGE_EXIT_PIO);
	ASSERT_EQ((RAX_IN & ~0xffULL) | 0x43, self->vcpu->run->gprs.reg[0]);
}

static void refused_port(u64 arg)
{
	u32 v = 0x1234;

	GUEST_EQ(guest_try("inl $0xf0, %0", : "+a"(v)), GP_VECTOR);
	GUEST_EQ(this_guest_cpu()->trap.error, 0);
	GUEST_EQ(v, 0x1234);
	GUEST_EQ(guest_try("outl %0, $0xf0", : : "a"(v)), GP_VECTOR);
	guest_done();
}

TEST_F(pio, refused)
{
	int i;

	vcpu_start_long(self->vcpu, refused_port, 0);
	for (i = 0; i < 2; i++) {
		vcpu_run_until(self->vcpu, LODGE_EXIT_PIO);
		self->vcpu->run->complete = LODGE_COMPLETE_FAULT;
	}
	guest_run_done(self->vcpu);
}

/* Registers changed in the same RUN count after the completion. */
TEST_F(pio, registers_after_completion)
{
	const u8 code[] = { 0xec };

	start_code(self->vcpu, 64, code, sizeof(code));
	vcpu_run_complete(self->vcpu, LODGE_EXIT_PIO, 0x42);
	self->vcpu->run->gprs.reg[0] = 0xabcd;
	self->vcpu->run->gprs.rip = GPA_CODE + sizeof(code);
	self->vcpu->run->dirty = LODGE_STATE_GPRS;
	vcpu_run_until(self->vcpu, LODGE_EXIT_PIO);
	ASSERT_EQ(0, self->vcpu->run->dirty);
	ASSERT_EQ(0xabcd, self->vcpu->run->gprs.reg[0]);
	ASSERT_EQ(END_PORT, self->vcpu->run->exit.pio.port);
}

/* From CPL 3 with I/O privilege, which guest_user_call() gives. */
GUEST_ASM(user_out, .code64,
	  "outl %eax, $0xf0\n"
	  "int $0x80");

static void port_from_user(u64 arg)
{
	GUEST_EQ(guest_user_call(SEL_USER_CODE64, arg, arg + PAGE_SIZE), GUEST_USER_RETURN);
	guest_done();
}

TEST_F(pio, user_mode)
{
	const u64 gva = 0x100000000ULL;

	vm_put_code(self->vm, GPA_CODE, user_out, guest_asm_size(user_out));
	vm_gva_map(self->vm, gva, GPA_CODE, PAGE_SIZE, PTE_P | PTE_W | PTE_U, GVA_4K);
	vcpu_start_long(self->vcpu, port_from_user, gva);
	vcpu_run_complete(self->vcpu, LODGE_EXIT_PIO, 0);
	ASSERT_EQ(0xf0, self->vcpu->run->exit.pio.port);
	guest_run_done(self->vcpu);
}

/* The bytes of the instruction, when asked for, at every exit. */
TEST_F(pio, bytes)
{
	const u8 code[] = { 0x66, 0xe7, 0xf0 };
	struct lodge_exit *e;

	self->vcpu->run->flags = LODGE_RUN_F_BYTES;
	start_code(self->vcpu, 64, code, sizeof(code));
	e = vcpu_run_until(self->vcpu, LODGE_EXIT_PIO);
	ASSERT_TRUE(e->flags & LODGE_EXIT_F_BYTES);
	ASSERT_GE(e->insn_bytes, sizeof(code));
	ASSERT_EQ(0, memcmp(e->insn, code, sizeof(code)));
}

TEST_HARNESS_MAIN
