// SPDX-License-Identifier: GPL-2.0
/*
 * "lodge run": its options, and the life of a virtual machine through all its
 * reboots.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "commands.h"
#include "complain.h"
#include "console.h"
#include "machine.h"
#include "report.h"
#include "term.h"

#define DEFAULT_MEM	(512 * MIB)
#define DEFAULT_APPEND	"console=ttyS0"

static const char help[] =
	"Usage: lodge run --kernel FILE [OPTION]...\n"
	"Boot a Linux kernel in a virtual machine, its serial console on this terminal.\n"
	"\n"
	"  --kernel FILE   kernel: a bzImage (vmlinuz), or an ELF vmlinux with PVH entry\n"
	"  --initrd FILE   initial RAM disk\n"
	"  --append TEXT   kernel command line, instead of '" DEFAULT_APPEND "'\n"
	"  --mem SIZE      memory, such as 512M (default) or 4G\n"
	"  --cpus N        number of virtual CPUs (default 1)\n"
	"  --backend NAME  hypervisor: lodge (default), or kvm to compare with\n"
	"  --stats         at the end, say on standard error what the vCPUs did\n"
	"  --help          show this\n"
	"\n"
	"Keys: Ctrl-A x ends the virtual machine, Ctrl-A h shows all keys.\n"
	"\n"
	"Exit status: 0 the guest powered off, or Ctrl-A x; 1 it could not be set up;\n"
	"2 wrong options; 3 triple fault; 4 the guest did what lodge cannot handle;\n"
	"5 the CPU refused the guest's state; 6 the host could not provide memory;\n"
	"7 the hypervisor failed; 128 + N ended by signal N.\n";

/* --- options -------------------------------------------------------------------- */

static int parse_size(const char *text, u64 *size)
{
	static const char units[] = "KMGT";
	unsigned long long n;
	const char *unit;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	if (end == text || text[0] == '-' || !unit || end[1])
		return complain("--mem %s: not a size; say for example 512M or 4G", text);
	if (errno || n > BIT_ULL(62) >> (10 * (unit - units + 1)))
		return complain("--mem %s: far too much", text);
	*size = n << (10 * (unit - units + 1));
	if (*size < RAM_MIN)
		return complain("--mem %s: too little; at least %llu MiB are needed", text,
				RAM_MIN / MIB);
	if (*size % MIB)
		return complain("--mem %s: not a whole number of MiB", text);
	return 0;
}

static int parse_cpus(const char *text, unsigned int *cpus)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (end == text || *end || text[0] == '-' || errno || !n)
		return complain("--cpus %s: not a number of CPUs", text);
	if (n > MAX_VCPUS)
		return complain("--cpus %s: at most %u are possible", text, MAX_VCPUS);
	*cpus = n;
	return 0;
}

static int parse_backend(const char *text, const struct backend **backend)
{
	static const struct backend *const backends[] = { &lodge_backend, &kvm_backend };

	for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
		if (!strcmp(text, backends[i]->name)) {
			*backend = backends[i];
			return 0;
		}
	}
	return complain("--backend %s: unknown; there are 'lodge' and 'kvm'", text);
}

/* Take one option, given as @text; -1 after a complaint. */
static int take_option(struct config *c, int option, const char *text)
{
	switch (option) {
	case 'k':
		c->kernel = optarg;
		return 0;
	case 'i':
		c->initrd = optarg;
		return 0;
	case 'a':
		c->append = optarg;
		return 0;
	case 'm':
		return parse_size(optarg, &c->mem);
	case 'c':
		return parse_cpus(optarg, &c->cpus);
	case 'b':
		return parse_backend(optarg, &c->backend);
	case 's':
		c->stats = true;
		return 0;
	case ':':
		return complain("run: option '%s' needs a value", text);
	default:
		return complain("run: unknown option '%s'; try 'lodge run --help'", text);
	}
}

/* Return: 0, -1 after a complaint, 1 when help was wanted. */
static int parse_options(struct config *c, int argc, char **argv)
{
	static const struct option options[] = {
		{ "kernel", required_argument, NULL, 'k' },
		{ "initrd", required_argument, NULL, 'i' },
		{ "append", required_argument, NULL, 'a' },
		{ "mem", required_argument, NULL, 'm' },
		{ "cpus", required_argument, NULL, 'c' },
		{ "backend", required_argument, NULL, 'b' },
		{ "stats", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option, at = optind;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:h", options, NULL)) != -1) {
		if (option == 'h')
			return 1;
		if (take_option(c, option, argv[at]))
			return -1;
		at = optind;
	}
	if (optind < argc)
		return complain("run: what is '%s'? Only options are taken; try 'lodge run --help'",
				argv[optind]);
	if (!c->kernel)
		return complain("run: --kernel is missing; try 'lodge run --help'");
	return 0;
}

/* --- signals ---------------------------------------------------------------------- */

/*
 * While a guest runs, these are read from a signalfd; at all other times they do
 * what they always do, after term.c has put the terminal back.
 */
static void handled_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGQUIT);
	sigaddset(set, SIGTSTP);
	sigaddset(set, SIGCONT);
}

