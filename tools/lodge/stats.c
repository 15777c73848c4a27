// SPDX-License-Identifier: GPL-2.0
/*
 * Counters by name: what a machine's vCPUs have done, summed up and printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "stats.h"

void stats_add(struct stats *s, enum stats_group group, const char *name, u64 count)
{
	unsigned int i;

	if (!count)
		return;
	for (i = 0; i < s->nr; i++)
		if (s->row[i].group == group && !strcmp(s->row[i].name, name))
			break;
	if (i == STATS_ROWS)
		return;
	if (i == s->nr) {
		s->row[i] = (struct stats_row){ .group = group };
		snprintf(s->row[i].name, sizeof(s->row[i].name), "%s", name);
		s->nr++;
	}
	s->row[i].count += count;
}

/* By group, then the largest first. */
static int compare_rows(const void *a, const void *b)
{
	const struct stats_row *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return x->count > y->count ? -1 : x->count < y->count;
}

void stats_report(const struct machine *m)
{
	static const char *const titles[] = {
		[STATS_REASON] = "exits by reason",
		[STATS_OTHER] = "other counters",
	};
	struct stats s = { 0 };

	for (unsigned int i = 0; i < m->nr_vcpus; i++)
		if (m->vm->backend->get_stats(&m->vcpu[i], &s))
			return;
	qsort(s.row, s.nr, sizeof(s.row[0]), compare_rows);
	for (unsigned int i = 0; i < s.nr; i++) {
		if (!i || s.row[i].group != s.row[i - 1].group)
			fprintf(stderr, "%s, %u vCPU%s on %s:\n", titles[s.row[i].group],
				m->nr_vcpus, m->nr_vcpus == 1 ? "" : "s", m->vm->backend->name);
		fprintf(stderr, "  %-32s %16llu\n", s.row[i].name, s.row[i].count);
	}
}
