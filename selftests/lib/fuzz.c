// SPDX-License-Identifier: GPL-2.0
/* Choices for the fuzzers. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "fuzz.h"
#include "host.h"

static const struct fuzz_input *input;
static u32 at;
static u64 state = 88172645463325252ULL;

u64 fuzz_rounds(u64 otherwise)
{
	const char *text = getenv("LODGE_ROUNDS");

	return text ? strtoull(text, NULL, 0) : otherwise;
}

u64 fuzz_first_seed(void)
{
	const char *text = getenv("LODGE_SEED");

	return text ? strtoull(text, NULL, 0) : 1;
}

void fuzz_seed(u64 seed)
{
	state = seed * 0x9e3779b97f4a7c15ULL | 1;
}

u64 fuzz_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	/* The low bits of the sequence alone are weak. */
	return (state * 0x2545f4914f6cdd1dULL) >> 16 | state << 48;
}

void fuzz_from(const struct fuzz_input *from)
{
	input = from;
	at = 0;
}

bool fuzz_at_end(void)
{
	return input && at >= input->len;
}

u64 fuzz_take(u32 bytes)
{
	u64 value = 0;
	u32 i;

	for (i = 0; i < bytes; i++) {
		value <<= 8;
		if (!input)
			value |= fuzz_random() & 0xff;
		else if (at < input->len)
			value |= input->bytes[at++];
	}
	return value;
}

u64 fuzz_below(u64 n)
{
	return fuzz_take(n <= 256 ? 1 : n <= 65536 ? 2 : 8) % n;
}

u64 fuzz_number(void)
{
	static const u64 bounds[] = {
		0, 1, 0xff, 0xfff, 0x1000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
		0x100000000, 0x7fffffffffff, 0x800000000000, 0xffff800000000000,
		0x7fffffffffffffff, 0x8000000000000000, ~0ULL, 0xfee00000, 0xfffff000,
	};

	switch (fuzz_below(8)) {
	case 0:
		return fuzz_take(1);
	case 1:
		return bounds[fuzz_below(sizeof(bounds) / sizeof(*bounds))];
	case 2:
		return 1ULL << fuzz_below(64);
	case 3:
		return (1ULL << fuzz_below(64)) - 1;
	case 4:
		return -fuzz_take(1);
	case 5:
		return fuzz_take(2) << 12;
	case 6:
		return fuzz_take(4);
	default:
		return fuzz_take(8);
	}
}

void fuzz_members(void *p, u32 size, u32 times)
{
	u64 value;
	u32 width;

	for (; times; times--) {
		width = fuzz_below(2) ? 8 : 4;
		if (size < width)
			width = size;
		value = fuzz_number();
		memcpy((u8 *)p + fuzz_below(size / width) * width, &value, width);
	}
}

/* ----------------------------------------------------------------- mutation */

static void insert_bytes(struct fuzz_input *to, const u8 *bytes, u32 nr)
{
	u32 where = fuzz_random() % (to->len + 1);

	if (nr > FUZZ_MAX_INPUT - to->len)
		nr = FUZZ_MAX_INPUT - to->len;
	memmove(to->bytes + where + nr, to->bytes + where, to->len - where);
	memcpy(to->bytes + where, bytes, nr);
	to->len += nr;
}

static void remove_bytes(struct fuzz_input *to)
{
	u32 where = fuzz_random() % to->len, nr = 1 + fuzz_random() % 16;

	if (nr > to->len - where)
		nr = to->len - where;
	memmove(to->bytes + where, to->bytes + where + nr, to->len - where - nr);
	to->len -= nr;
}

static void mutate_once(struct fuzz_input *to, const struct fuzz_input *other)
{
	u64 fresh[2] = { fuzz_random(), fuzz_random() };
	u32 where;

	switch (fuzz_random() % 8) {
	case 0:
	case 1:
		insert_bytes(to, (u8 *)fresh, 1 + fuzz_random() % sizeof(fresh));
		break;
	case 2:
		if (to->len)
			remove_bytes(to);
		break;
	case 3:
	case 4:
		where = other->len ? fuzz_random() % other->len : 0;
		insert_bytes(to, other->bytes + where, other->len - where);
		break;
	default:
		if (to->len)
			to->bytes[fuzz_random() % to->len] = fresh[0];
		break;
	}
}

void fuzz_mutate(struct fuzz_input *to, const struct fuzz_input *old,
		 const struct fuzz_input *other)
{
	u32 times = 1 + fuzz_random() % 6;

	*to = *old;
	for (; times; times--)
		mutate_once(to, other);
}

/* --------------------------------------------------------------------- time */

static void do_nothing(int nr)
{
}

void fuzz_interrupt_in(u32 us)
{
	struct itimerval timer = { { 0, us }, { 0, us } };
	struct sigaction act = { .sa_handler = do_nothing };

	require(!sigaction(SIGALRM, &act, NULL));
	require(!setitimer(ITIMER_REAL, &timer, NULL));
}
