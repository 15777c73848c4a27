// SPDX-License-Identifier: GPL-2.0
/*
 * lodge-bench: runs benchmarks, each in a process of its own, so that one that
 * fails does not end the others.
 */
#include <getopt.h>
#include <sys/wait.h>

#include "bench.h"

static const struct bench *const groups[] = {
	host_benches, exit_benches, memory_benches, boot_benches,
};

static const char help[] =
	"Usage: lodge-bench [OPTION]... [NAME]...\n"
	"Measure what lodge costs on this machine. Without NAMEs all is measured, else what\n"
	"begins with one of them. For each figure a line is printed:\n"
	"\n"
	"  BENCH name value unit    # what KVM costs on the emulated machine\n"
	"\n"
	"value is a median; ticks are the TSC's, cputicks those during which this program\n"
	"had a CPU. A figure whose exit counters are not as they should be is not printed.\n"
	"\n"
	"  --kernel FILE   the Linux kernel of 'boot' (/guest/vmlinuz-6.1-cloud)\n"
	"  --initrd FILE   its initial RAM disk (/guest/initrd), of tools/testbench/guest-initrd\n"
	"  --list          the names and what they are\n"
	"  --help          show this\n"
	"\n"
	"Exit status: 0 when all was measured, 1 when something failed, 2 wrong usage.\n";

static bool wanted(const struct bench *b, char **names, int nr)
{
	int i;

	for (i = 0; i < nr; i++)
		if (!strncmp(b->name, names[i], strlen(names[i])))
			return true;
	return !nr;
}

static bool run_bench(const struct bench *b)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	require(pid >= 0);
	if (!pid) {
		b->run();
		exit(0);
	}
	require(waitpid(pid, &status, 0) == pid);
	if (!status)
		return true;
	printf("# %s FAILED\n", b->name);
	return false;
}

static void list(void)
{
	const struct bench *b;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(groups); i++)
		for (b = groups[i]; b->name; b++)
			printf("%-28s %s\n", b->name, b->text);
}

/* Return: an exit status. */
static int run_all(char **names, int nr)
{
	int nr_run = 0, nr_failed = 0;
	const struct bench *b;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(groups); i++) {
		for (b = groups[i]; b->name; b++) {
			if (!wanted(b, names, nr))
				continue;
			nr_run++;
			nr_failed += !run_bench(b);
		}
	}
	if (!nr_run) {
		fprintf(stderr, "lodge-bench: no such benchmark; try --list\n");
		return 2;
	}
	return nr_failed ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "kernel", required_argument, NULL, 'k' },
		{ "initrd", required_argument, NULL, 'i' },
		{ "list", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
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
