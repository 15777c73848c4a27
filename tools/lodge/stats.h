/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counters by name: what a machine's vCPUs have done, summed up and printed.
 */
#ifndef LODGE_STATS_H
#define LODGE_STATS_H

#include "types.h"

#define STATS_ROWS	160
#define STATS_NAME	48

enum stats_group {
	STATS_REASON,		/* exits by reason */
	STATS_OTHER,		/* all else that is counted */
};

struct machine;

/**
 * struct stats - counters
 * @nr: entries of @row in use
 * @row: in the order in which they came
 */
struct stats {
	unsigned int nr;
	struct stats_row {
		enum stats_group group;
		char name[STATS_NAME];
		u64 count;
	} row[STATS_ROWS];
};

/**
 * stats_add() - add to a counter, a new one if need be
 * @s: the counters
 * @group: what it belongs to
 * @name: its name, without blanks
 * @count: what is added; 0 is as if nothing had been said
 */
void stats_add(struct stats *s, enum stats_group group, const char *name, u64 count);

/**
 * stats_report() - print the sum over all vCPUs on standard error
 * @m: a stopped machine
 */
void stats_report(const struct machine *m);

#endif /* LODGE_STATS_H */
