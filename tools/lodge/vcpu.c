// SPDX-License-Identifier: GPL-2.0
/*
 * A vCPU: a thread that runs guest code and answers its exits.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "complain.h"
#include "machine.h"
#include "thread.h"
#include "vcpu.h"

/* --- exits: each answers one, and returns whether the vCPU goes on ------------ */

static bool on_again(struct vcpu *v __unused)
{
	return true;
}

static bool on_pio(struct vcpu *v)
{
	const struct lodge_exit *e = v->exit;
	const struct bus *bus = &v->machine->pio;
	u64 data = 0;

	if (!(e->flags & LODGE_EXIT_F_COMPLETE)) {
		machine_end(v->machine, END_UNHANDLED, v);
		return false;
	}
	if (e->pio.flags & LODGE_PIO_IN)
		data = bus_read(bus, e->pio.port, e->pio.width);
	else
		bus_write(bus, e->pio.port, e->pio.width, e->pio.data);
	v->backend->complete(v, LODGE_COMPLETE_DONE, data);
	return true;
}

static bool on_mmio(struct vcpu *v)
{
	const struct lodge_exit *e = v->exit;
	const struct bus *bus = &v->machine->mmio;
	u64 data = 0;

	if (!(e->flags & LODGE_EXIT_F_COMPLETE)) {
		machine_end(v->machine, END_UNHANDLED, v);
		return false;
	}
	if (e->mmio.flags & LODGE_MMIO_WRITE)
		bus_write(bus, e->mmio.gpa, e->mmio.width, e->mmio.data);
	else
		data = bus_read(bus, e->mmio.gpa, e->mmio.width);
	v->backend->complete(v, LODGE_COMPLETE_DONE, data);
	return true;
}

/* The MSRs that are the program's to define: this one defines none. */
static bool on_msr(struct vcpu *v)
{
	v->backend->complete(v, LODGE_COMPLETE_FAULT, 0);
	return true;
}

static bool on_eoi(struct vcpu *v)
{
	ioapic_eoi(&v->machine->ioapic, v->exit->eoi.vector);
	return true;
}

static bool on_shutdown(struct vcpu *v)
{
	machine_end(v->machine, END_TRIPLE_FAULT, v);
	return false;
}

static bool on_mem_fault(struct vcpu *v)
{
	machine_end(v->machine, END_MEM_FAULT, v);
	return false;
}

static bool on_fail_entry(struct vcpu *v)
{
	machine_end(v->machine, END_FAIL_ENTRY, v);
	return false;
}

static bool on_unhandled(struct vcpu *v)
{
	machine_end(v->machine, END_UNHANDLED, v);
	return false;
}

static bool (*const on_exit_reason[LODGE_NR_EXITS])(struct vcpu *v) = {
	[LODGE_EXIT_NONE]	= on_unhandled,
	[LODGE_EXIT_KICK]	= on_again,
	[LODGE_EXIT_SIGNAL]	= on_again,
	[LODGE_EXIT_HOST_WORK]	= on_again,
	[LODGE_EXIT_PAUSED]	= on_unhandled,	/* nobody here pauses a VM */
	[LODGE_EXIT_PIO]	= on_pio,
	[LODGE_EXIT_MMIO]	= on_mmio,
	[LODGE_EXIT_RDMSR]	= on_msr,
	[LODGE_EXIT_WRMSR]	= on_msr,
	[LODGE_EXIT_EOI]	= on_eoi,
	[LODGE_EXIT_SHUTDOWN]	= on_shutdown,
	[LODGE_EXIT_MEM_FAULT]	= on_mem_fault,
	[LODGE_EXIT_FAIL_ENTRY]	= on_fail_entry,
	[LODGE_EXIT_UNHANDLED]	= on_unhandled,
};

/* --- the run loop -------------------------------------------------------------- */

/* Every exit that needs the program comes by here: no malloc, no stdio. */
static void *run_loop(void *arg)
{
	struct vcpu *v = arg;
	const struct lodge_exit *e = v->exit;

	while (!machine_ended(v->machine)) {
		v->error = v->backend->run(v);
		if (v->error) {
			machine_end(v->machine, END_HOST, v);
			break;
		}
		if (e->reason >= LODGE_NR_EXITS) {
			machine_end(v->machine, END_UNHANDLED, v);
			break;
		}
		if (!on_exit_reason[e->reason](v))
			break;
	}
	return NULL;
}

/* --- life and death -------------------------------------------------------------- */

int vcpu_create(struct vcpu *v, struct machine *machine, unsigned int id)
{
	struct vm *vm = machine->vm;

	v->machine = machine;
	v->backend = vm->backend;
	v->id = id;
	v->fd = v->backend->create_vcpu(vm, id);
	if (v->fd < 0)
		return -1;
	v->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED) {
		v->run = NULL;
		return complain("cannot map the shared page of vCPU %u: %s", id, strerror(errno));
	}
	return v->backend->setup_vcpu(v);
}

int vcpu_start(struct vcpu *v)
{
	char name[16];
	int err = thread_start(&v->thread, run_loop, v);

	if (err)
		return complain("cannot start the thread of vCPU %u: %s", v->id, strerror(err));
	v->started = true;
	snprintf(name, sizeof(name), "lodge-vcpu%u", v->id);
	pthread_setname_np(v->thread, name);
	return 0;
}

void vcpu_kick(struct vcpu *v)
{
	if (v->started)
		v->backend->kick(v);
}

void vcpu_join(struct vcpu *v)
{
	if (v->started)
		pthread_join(v->thread, NULL);
	v->started = false;
}

void vcpu_destroy(struct vcpu *v)
{
	if (v->run)
		munmap(v->run, v->machine->vm->run_size);
	if (v->fd >= 0)
		close(v->fd);
	v->run = NULL;
	v->fd = -1;
}
