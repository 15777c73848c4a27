// SPDX-License-Identifier: GPL-2.0
/* Samples, and what is made of them. */
#include "bench.h"

int result_fd;

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

static void send_result(const char *name, const char *unit, struct result r)
{
	snprintf(r.name, sizeof(r.name), "%s", name);
	snprintf(r.unit, sizeof(r.unit), "%s", unit);
	require(write(result_fd, &r, sizeof(r)) == sizeof(r));
}

void report(const char *name, const char *unit, struct samples *s)
{
	struct result r = { .nr = s->nr };

	require(s->nr);
	qsort(s->value, s->nr, sizeof(s->value[0]), compare);
	r.value = s->value[s->nr / 2];
	r.min = s->value[0];
	r.mean = mean(s);
	send_result(name, unit, r);
}

void report_value(const char *name, const char *unit, double value)
{
	send_result(name, unit, (struct result) {
		.value = value, .min = value, .mean = value, .nr = 1,
	});
}
