/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Choices for the fuzzers. They come out of a string of bytes, the input, which
 * can be mutated and kept; or, without one, out of a seeded random sequence.
 */
#ifndef LODGE_TEST_FUZZ_H
#define LODGE_TEST_FUZZ_H

#include "x86.h"

#define FUZZ_MAX_INPUT	480

struct fuzz_input {
	u32 len;
	u8 bytes[FUZZ_MAX_INPUT];
};

/* How much to do: LODGE_ROUNDS from the environment, or @otherwise. */
u64 fuzz_rounds(u64 otherwise);

/* LODGE_SEED, or 1. */
u64 fuzz_first_seed(void);
void fuzz_seed(u64 seed);
u64 fuzz_random(void);

/* What to choose by from here on; NULL: the random sequence. */
void fuzz_from(const struct fuzz_input *input);
bool fuzz_at_end(void);
/* So many bytes (1 to 8) of it as a number; zero where the input is at its end. */
u64 fuzz_take(u32 bytes);
/* Below @n, which is not 0. */
u64 fuzz_below(u64 n);
/* A number as programs get them wrong: near bounds, single bits, or any. */
u64 fuzz_number(void);
/* Some members of the structure @p, of 4 or 8 bytes, get such numbers. */
void fuzz_members(void *p, u32 size, u32 times);

/* A new input from @old and, for pieces of it, @other. */
void fuzz_mutate(struct fuzz_input *to, const struct fuzz_input *old,
		 const struct fuzz_input *other);

/* A signal to this thread in so many microseconds, and again until 0 is said. */
void fuzz_interrupt_in(u32 us);

#endif
