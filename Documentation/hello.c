// SPDX-License-Identifier: GPL-2.0
/*
 * The smallest program that runs a guest on lodge. The guest is 18 bytes of
 * 16-bit code: it writes a text to port 0x10, reads a byte from port 0x11, adds
 * one, and writes the sum to port 0x12, which ends it.
 *
 *	gcc -Iuapi -o hello Documentation/hello.c
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/lodge.h>

#define RAM_SIZE	0x10000
#define CODE_ADDR	0x1000

static const unsigned char code[] = {
	0xbe, 0x12, 0x10,	/*	mov	$text, %si	*/
	0xac,			/* 1:	lodsb			*/
	0x84, 0xc0,		/*	test	%al, %al	*/
	0x74, 0x04,		/*	jz	2f		*/
	0xe6, 0x10,		/*	out	%al, $0x10	*/
	0xeb, 0xf7,		/*	jmp	1b		*/
	0xe4, 0x11,		/* 2:	in	$0x11, %al	*/
	0x40,			/*	inc	%ax		*/
	0xe6, 0x12,		/*	out	%al, $0x12	*/
	0xf4,			/*	hlt			*/
};

static const char text[] = "Hello from the guest\n";	/* right behind the code */

static int call(int fd, unsigned long nr, void *arg, const char *what)
{
	int ret = ioctl(fd, nr, arg);

	if (ret < 0)
		err(1, "%s", what);
	return ret;
}

/* Guest-physical 0 to RAM_SIZE is our memory at @ram. */
static void map_ram(int vm, void *ram)
{
	struct lodge_mem_op op = {
		.op = LODGE_MEM_MAP,
		.gpa = 0,
		.len = RAM_SIZE,
		.hva = (uintptr_t)ram,
	};
	struct lodge_mem_update update = {
		.size = sizeof(update),
		.ops = (uintptr_t)&op,
		.nr = 1,
	};

	call(vm, LODGE_VM_MEM_UPDATE, &update, "MEM_UPDATE");
}

/* From the reset vector to 0000:CODE_ADDR, through the shared page. */
static void set_start(int vcpu, struct lodge_run *run)
{
	struct lodge_vcpu_state state = {
		.size = sizeof(state),
		.groups = LODGE_STATE_GPRS | LODGE_STATE_SREGS,
	};

	call(vcpu, LODGE_VCPU_GET_STATE, &state, "GET_STATE");
	run->gprs = state.gprs;
	run->gprs.rip = CODE_ADDR;
	run->sregs = state.sregs;
	run->sregs.seg[LODGE_SEG_CS].selector = 0;
	run->sregs.seg[LODGE_SEG_CS].base = 0;
	run->dirty = LODGE_STATE_GPRS | LODGE_STATE_SREGS;
}

/* Answer an IN or OUT. Return: 1 when the guest is at its end. */
static int port(struct lodge_run *run)
{
	const struct lodge_exit *e = &run->exit;

	if (!(e->flags & LODGE_EXIT_F_COMPLETE))
		errx(1, "INS or OUTS on port %#x", e->pio.port);
	if (e->pio.flags & LODGE_PIO_IN)
		run->data = 41;
	else if (e->pio.port == 0x10)
		putchar((int)e->pio.data);
	else if (e->pio.port == 0x12)
		printf("The guest says %d\n", (int)e->pio.data);
	run->complete = LODGE_COMPLETE_DONE;	/* the next RUN takes it */
	return !(e->pio.flags & LODGE_PIO_IN) && e->pio.port == 0x12;
}

int main(void)
{
	struct lodge_info info = { .size = sizeof(info) };
	struct lodge_create_vm create_vm = { .size = sizeof(create_vm) };
	struct lodge_create_vcpu create_vcpu = { .size = sizeof(create_vcpu), .id = 0 };
	struct lodge_run *run;
	int dev, vm, vcpu;
	unsigned char *ram;

	dev = open("/dev/lodge", O_RDWR | O_CLOEXEC);
	if (dev < 0)
		err(1, "/dev/lodge");
	call(dev, LODGE_GET_INFO, &info, "GET_INFO");
	if (info.status)
		errx(1, "no VM can be made now: %s %s", strerror(info.status), info.owner);

	vm = call(dev, LODGE_CREATE_VM, &create_vm, "CREATE_VM");
	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ram == MAP_FAILED)
		err(1, "mmap");
	memcpy(ram + CODE_ADDR, code, sizeof(code));
	memcpy(ram + CODE_ADDR + sizeof(code), text, sizeof(text));
	map_ram(vm, ram);

	vcpu = call(vm, LODGE_VM_CREATE_VCPU, &create_vcpu, "CREATE_VCPU");
	run = mmap(NULL, info.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		err(1, "mmap of the shared page");
	set_start(vcpu, run);

	for (;;) {
		if (ioctl(vcpu, LODGE_VCPU_RUN) && errno != EINTR)
			err(1, "RUN");
		switch (run->exit.reason) {
		case LODGE_EXIT_PIO:
			if (port(run))
				return 0;
			break;
		case LODGE_EXIT_KICK:
		case LODGE_EXIT_SIGNAL:
		case LODGE_EXIT_HOST_WORK:
			break;		/* call RUN again */
		default:
			errx(1, "exit %u at rip %#llx", run->exit.reason, run->exit.rip);
		}
	}
}
