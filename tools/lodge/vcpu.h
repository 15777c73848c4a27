/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A vCPU: a thread that runs guest code and answers its exits.
 */
#ifndef LODGE_VCPU_H
#define LODGE_VCPU_H

#include <linux/lodge.h>
#include <pthread.h>

#include "types.h"

struct backend;
struct machine;

/**
 * struct vcpu - one vCPU
 * @machine: whose it is
 * @backend: what runs it
 * @id: its number
 * @fd: its file
 * @run: the memory it shares with the hypervisor
 * @exit: why it left for the program last
 * @translated: room for @exit, when @run has it in another form
 * @thread: runs it
 * @started: there is a thread
 * @error: errno of a call that failed while running
 */
struct vcpu {
	struct machine *machine;
	const struct backend *backend;
	unsigned int id;
	int fd;
	void *run;
	const struct lodge_exit *exit;
	struct lodge_exit translated;
	pthread_t thread;
	bool started;
	int error;
};

/**
 * vcpu_create() - make a vCPU in reset state
 * @v: filled in
 * @machine: whose it is
 * @id: its number
 *
 * Return: 0, or -1 after a complaint.
 */
int vcpu_create(struct vcpu *v, struct machine *machine, unsigned int id);

/**
 * vcpu_start() - start its thread
 * @v: the vCPU
 *
 * Return: 0, or -1 after a complaint.
 */
int vcpu_start(struct vcpu *v);

/**
 * vcpu_kick() - make its next or present RUN come back
 * @v: the vCPU
 */
void vcpu_kick(struct vcpu *v);

/**
 * vcpu_join() - wait for the end of its thread
 * @v: the vCPU; may never have been started
 */
void vcpu_join(struct vcpu *v);

/**
 * vcpu_destroy() - let go of it
 * @v: the vCPU
 */
void vcpu_destroy(struct vcpu *v);

#endif /* LODGE_VCPU_H */
