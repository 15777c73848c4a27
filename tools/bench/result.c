// SPDX-License-Identifier: GPL-2.0
/* Samples, and the lines that are printed about them. */
#include "bench.h"

void sample(struct samples *s, double value)
{
	require(s->nr < MAX_SAMPLES);
	s->value[s->nr++] = value;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double mean(const struct samples *s)
{
	double sum = 0;
	u32 i;

	for (i = 0; i < s->nr; i++)
		sum += s->value[i];
	return sum / s->nr;
}

void report(const char *name, const char *unit, struct samples *s)
{
	double kvm = kvm_figure(name), median;

	require(s->nr);
	qsort(s->value, s->nr, sizeof(s->value[0]), compare);
	median = s->value[s->nr / 2];
	printf("BENCH %-30s %12.1f %-8s", name, median, unit);
	if (kvm > 0)
		printf(" # KVM %.0f, ratio %.2f;", kvm, kvm / median);
	else
		printf(" #");
	printf(" min %.1f mean %.1f of %u\n", s->value[0], mean(s), s->nr);
	fflush(stdout);
}
