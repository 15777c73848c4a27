// SPDX-License-Identifier: GPL-2.0
/*
 * The terminal on standard input: raw while a guest has it, and itself again
 * however the program ends.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "term.h"

static struct termios saved;
static bool have_saved;
static atomic_bool is_raw;

void term_restore(void)
{
	if (atomic_exchange(&is_raw, false))
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
}

/* Installed with SA_RESETHAND: the second time the signal does what it always does. */
static void restore_and_die(int sig)
{
	term_restore();
	raise(sig);
}

void term_init(void)
{
	static const int deadly[] = {
		SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGILL, SIGABRT, SIGFPE, SIGBUS, SIGSEGV,
	};
	struct sigaction sa = {
		.sa_handler = restore_and_die,
		.sa_flags = SA_RESETHAND | SA_NODEFER,
	};
	struct sigaction old;

	have_saved = !tcgetattr(STDIN_FILENO, &saved);
	/* Whoever started us with a signal ignored (nohup) wants it so. */
	for (size_t i = 0; i < ARRAY_SIZE(deadly); i++)
		if (!sigaction(deadly[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(deadly[i], &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	atexit(term_restore);
}

bool term_raw(void)
{
	struct termios raw = saved;

	/* In the background, touching the terminal would stop us. */
	if (!have_saved || tcgetpgrp(STDIN_FILENO) != getpgrp())
		return false;
	cfmakeraw(&raw);
	atomic_store(&is_raw, true);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	return true;
}
