/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guests that write and verify memory all the time, while the host does to that
 * memory whatever it can do to a process's memory.
 *
 * Every STEP bytes hold a word that says where it is and in which generation it
 * was written. What a guest may find in a page, and who may write there now, is
 * in the page's state, which both sides change by compare and exchange only:
 *
 *	PAGE_KNOWN	the pattern of gen[page]
 *	PAGE_WRITING	a guest writes it; nobody else looks
 *	PAGE_HOST	the host is at it: each word is the old one or zero
 *	PAGE_FREED	the same, after MADV_FREE, and a guest may write it
 *	PAGE_ZERO	zeros
 */
#ifndef LODGE_TEST_STRESS_H
#define LODGE_TEST_STRESS_H

#include "vm.h"

#define STRESS_MAX_PAGES	8192
#define STRESS_STEP		128
#define STRESS_GPA		GPA_TEST
#define STRESS_MAX_VCPUS	2

enum stress_page {
	PAGE_KNOWN,
	PAGE_WRITING,
	PAGE_HOST,
	PAGE_FREED,
	PAGE_ZERO,
	NR_PAGE_STATES,
};

struct stress {
	struct vm *vm;
	u8 *mem;		/* the host's address of it */
	u64 pages;
	u32 nr_vcpus;
	/* Of the page numbers only this much goes into the pattern: for KSM. */
	u64 fold;
	/* Every so many pages visited, one is written; 0: none. */
	u32 write_every;
	/* What to write, where @fold makes pages equal; else the next one. */
	u32 epoch;
	u32 stop;
	u64 passes[STRESS_MAX_VCPUS];
	u64 mem_faults;		/* RUN ended because the host had nothing there */

	pthread_t thread[STRESS_MAX_VCPUS];
	int tid[STRESS_MAX_VCPUS];
	bool running;
	struct vcpu *vcpu[STRESS_MAX_VCPUS];

	u32 state[STRESS_MAX_PAGES];
	u32 gen[STRESS_MAX_PAGES];
};

/* The one there is: the guest knows it by its address. */
extern struct stress stress;

/* A VM with @mem of @pages at STRESS_GPA and @vcpus, each with its share of pages. */
void stress_create(void *mem, u64 pages, u32 vcpus);
void stress_destroy(void);
/* Guests begin, or go on, in threads of their own; and stop between two pages. */
void stress_start(void);
void stress_stop(void);
/* Until each guest has been over all its pages @n times more, from now. */
void stress_passes(u32 n);
/* The host's view must be the guest's. The guests must have stopped. */
void stress_check_host(void);
/* The same for a child: true when all is as it should be. */
bool stress_is_good(void);

static inline u8 *stress_page(u64 page)
{
	return stress.mem + page * PAGE_SIZE;
}

/*
 * The host takes pages before it changes what is in them, and says what they are
 * when it is done: PAGE_ZERO, PAGE_FREED, or what they were.
 */
void stress_take(u64 page, u64 nr);
void stress_give(u64 page, u64 nr, u32 state);
/* Takes one page when it is PAGE_KNOWN. */
bool stress_try_take(u64 page);

/* A repeatable sequence. */
u64 stress_random(u64 below);

#endif
