// SPDX-License-Identifier: GPL-2.0
/*
 * A whole Linux guest by "lodge run", on either back end: from the start of that
 * program to the first words of the guest's init; and what the guest costs while
 * its init sleeps.
 */
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>

#include "bench.h"

#define TAG		"bench"
#define BEGIN		"guest " TAG ": begin"
#define STATUS		"guest " TAG ": status 0"
#define TRACING		"/sys/kernel/tracing/"

struct boot_files boot_files = {
	.kernel = "/guest/vmlinuz-6.1-cloud",
	.initrd = "/guest/initrd",
};

/* ------------------------------------------------------------------ the program */

struct guest {
	pid_t pid;
	int out;		/* what it says */
	char text[1 << 16];
	size_t len;
	u64 start;		/* TSC */
};

static void exec_lodge(const struct backend *be, const char *run)
{
	char append[128];

	snprintf(append, sizeof(append), "console=ttyS0 quiet nokaslr tag=" TAG " run=\"%s\"", run);
	require(freopen("/dev/null", "r", stdin));
	execlp("lodge", "lodge", "run", "--kernel", boot_files.kernel, "--initrd",
	       boot_files.initrd, "--mem", "128M", "--append", append,
	       be == &kvm_backend ? "--backend" : NULL, "kvm", NULL);
	test_fail("lodge: %s", strerror(errno));
}

static void start_guest(struct guest *g, const struct backend *be, const char *run)
{
	int pipe_fd[2];

	memset(g, 0, sizeof(*g));
	require(!pipe(pipe_fd));
	g->start = read_tsc();
	g->pid = fork();
	require(g->pid >= 0);
	if (!g->pid) {
		dup2(pipe_fd[1], STDOUT_FILENO);
		close(pipe_fd[0]);
		close(pipe_fd[1]);
		exec_lodge(be, run);
	}
	close(pipe_fd[1]);
	g->out = pipe_fd[0];
}

static void listen_until(struct guest *g, const char *words)
{
	ssize_t n;

	while (!strstr(g->text, words)) {
		n = read(g->out, g->text + g->len, sizeof(g->text) - 1 - g->len);
		if (n <= 0)
			test_fail("the guest did not say '%s', but:\n%s", words, g->text);
		g->len += n;
	}
}

static void end_guest(struct guest *g)
{
	int status;

	listen_until(g, STATUS);
	while (read(g->out, g->text, sizeof(g->text)) > 0)
		;
	require(waitpid(g->pid, &status, 0) == g->pid);
	require(!status);
	close(g->out);
}

/* ---------------------------------------------------------------- time and idling */

#define IDLE_SECONDS	4

static struct guest guest;

static void bench_boot(const struct backend *be)
{
	double cpu, ticks;

	start_guest(&guest, be, "sleep 6");
	listen_until(&guest, BEGIN);
	ticks = read_tsc() - guest.start;
	sleep(1);
	cpu = cpu_ticks_of(guest.pid);
	sleep(IDLE_SECONDS);
	cpu = cpu_ticks_of(guest.pid) - cpu;
	end_guest(&guest);
	report_value("boot", "ticks", ticks);
	report_value("boot_idle_second", "cputicks", cpu / IDLE_SECONDS);
}

/* ---------------------------------------------------------------- exits by reason */

/*
 * The event that each back end has for an exit, and its field of the reason; and for
 * WRMSR the event, its field of the MSR, and what else tells a write.
 */
struct exit_event {
	const struct backend *be;
	const char *dir;
	const char *key;
	const char *wrmsr_dir;
	const char *wrmsr_key;
	const char *wrmsr_filter;
};

static const struct exit_event exit_events[] = {
	{ &lodge_backend, TRACING "events/lodge/lodge_exit", "reason",
	  TRACING "events/lodge/lodge_exit", "ecx", "reason==32" },
	{ &kvm_backend, TRACING "events/kvm/kvm_exit", "exit_reason",
	  TRACING "events/kvm/kvm_msr", "ecx", "write==1" },
};

/* Basic exit reasons (SDM 3D appendix C) by name. */
static const char *const reason_names[] = {
	[0] = "exception",
	[1] = "interrupt",
	[7] = "window",
	[10] = "cpuid",
	[12] = "hlt",
	[18] = "vmcall",
	[28] = "cr",
	[29] = "dr",
	[30] = "io",
	[31] = "rdmsr",
	[32] = "wrmsr",
	[48] = "ept",
	[49] = "ept_misconfig",
	[52] = "timer",
	[54] = "wbinvd",
	[55] = "xsetbv",
};

