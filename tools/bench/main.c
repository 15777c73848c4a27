// SPDX-License-Identifier: GPL-2.0
/*
 * lodge-bench: runs the cases on the back ends, one back end after the other, each
 * case in a process of its own, so that one that fails does not end the others; and
 * each twice, to see whether it repeats.
 */
#include <fnmatch.h>
#include <getopt.h>
#include <sys/wait.h>

#include "bench.h"

static const struct bench *const groups[] = {
	host_benches, exit_benches, interrupt_benches, doorbell_benches, memory_benches,
	object_benches, whole_benches,
};

static const struct backend *const backends[] = {
	&host_backend, &lodge_backend, &kvm_backend,
};

static const char help[] =
	"Usage: lodge-bench [OPTION]... [CASE]...\n"
	"Measure what lodge costs on this machine, and what KVM costs. Without CASEs all is\n"
	"measured, else what matches one of these patterns. For each figure there is a line\n"
	"\n"
	"  BENCH name backend value unit    # more about it\n"
	"\n"
	"value is a median; ticks are the TSC's, cputicks those during which this program\n"
	"had a CPU. A case whose counters are not as they should be fails. The modules lodge\n"
	"and kvm_intel are loaded and unloaded: nobody else may use them.\n"
	"\n"
	"  --backend NAME  this back end only: lodge, kvm, host (may be repeated)\n"
	"  --counts        for each case of a guest, not its ticks but how often the costly\n"
	"                  instructions are executed; wants the lodge module of make bench,\n"
	"                  a build with CONFIG_LODGE_DEBUG\n"
	"  --kernel FILE   the Linux kernel of 'boot' (/guest/vmlinuz-6.1-cloud)\n"
	"  --initrd FILE   its initial RAM disk (/guest/initrd), of tools/testbench/guest-initrd\n"
	"  --list          the cases and what they are\n"
	"  --help          show this\n"
	"\n"
	"Exit status: 0 when all was measured, 1 when something failed, 2 wrong usage.\n";

/* How far apart two passes may be, as a part of their value. */
#define REPEATS		0.01
#define PASSES		2
#define MAX_RESULTS	64

struct outcome {
	u32 nr;
	struct result result[MAX_RESULTS];
};

static bool wanted(const struct bench *b, char **patterns, int nr)
{
	int i;

	for (i = 0; i < nr; i++)
		if (!fnmatch(patterns[i], b->name, 0))
			return true;
	return !nr;
}

static bool runs_on(const struct bench *b, const struct backend *be)
{
	if (counting && (be == &host_backend || !b->guest))
		return false;
	return be == &host_backend ? b->host || b->host_only : !b->host_only;
}

static bool run_pass(const struct bench *b, const struct backend *be, struct outcome *o)
{
	int status, fd[2];
	pid_t pid;

	fflush(stdout);
	require(!pipe(fd));
	pid = fork();
	require(pid >= 0);
	if (!pid) {
		close(fd[0]);
		result_fd = fd[1];
		test_context("%s on %s", b->name, be->name);
		if (b->guest)
			run_guest_case(be, b);
		else
			b->run(be);
		exit(0);
	}
	close(fd[1]);
	for (o->nr = 0; o->nr < MAX_RESULTS; o->nr++)
		if (read(fd[0], &o->result[o->nr], sizeof(struct result)) !=
		    sizeof(struct result))
			break;
	close(fd[0]);
	require(waitpid(pid, &status, 0) == pid);
	return !status;
}

static bool repeats(double a, double b)
{
	double apart = a > b ? a - b : b - a;

	return apart <= REPEATS * (a > b ? a : b);
}

static void print_result(const struct backend *be, const struct result *r,
			 const struct result *again)
{
	printf("BENCH %-28s %-6s %14.2f %-9s #", r->name, be->name, r->value, r->unit);
	if (r->nr > 1)
		printf(" min %.1f, mean %.1f of %u;", r->min, r->mean, r->nr);
	if (again)
		printf(" again %.1f", again->value);
	else
		printf(" once");
	if (again && !repeats(r->value, again->value))
		printf(" DOES NOT REPEAT within %.0f%%", REPEATS * 100);
	printf("\n");
}

static bool run_bench(const struct bench *b, const struct backend *be)
{
	static struct outcome first, second;
	bool ok = run_pass(b, be, &first);
	bool once = b->once || counting;
	u32 i;

	if (ok && !once)
		ok = run_pass(b, be, &second) && second.nr == first.nr;
	if (!ok || !first.nr) {
		printf("FAILED %s %s\n", b->name, be->name);
		return false;
	}
	for (i = 0; i < first.nr; i++)
		print_result(be, &first.result[i], once ? NULL : &second.result[i]);
	return true;
}

static void list(void)
{
	const struct bench *b;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(groups); i++)
		for (b = groups[i]; b->name; b++)
			printf("%-20s %s\n", b->name, b->text);
}

/* Only one hypervisor can have VMX. */
static void load_only(const struct backend *be)
{
	static const char *const unload[] = { "lodge", "kvm_intel", "kvm" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(unload); i++)
		if (module_loaded(unload[i]) && (!be->module || strcmp(unload[i], be->module)))
			if (module_unload(unload[i]))
				test_fail("cannot unload %s", unload[i]);
	if (be->module && !module_loaded(be->module) && module_load(be->module))
		test_fail("cannot load %s", be->module);
}

/* Return: how many were run. */
static int run_backend(const struct backend *be, char **patterns, int nr, int *nr_failed)
{
	const struct bench *b;
	int nr_run = 0;
	size_t i;

	load_only(be);
	for (i = 0; i < ARRAY_SIZE(groups); i++) {
		for (b = groups[i]; b->name; b++) {
			if (!wanted(b, patterns, nr) || !runs_on(b, be))
				continue;
			nr_run++;
			*nr_failed += !run_bench(b, be);
		}
	}
	return nr_run;
}

/* Bits of backends[]. */
static u32 only;

static bool choose_backend(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(backends); i++) {
		if (!strcmp(backends[i]->name, name)) {
			only |= BIT_ULL(i);
			return true;
		}
	}
	fprintf(stderr, "lodge-bench: no back end '%s'\n", name);
	return false;
}

/* Return: an exit status. */
static int run_all(char **patterns, int nr)
{
	int nr_run = 0, nr_failed = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(backends); i++)
		if (!only || only & BIT_ULL(i))
			nr_run += run_backend(backends[i], patterns, nr, &nr_failed);
	/* Not every case can be counted. */
	if (!nr_run && !counting) {
		fprintf(stderr, "lodge-bench: no such case; try --list\n");
		return 2;
	}
	return nr_failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "backend", required_argument, NULL, 'b' },
		{ "counts", no_argument, NULL, 'c' },
		{ "kernel", required_argument, NULL, 'k' },
		{ "initrd", required_argument, NULL, 'i' },
		{ "list", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'b':
			if (!choose_backend(optarg))
				return 2;
			break;
		case 'c':
			counting = true;
			break;
		case 'k':
			boot_files.kernel = optarg;
			break;
		case 'i':
			boot_files.initrd = optarg;
			break;
		case 'l':
			list();
			return 0;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			return 2;
		}
	}
	return run_all(argv + optind, argc - optind);
}
