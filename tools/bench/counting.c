// SPDX-License-Identifier: GPL-2.0
/*
 * How often the instructions were executed that cost more on silicon than one tick:
 * VMX instructions, lodge's by the counters of a debug build, KVM's by a kernel probe
 * on each of them; MSR accesses, by the kernel's own events, which see both modules and
 * all that the kernel does for them.
 */
#include <fcntl.h>

#include "bench.h"

#define INSTRUCTIONS	"/sys/kernel/debug/lodge/instructions"
#define TRACING		"/sys/kernel/tracing/"
#define EVENTS		TRACING "events/msr/"
#define MAX_INSNS	16

/* What tools/bench/probes has found in kvm_intel, and the events it names. */
#define PROBES		"/guest/kvm-probes"
#define PROBE_EVENTS	TRACING "events/kvm_insn/enable"
#define OPTIMIZATION	"/proc/sys/debug/kprobes-optimization"

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

static void add_insn(struct insns *s, const char *name, u64 count)
{
	u32 i;

	for (i = 0; i < s->nr; i++)
		if (!strcmp(s->insn[i].name, name))
			break;
	require(i < MAX_INSNS);
	if (i == s->nr) {
		snprintf(s->insn[i].name, sizeof(s->insn[i].name), "%s", name);
		s->nr++;
	}
	s->insn[i].count += count;
}

static void read_lodge(struct insns *s)
{
	FILE *f = fopen(INSTRUCTIONS, "re");
	unsigned long long count;
	char name[24];

	if (!f)
		test_fail("no %s: lodge is no debug build", INSTRUCTIONS);
	while (fscanf(f, "%23s %llu", name, &count) == 2)
		add_insn(s, name, count);
	fclose(f);
}

/* They need the module, and are on when all are set. */
static bool probes_set(void)
{
	char on[8] = "";

	return !read_text(PROBE_EVENTS, on, sizeof(on)) && on[0] == '1';
}

static u64 section_start(const char *section)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), "/sys/module/kvm_intel/sections/%s", section);
	if (read_text(path, text, sizeof(text)))
		test_fail("no %s", path);
	return strtoull(text, NULL, 16);
}

/*
 * By address: the kernel looks a name up in all it has. And it waits for all tasks when it
 * makes probes faster, for each anew. Either would take longer than all that is counted.
 */
static void set_probes(void)
{
	FILE *probes = fopen(PROBES, "re");
	int fd = open(TRACING "kprobe_events", O_WRONLY | O_TRUNC | O_CLOEXEC);
	char insn[24], section[24], line[96];
	unsigned long long offset;
	u32 nr = 0;

	if (!probes)
		test_fail("no %s: see tools/bench/run", PROBES);
	require(fd >= 0);
	require(!write_text(OPTIMIZATION, "0"));
	while (fscanf(probes, "%23s %23s %llx", insn, section, &offset) == 3) {
		snprintf(line, sizeof(line), "p:kvm_insn/%s_%u 0x%llx\n", insn, nr++,
			 section_start(section) + offset);
		if (write(fd, line, strlen(line)) < 0)
			test_fail("kprobe_events: %s: %s", strerror(errno), line);
	}
	close(fd);
	fclose(probes);
	require(!write_text(PROBE_EVENTS, "1"));
}

/* Lines "INSN_NUMBER hits missed"; a probe hit within another is missed, but was there. */
static void read_kvm(struct insns *s)
{
	FILE *f = fopen(TRACING "kprobe_profile", "re");
	unsigned long long hits, missed;
	char name[24];

	require(f);
	while (fscanf(f, " %23[a-z]_%*u %llu %llu", name, &hits, &missed) == 3)
		add_insn(s, name, hits + missed);
	fclose(f);
}

static void read_insns(const struct backend *be, struct insns *s)
{
	memset(s, 0, sizeof(*s));
	if (be == &lodge_backend)
		read_lodge(s);
	else
		read_kvm(s);
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

	if (be == &kvm_backend && !probes_set())
		set_probes();
	for (i = 0; i < ARRAY_SIZE(events); i++)
		set_trigger(events[i], "hist:keys=msr");
	read_insns(be, &before);
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
	read_insns(be, &after);
	for (i = 0; i < after.nr; i++)
		report_count(name, after.insn[i].name,
			     after.insn[i].count - before.insn[i].count, operations);
	for (i = 0; i < ARRAY_SIZE(events); i++) {
		report_count(name, events[i], count_event(events[i]), operations);
		set_trigger(events[i], "!hist:keys=msr");
	}
}
