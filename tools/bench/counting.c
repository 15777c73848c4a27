// SPDX-License-Identifier: GPL-2.0
/*
 * How often the instructions were executed that cost more on silicon than one tick:
 * VMX instructions, by the counters of a debug build of lodge (KVM has none); MSR
 * accesses, by the kernel's own events, which see both modules and all that the
 * kernel does for them.
 */
#include "bench.h"

#define INSTRUCTIONS	"/sys/kernel/debug/lodge/instructions"
#define EVENTS		"/sys/kernel/tracing/events/msr/"
#define MAX_INSNS	16

bool counting;

struct insns {
	u32 nr;
	struct {
		char name[24];
		u64 count;
	} insn[MAX_INSNS];
};

static struct insns before;

static const char *const events[] = { "read_msr", "write_msr" };

static void read_insns(struct insns *s)
{
	FILE *f = fopen(INSTRUCTIONS, "re");
	unsigned long long count;

	if (!f)
		test_fail("no %s: lodge is no debug build", INSTRUCTIONS);
	for (s->nr = 0; s->nr < MAX_INSNS; s->nr++) {
		if (fscanf(f, "%23s %llu", s->insn[s->nr].name, &count) != 2)
			break;
		s->insn[s->nr].count = count;
	}
	fclose(f);
	require(s->nr);
}

static void set_trigger(const char *event, const char *text)
{
	char path[128];
	int ret;

	snprintf(path, sizeof(path), EVENTS "%s/trigger", event);
	ret = write_text(path, text);
	if (ret)
		test_fail("%s: %s", path, strerror(-ret));
}

/* The sum of its "hitcount: N". */
static u64 count_event(const char *event)
{
	char path[128], line[256], *p;
	u64 sum = 0;
	FILE *f;

	snprintf(path, sizeof(path), EVENTS "%s/hist", event);
	f = fopen(path, "re");
	require(f);
	while (fgets(line, sizeof(line), f)) {
		p = strstr(line, "} hitcount:");
		if (p)
			sum += strtoull(p + strlen("} hitcount:"), NULL, 10);
	}
	fclose(f);
	return sum;
}

void counting_begin(const struct backend *be)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(events); i++)
		set_trigger(events[i], "hist:keys=msr");
	if (be == &lodge_backend)
		read_insns(&before);
}

void report_count(const char *name, const char *what, u64 count, u64 operations)
{
	char text[40];

	if (!count)
		return;
	snprintf(text, sizeof(text), "%s:%s", name, what);
	report_value(text, "count", (double)count / operations);
}

void counting_end(const char *name, const struct backend *be, u64 operations)
{
	struct insns after;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(events); i++)
		set_trigger(events[i], "hist:keys=msr:pause");
	if (be == &lodge_backend) {
		read_insns(&after);
		for (i = 0; i < after.nr; i++)
			report_count(name, after.insn[i].name,
				     after.insn[i].count - before.insn[i].count, operations);
	}
	for (i = 0; i < ARRAY_SIZE(events); i++) {
		report_count(name, events[i], count_event(events[i]), operations);
		set_trigger(events[i], "!hist:keys=msr");
	}
}
