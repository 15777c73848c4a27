/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The terminal on standard input: raw while a guest has it, and itself again
 * however the program ends.
 */
#ifndef LODGE_TERM_H
#define LODGE_TERM_H

#include "types.h"

/**
 * term_init() - remember how the terminal is set, and arrange for putting it back
 *
 * From here on the signals that end the program, crashes included, put it back.
 */
void term_init(void);

/**
 * term_raw() - hand every key to the guest
 *
 * Return: true when standard input is a terminal, and ours.
 */
bool term_raw(void);

/**
 * term_restore() - put the terminal back; safe in a signal handler, and twice
 */
void term_restore(void);

#endif /* LODGE_TERM_H */