static const struct exit_event *event_of(const struct backend *be)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(exit_events) - 1; i++)
		if (exit_events[i].be == be)
			break;
	return &exit_events[i];
}

static void set_event(const char *dir, const char *file, const char *format, ...)
{
	char path[128], text[128];
	va_list args;
	int ret;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ret = write_text(path, text);
	if (ret)
		test_fail("%s: %s", path, strerror(-ret));
}

/* Both histograms; @how is empty, ":pause", or with "!" before them to remove them. */
static void set_histograms(const struct exit_event *e, const char *not, const char *how)
{
	set_event(e->dir, "trigger", "%shist:keys=%s%s", not, e->key, how);
	set_event(e->wrmsr_dir, "trigger", "%shist:keys=%s%s if %s", not, e->wrmsr_key, how,
		  e->wrmsr_filter);
}

static void report_reason(u32 reason, u64 nr)
{
	char name[40];

	if (reason < ARRAY_SIZE(reason_names) && reason_names[reason])
		snprintf(name, sizeof(name), "boot_exits_%s", reason_names[reason]);
	else
		snprintf(name, sizeof(name), "boot_exits_%u", reason);
	report_value(name, "exits", nr);
}

/*
 * The next line "{ KEY:  48 } hitcount:  1234" of a histogram, whose key the kernel names;
 * false after the last.
 */
static bool next_count(FILE *f, const char *key, unsigned long long *value,
		       unsigned long long *nr)
{
	char line[256], format[64];

	snprintf(format, sizeof(format), "{ %s: %%llu } hitcount: %%llu", key);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, format, value, nr) == 2)
			return true;
	return false;
}

static FILE *open_histogram(const char *dir)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/hist", dir);
	f = fopen(path, "re");
	require(f);
	return f;
}

/* How often the guest has armed its timer: WRMSRs of the TSC deadline. */
static u64 count_arming(const struct exit_event *e)
{
	FILE *f = open_histogram(e->wrmsr_dir);
	unsigned long long msr, nr;
	u64 arming = 0;

	while (next_count(f, e->wrmsr_key, &msr, &nr))
		if (msr == MSR_TSC_DEADLINE)
			arming = nr;
	fclose(f);
	require(arming);
	return arming;
}

static void report_exits(const struct exit_event *e)
{
	FILE *f = open_histogram(e->dir);
	unsigned long long reason, nr;
	u64 all = 0, asked = 0;

	while (next_count(f, e->key, &reason, &nr)) {
		report_reason(reason, nr);
		all += nr;
		/* Interrupts and timers are the host's clock, not the guest's doing. */
		if (reason > 1 && reason != 52)
			asked += nr;
	}
	fclose(f);
	require(asked);
	report_value("boot_exits", "exits", all);
	report_value("boot_exits_asked", "exits", asked);
	report_value("boot_exits_arming", "exits", count_arming(e));
}

/* The guest's own ticks by the last event; only lodge tells them. */
static void report_guest_ticks(void)
{
	static char line[512];
	double ticks = 0;
	FILE *f = fopen(TRACING "trace", "re");
	char *p;

	require(f);
	while (fgets(line, sizeof(line), f)) {
		p = strstr(line, "guest_tsc ");
		if (p)
			ticks = strtod(p + strlen("guest_tsc "), NULL);
	}
	fclose(f);
	require(ticks);
	report_value("boot_guest", "ticks", ticks);
}

static void bench_boot_exits(const struct backend *be)
{
	const struct exit_event *e = event_of(be);

	set_event(TRACING, "buffer_size_kb", "64");
	set_event(TRACING, "trace", "");
	set_histograms(e, "", "");
	if (be == &lodge_backend)
		set_event(e->dir, "enable", "1");
	start_guest(&guest, be, "true");
	listen_until(&guest, BEGIN);
	if (be == &lodge_backend)
		set_event(e->dir, "enable", "0");
	set_histograms(e, "", ":pause");
	end_guest(&guest);
	report_exits(e);
	if (be == &lodge_backend)
		report_guest_ticks();
	set_histograms(e, "!", "");
}

const struct bench whole_benches[] = {
	{ "boot", "Linux by lodge run: to its init, and one second idle", .run = bench_boot },
	{ "boot_exits", "the same, its exits by reason", .run = bench_boot_exits, .once = true },
	{}
};
