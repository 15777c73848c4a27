// SPDX-License-Identifier: GPL-2.0
/*
 * The console: what the guest sends goes to standard output, what comes on
 * standard input goes to the guest.
 *
 * Output is collected in a ring and written by a thread of its own: a vCPU pays
 * for a byte with a store and, now and then, a wake-up. The writer waits a moment
 * after the first byte so that one write takes many.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "complain.h"
#include "console.h"
#include "thread.h"

#define COLLECT_NS	3000000
#define CTRL_A		0x01

static const char keys_help[] =
	"\r\n"
	"Ctrl-A x       end the virtual machine at once\r\n"
	"Ctrl-A Ctrl-A  send Ctrl-A to the guest\r\n"
	"Ctrl-A h       show this\r\n";

/* False when standard output is gone for good. */
static bool write_all(const u8 *bytes, size_t len)
{
	struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };
	ssize_t n;

	while (len) {
		n = write(STDOUT_FILENO, bytes, len);
		if (n < 0 && errno == EAGAIN)
			poll(&p, 1, -1);
		else if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			bytes += n;
			len -= n;
		}
	}
	return true;
}

/* Wait for bytes; false at the end. Called with the lock held, which it lets go. */
static bool wait_for_output(struct console *c)
{
	struct timespec moment = { .tv_nsec = COLLECT_NS };

	while (c->head == c->tail && !c->finish)
		pthread_cond_wait(&c->filled, &c->lock);
	if (c->head == c->tail)
		return false;
	if (!c->finish && c->head - c->tail < CONSOLE_OUT / 2) {
		pthread_mutex_unlock(&c->lock);
		nanosleep(&moment, NULL);
		pthread_mutex_lock(&c->lock);
	}
	return true;
}

/* What is in the ring stays untouched until @tail has passed it: write unlocked. */
static void *writer(void *arg)
{
	struct console *c = arg;

	pthread_mutex_lock(&c->lock);
	while (wait_for_output(c)) {
		size_t start = c->tail % CONSOLE_OUT;
		size_t len = c->head - c->tail;
		bool broken = c->broken;

		if (len > CONSOLE_OUT - start)
			len = CONSOLE_OUT - start;
		pthread_mutex_unlock(&c->lock);
		if (!broken)
			broken = !write_all(&c->out[start], len);
		pthread_mutex_lock(&c->lock);
		c->broken = broken;
		c->tail += len;
		pthread_cond_broadcast(&c->emptied);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

void console_send(struct console *c, u8 byte)
{
	pthread_mutex_lock(&c->lock);
	while (c->head - c->tail == CONSOLE_OUT && !c->released)
		pthread_cond_wait(&c->emptied, &c->lock);
	if (c->head - c->tail < CONSOLE_OUT) {
		c->out[c->head++ % CONSOLE_OUT] = byte;
		if (c->head - c->tail == 1)
			pthread_cond_signal(&c->filled);
	}
	pthread_mutex_unlock(&c->lock);
}

void console_release(struct console *c, bool released)
{
	pthread_mutex_lock(&c->lock);
	c->released = released;
	pthread_cond_broadcast(&c->emptied);
	pthread_mutex_unlock(&c->lock);
}

int console_init(struct console *c)
{
	sigset_t all, old;
	int err;

	memset(c, 0, sizeof(*c));
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->filled, NULL);
	pthread_cond_init(&c->emptied, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	err = thread_start(&c->writer, writer, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		return complain("cannot start a thread: %s", strerror(err));
	return 0;
}

void console_drain(struct console *c)
{
	pthread_mutex_lock(&c->lock);
	while (c->head != c->tail)
		pthread_cond_wait(&c->emptied, &c->lock);
	pthread_mutex_unlock(&c->lock);
}

void console_finish(struct console *c)
{
	struct timespec until;

	pthread_mutex_lock(&c->lock);
	c->finish = true;
	pthread_cond_signal(&c->filled);
	pthread_mutex_unlock(&c->lock);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	pthread_timedjoin_np(c->writer, NULL, &until);
}

bool console_wants_input(const struct console *c)
{
	return !c->in_len && !c->in_end;
}

/* One key typed on the terminal; false for the one that ends the program. */
static bool take_key(struct console *c, u8 key)
{
	if (!c->escape) {
		if (key == CTRL_A)
			c->escape = true;
		else
			c->in[c->in_len++] = key;
		return true;
	}
	c->escape = false;
	switch (key) {
	case 'x':
	case 'X':
		return false;
	case 'h':
	case 'H':
	case '?':
		fputs(keys_help, stderr);
		return true;
	case CTRL_A:
		c->in[c->in_len++] = CTRL_A;
		return true;
	default:			/* not for us: the guest gets both */
		c->in[c->in_len++] = CTRL_A;
		c->in[c->in_len++] = key;
		return true;
	}
}

bool console_read(struct console *c)
{
	u8 bytes[CONSOLE_IN / 2];	/* a key may become two bytes */
	ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0) {
		c->in_end = true;
		return true;
	}
	c->in_start = 0;
	if (!c->keys) {
		memcpy(c->in, bytes, n);
		c->in_len = n;
		return true;
	}
	for (ssize_t i = 0; i < n; i++)
		if (!take_key(c, bytes[i]))
			return false;
	return true;
}
