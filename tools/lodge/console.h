/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The console: what the guest sends goes to standard output, what comes on
 * standard input goes to the guest.
 */
#ifndef LODGE_CONSOLE_H
#define LODGE_CONSOLE_H

#include <pthread.h>

#include "types.h"

#define CONSOLE_OUT	(64 * 1024)	/* a power of two */
#define CONSOLE_IN	64

/**
 * struct console - both directions
 * @writer: thread that writes to standard output, so that no vCPU does
 * @lock: guards what follows, down to @broken
 * @filled: something is to be written, or @finish
 * @emptied: there is room in @out, or @released
 * @head: bytes ever put into @out
 * @tail: bytes ever written
 * @finish: write what is there, then end
 * @released: never wait for room
 * @broken: standard output takes no more; drop what comes
 * @out: ring of bytes to be written
 * @in: bytes read and not yet taken by the guest; only the main thread uses these
 * @in_start: index of the first
 * @in_len: how many
 * @in_end: standard input has ended
 * @keys: standard input is a terminal: mind Ctrl-A
 * @escape: Ctrl-A came last
 */
struct console {
	pthread_t writer;
	pthread_mutex_t lock;
	pthread_cond_t filled;
	pthread_cond_t emptied;
	size_t head;
	size_t tail;
	bool finish;
	bool released;
	bool broken;
	u8 out[CONSOLE_OUT];
	u8 in[CONSOLE_IN];
	unsigned int in_start;
	unsigned int in_len;
	bool in_end;
	bool keys;
	bool escape;
};

/**
 * console_init() - start the writer
 * @c: the console
 *
 * Return: 0, or -1 after a complaint.
 */
int console_init(struct console *c);

/**
 * console_drain() - wait until everything is written, however long it takes
 * @c: the console
 */
void console_drain(struct console *c);

/**
 * console_finish() - end the writer; what it has not written in a second is lost
 * @c: the console
 */
void console_finish(struct console *c);

/**
 * console_send() - take a byte from the guest
 * @c: the console
 * @byte: the byte
 *
 * Waits while the ring is full, unless released.
 */
void console_send(struct console *c, u8 byte);

/**
 * console_release() - let nobody wait in console_send(), or again let them
 * @c: the console
 * @released: which
 */
void console_release(struct console *c, bool released);

/**
 * console_wants_input() - should standard input be read now?
 * @c: the console
 */
bool console_wants_input(const struct console *c);

/**
 * console_read() - read standard input, which must be readable
 * @c: the console
 *
 * Return: false when the user asked to end the program (Ctrl-A x).
 */
bool console_read(struct console *c);

#endif /* LODGE_CONSOLE_H */