/* Take the terminal, if there is one and it is ours. */
static void take_terminal(struct console *c)
{
	c->keys = term_raw();
	/* Reading that of another job would stop us. */
	if (isatty(STDIN_FILENO))
		c->in_end = !c->keys;
}

/* Return: the number of a signal that ends the program, else 0. */
static int take_signal(int fd, struct console *c)
{
	struct signalfd_siginfo info;
	struct sigaction sa;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	switch (info.ssi_signo) {
	case SIGTSTP:
		term_restore();
		raise(SIGSTOP);
		return 0;
	case SIGCONT:
		take_terminal(c);
		return 0;
	}
	/* One that was ignored from the start (nohup) still is. */
	if (!sigaction(info.ssi_signo, NULL, &sa) && sa.sa_handler == SIG_IGN)
		return 0;
	return info.ssi_signo;
}

/* --- life ----------------------------------------------------------------------------- */

/* Look after a running machine. Return: a signal that ended it, else 0. */
static int attend(struct machine *m, int signals)
{
	struct console *c = m->console;
	int sig = 0;

	/* Typed before a reboot, and not yet taken by the guest. */
	machine_feed(m);
	while (!machine_ended(m)) {
		struct pollfd p[] = {
			{ .fd = m->wake, .events = POLLIN },
			{ .fd = signals, .events = POLLIN },
			{ .fd = console_wants_input(c) ? STDIN_FILENO : -1, .events = POLLIN },
		};
		eventfd_t count;

		if (poll(p, ARRAY_SIZE(p), -1) < 0)
			continue;
		if (p[0].revents)
			eventfd_read(m->wake, &count);
		if (p[1].revents)
			sig = take_signal(signals, c);
		if (sig || (p[2].revents && !console_read(c)))
			machine_end(m, END_QUIT, NULL);
		machine_feed(m);
	}
	return sig;
}

/* From power-on to the end. Return: enum machine_end, or -1 after a complaint. */
static int live(struct machine *m, int signals, const sigset_t *set, int *sig)
{
	int err;

	pthread_sigmask(SIG_BLOCK, set, NULL);	/* for the threads too */
	take_terminal(m->console);
	err = machine_start(m);
	if (!err)
		*sig = attend(m, signals);
	else
		machine_end(m, END_QUIT, NULL);
	/* Whatever may keep us from here on, a signal ends it. */
	pthread_sigmask(SIG_UNBLOCK, set, NULL);
	machine_stop(m);
	if (m->end != END_QUIT)
		console_drain(m->console);
	term_restore();
	return err ? -1 : m->end;
}

static int exit_status(int end, int sig)
{
	static const int status[] = {
		[END_POWEROFF]		= EXIT_OK,
		[END_QUIT]		= EXIT_OK,
		[END_TRIPLE_FAULT]	= EXIT_TRIPLE_FAULT,
		[END_UNHANDLED]		= EXIT_UNHANDLED,
		[END_FAIL_ENTRY]	= EXIT_FAIL_ENTRY,
		[END_MEM_FAULT]		= EXIT_MEM_FAULT,
		[END_HOST]		= EXIT_HOST,
	};

	if (end < 0)
		return EXIT_SETUP;
	return sig ? 128 + sig : status[end];
}

static void tell_end(struct machine *m)
{
	report_end(m);
	if (m->config->stats)
		stats_report(m);
}

/* Power on, and again after each reboot of the guest. */
static int run(const struct config *config)
{
	static struct console console;
	static struct machine m;
	int signals, end, sig = 0;
	sigset_t set;

	handled_signals(&set);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0) {
		complain("cannot make a signalfd: %s", strerror(errno));
		return EXIT_SETUP;
	}
	if (console_init(&console))
		return EXIT_SETUP;
	for (;;) {
		end = machine_create(&m, config, &console);
		if (!end)
			end = live(&m, signals, &set, &sig);
		if (end != END_REBOOT)
			break;
		tell_end(&m);
		machine_destroy(&m);
	}
	console_finish(&console);
	if (end > END_NONE)
		tell_end(&m);
	machine_destroy(&m);
	return exit_status(end, sig);
}

int cmd_run(int argc, char **argv)
{
	struct config config = {
		.append = DEFAULT_APPEND,
		.mem = DEFAULT_MEM,
		.cpus = 1,
		.backend = &lodge_backend,
	};

	switch (parse_options(&config, argc, argv)) {
	case 0:
		term_init();
		return run(&config);
	case 1:
		fputs(help, stdout);
		return EXIT_OK;
	default:
		return EXIT_USAGE;
	}
}
