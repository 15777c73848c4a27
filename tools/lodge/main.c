// SPDX-License-Identifier: GPL-2.0
/*
 * lodge: the program. Picks the subcommand; each has a file of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "complain.h"

#define LODGE_VERSION "0.1"

static const struct command {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "run", cmd_run, "boot a Linux kernel in a virtual machine" },
	{ "doctor", cmd_doctor, "say whether this machine can run lodge" },
};

static void show_help(void)
{
	printf("Usage: lodge COMMAND [OPTION]...\n"
	       "Virtual machines by the lodge hypervisor module.\n\n"
	       "Commands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].help);
	printf("\nOptions:\n"
	       "  --help     show this\n"
	       "  --version  show the program's version\n\n"
	       "'lodge COMMAND --help' tells more about a command.\n");
}

/* The program's own files must never get the numbers of stdin, stdout, stderr. */
static int open_standard_files(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	return fd;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	static char line[512];

	/* In whole lines, so that what others say at the same time does not get between. */
	setvbuf(stderr, line, _IOLBF, sizeof(line));
	if (open_standard_files() < 0) {
		complain("/dev/null: %s", strerror(errno));
		return EXIT_SETUP;
	}
	if (!name) {
		complain("no command given; try 'lodge --help'");
		return EXIT_USAGE;
	}
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		show_help();
		return EXIT_OK;
	}
	if (!strcmp(name, "--version")) {
		printf("lodge %s\n", LODGE_VERSION);
		return EXIT_OK;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(name, commands[i].name))
			return commands[i].main(argc - 1, argv + 1);
	complain("unknown %s '%s'; try 'lodge --help'",
		 name[0] == '-' ? "option" : "command", name);
	return EXIT_USAGE;
}
