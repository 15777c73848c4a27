// SPDX-License-Identifier: GPL-2.0
/*
 * Guests that write and verify their memory all the time, while their threads
 * change CPUs and the host moves, shares, splits, swaps, drops and replaces that
 * memory. See lib/stress.h for what a guest may find when.
 */
#include <sched.h>
#include <sys/wait.h>

#include "stress.h"
#include "swap.h"
#include "kselftest_harness.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define PAGES		shorter(4096)	/* 16 MiB */
#define MAX_FEW_PAGES	1024
#define FEW_PAGES	shorter(MAX_FEW_PAGES)
#define FEWEST_PAGES	4
#define HUGE_PAGES	(HUGE_SIZE / PAGE_SIZE)
#define THP_PAGES	(shorter(4) * HUGE_PAGES)
#define KSM_PAGES	128
#define LIMITED_PAGES	1536		/* 6 MiB */
#define LIMIT		(4ULL << 20)
#define JUNK		0x6b

#define THP		"/sys/kernel/mm/transparent_hugepage/"
#define KSM		"/sys/kernel/mm/ksm/"

FIXTURE(stress)
{
	int cpus[8];
	int nr_cpus;
	bool swap;
	bool limit;
	char ksm_run[16], ksm_scan[16], ksm_sleep[16];
	char thp_enabled[64];
};

/* Of "always [madvise] never" the word in brackets. */
static void read_choice(const char *path, char *choice, size_t size)
{
	char text[128], *word;

	*choice = '\0';
	if (read_text(path, text, sizeof(text)))
		return;
	word = strchr(text, '[');
	if (!word)
		return;
	word[strcspn(word, "]")] = '\0';
	snprintf(choice, size, "%s", word + 1);
}

FIXTURE_SETUP(stress)
{
	self->nr_cpus = online_cpus(self->cpus, ARRAY_SIZE(self->cpus));
	stress.write_every = 4;
	read_text(KSM "run", self->ksm_run, sizeof(self->ksm_run));
	read_text(KSM "pages_to_scan", self->ksm_scan, sizeof(self->ksm_scan));
	read_text(KSM "sleep_millisecs", self->ksm_sleep, sizeof(self->ksm_sleep));
	read_choice(THP "enabled", self->thp_enabled, sizeof(self->thp_enabled));
}

FIXTURE_TEARDOWN(stress)
{
	stress_destroy();
	if (*self->ksm_run) {
		write_text(KSM "pages_to_scan", self->ksm_scan);
		write_text(KSM "sleep_millisecs", self->ksm_sleep);
		write_text(KSM "run", self->ksm_run);
	}
	if (*self->thp_enabled)
		write_text(THP "enabled", self->thp_enabled);
	if (self->limit)
		limit_end();
	if (self->swap)
		swap_end();
}

/*
 * Memory in 4 KiB pages, or in what huge pages the host likes to give: to those
 * who write first.
 */
static void *small_memory(u64 pages)
{
	void *p = map_aligned(pages * PAGE_SIZE, HUGE_SIZE);

	madvise(p, pages * PAGE_SIZE, MADV_NOHUGEPAGE);
	return p;
}

static void *huge_memory(u64 pages)
{
	u64 len = pages * PAGE_SIZE, off;
	u8 *p = map_aligned(len, HUGE_SIZE);

	madvise(p, len, MADV_HUGEPAGE);
	for (off = 0; off < len; off += HUGE_SIZE)
		WRITE_ONCE(p[off], 0);
	return p;
}

/* The end of every test: what is there now is good, for both sides. */
static void finish(void)
{
	stress_passes(1);
	stress_stop();
	stress_check_host();
}

/* ---------------------------------------------------------------- what the host does */

/* A range of up to @max pages. */
static u64 random_range(u64 max, u64 *nr)
{
	u64 page = stress_random(stress.pages);

	*nr = 1 + stress_random(max);
	if (page + *nr > stress.pages)
		*nr = stress.pages - page;
	return page;
}

static void op_dontneed(u64 page, u64 nr)
{
	stress_take(page, nr);
	require(!madvise(stress_page(page), nr * PAGE_SIZE, MADV_DONTNEED));
	stress_give(page, nr, PAGE_ZERO);
}

static void op_free(u64 page, u64 nr)
{
	stress_take(page, nr);
	require(!madvise(stress_page(page), nr * PAGE_SIZE, MADV_FREE));
	stress_give(page, nr, PAGE_FREED);
}

static void op_pageout(u64 page, u64 nr)
{
	/* Fails where there are holes or nothing to page out to. */
	madvise(stress_page(page), nr * PAGE_SIZE, MADV_PAGEOUT);
}

/* The same rights with and without execution: every entry goes, nothing changes. */
static void op_invalidate(void)
{
	u64 len = stress.pages * PAGE_SIZE;

	require(!mprotect(stress.mem, len, PROT_READ | PROT_WRITE | PROT_EXEC));
	require(!mprotect(stress.mem, len, PROT_READ | PROT_WRITE));
}

/* The guest's writes, or all its accesses, wait meanwhile. */
static void op_protect(u64 page, u64 nr, int prot)
{
	require(!mprotect(stress_page(page), nr * PAGE_SIZE, prot));
	sched_yield();
	require(!mprotect(stress_page(page), nr * PAGE_SIZE, PROT_READ | PROT_WRITE));
}

/*
 * Another page with the same content takes the place of one; what was there goes
 * on with junk in it, for whoever still looks at it.
 */
static void op_replace(u64 page)
{
	u8 *here = stress_page(page), *old, *new;

	if (!stress_try_take(page))
		return;
	new = map_anon(PAGE_SIZE);
	old = map_anon(PAGE_SIZE);
	memcpy(new, here, PAGE_SIZE);
	require(mremap(here, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, old) == old);
	memset(old, JUNK, PAGE_SIZE);
	require(mremap(new, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, here) == here);
	memset(old, JUNK + 1, PAGE_SIZE);
	munmap(old, PAGE_SIZE);
	stress_give(page, 1, PAGE_KNOWN);
}

/* Nothing for a moment, then something new. */
static void op_unmap(u64 page, u64 nr)
{
	u8 *here = stress_page(page);

	stress_take(page, nr);
	require(!munmap(here, nr * PAGE_SIZE));
	sched_yield();
	require(mmap(here, nr * PAGE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == here);
	stress_give(page, nr, PAGE_ZERO);
}

/* ------------------------------------------------------------------- changing CPUs */

struct mover {
	pthread_t thread;
	const int *cpus;
	int nr_cpus;
	u32 stop;
	u64 moves;
};

static void *mover_fn(void *arg)
{
	struct mover *m = arg;
	u32 i;

	while (!READ_ONCE(m->stop)) {
		for (i = 0; i < stress.nr_vcpus; i++)
			m->moves += pin_to_cpu(READ_ONCE(stress.tid[i]),
					       m->cpus[(m->moves + i) % m->nr_cpus]);
		usleep(200);
	}
	return NULL;
}

static void mover_start(struct mover *m, const int *cpus, int nr_cpus)
{
	*m = (struct mover) { .cpus = cpus, .nr_cpus = nr_cpus };
	m->thread = spawn(mover_fn, m);
}

static void mover_stop(struct mover *m)
{
	WRITE_ONCE(m->stop, 1);
	join(m->thread);
}

TEST_F(stress, migration)
{
	struct mover mover;

	if (self->nr_cpus < 2)
		SKIP(return, "one CPU only");
	stress_create(huge_memory(PAGES), PAGES, 1);
	stress_start();
	mover_start(&mover, self->cpus, self->nr_cpus);
	wait_until(READ_ONCE(mover.moves) > 60);
	stress_passes(2);
	mover_stop(&mover);
	finish();
}

/* All entries go again and again, and single pages are replaced. */
static void migrate_and_invalidate(struct mover *mover, u32 vcpus)
{
	int round, i;

	stress_create(small_memory(FEW_PAGES), FEW_PAGES, vcpus);
	stress_start();
	stress_passes(1);
	if (mover)
		mover_start(mover, mover->cpus, mover->nr_cpus);
	for (round = 0; round < shorter(20); round++) {
		op_invalidate();
		for (i = 0; i < 4; i++)
			op_replace(stress_random(stress.pages));
	}
	stress_passes(2);
	if (mover)
		mover_stop(mover);
	finish();
}

TEST_F(stress, invalidation)
{
	migrate_and_invalidate(NULL, 1);
}

TEST_F(stress, migration_and_invalidation)
{
	struct mover mover = { .cpus = self->cpus, .nr_cpus = self->nr_cpus };

	if (self->nr_cpus < 2)
		SKIP(return, "one CPU only");
	migrate_and_invalidate(&mover, 1);
	ASSERT_GT(mover.moves, 20);
}

TEST_F(stress, migration_and_invalidation_two_vcpus)
{
	struct mover mover = { .cpus = self->cpus, .nr_cpus = self->nr_cpus };

	if (self->nr_cpus < 2)
		SKIP(return, "one CPU only");
	migrate_and_invalidate(&mover, 2);
	ASSERT_GT(mover.moves, 20);
}

/*
 * What is to be met is a fault that has found the host's page and is held up,
 * before it maps it, until that page has gone. So a page is replaced, and at a
 * random moment after that, in which its guest faults on it, once more, by a
 * thread that takes the CPU away from the guest's wherever that is. (A host that
 * does not preempt in the kernel has only its interrupts to hold up a fault.)
 */
TEST_F(stress, few_pages)
{
	struct sched_param prio = { .sched_priority = 1 }, none = {};
	u64 end;
	int i;

	stress.write_every = 2;
	stress_create(small_memory(FEWEST_PAGES), FEWEST_PAGES, 2);
	stress_start();
	stress_passes(1);
	ASSERT_TRUE(pin_to_cpu(0, self->cpus[0]));
	ASSERT_TRUE(pin_to_cpu(stress.tid[0], self->cpus[0]));
	ASSERT_TRUE(pin_to_cpu(stress.tid[1], self->cpus[self->nr_cpus - 1]));
	ASSERT_EQ(0, sched_setscheduler(0, SCHED_FIFO, &prio));
	/* A host too slow for so many has them all held up, by what it checks. */
	end = now_ns() + 10 * NSEC_PER_SEC;
	for (i = 0; i < 6000 && now_ns() < end; i++) {
		if (i % 64 == 0)
			op_invalidate();
		op_replace(i / 16 % 2 ? 0 : 2);
		/* How soon the guest is there differs much between machines. */
		usleep(stress_random(32 << i % 5));
	}
	ASSERT_EQ(0, sched_setscheduler(0, SCHED_OTHER, &none));
	finish();
}

/* --------------------------------------------------- memory replaced by other memory */

/* A file of two halves: each page of memory is in one, junk is in the other. */
static u8 *halves;
static bool in_second[MAX_FEW_PAGES];

static void op_replace_file(int fd, u64 page)
{
	u8 *here = stress_page(page);
	u64 old = page, new = page;

	if (!stress_try_take(page))
		return;
	if (in_second[page])
		old += FEW_PAGES;
	else
		new += FEW_PAGES;
	memcpy(halves + new * PAGE_SIZE, halves + old * PAGE_SIZE, PAGE_SIZE);
	require(mmap(here, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		     new * PAGE_SIZE) == here);
	memset(halves + old * PAGE_SIZE, JUNK, PAGE_SIZE);
	in_second[page] = !in_second[page];
	stress_give(page, 1, PAGE_KNOWN);
}

TEST_F(stress, mapping_replaced)
{
	u64 len = FEW_PAGES * PAGE_SIZE;
	int fd = memfd_create("lodge-stress", MFD_CLOEXEC);
	struct mover mover;
	u8 *mem;
	int i;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, ftruncate(fd, 2 * len));
	halves = mmap(NULL, 2 * len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, halves);
	mem = map_aligned(len, HUGE_SIZE);
	ASSERT_EQ(mem, mmap(mem, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0));
	stress_create(mem, FEW_PAGES, 2);
	stress_start();
	stress_passes(1);
	mover_start(&mover, self->cpus, self->nr_cpus);
	for (i = 0; i < shorter(300); i++)
		op_replace_file(fd, stress_random(FEW_PAGES));
	stress_passes(1);
	mover_stop(&mover);
	finish();
	close(fd);
}

TEST_F(stress, remapped)
{
	u64 nr, page;
	int i;

	stress_create(huge_memory(PAGES), PAGES, 2);
	stress_start();
	stress_passes(1);
	for (i = 0; i < shorter(60); i++) {
		op_replace(stress_random(stress.pages));
		page = random_range(16, &nr);
		op_unmap(page, nr);
	}
	stress_passes(2);
	finish();
}

TEST_F(stress, mprotect)
{
	u64 nr, page;
	int i;

	stress_create(huge_memory(PAGES), PAGES, 2);
	stress_start();
	stress_passes(1);
	for (i = 0; i < shorter(60); i++) {
		page = random_range(256, &nr);
		op_protect(page, nr, i & 1 ? PROT_READ : PROT_NONE);
	}
	/* Slowly, so that somebody surely comes upon it. */
	ASSERT_EQ(0, mprotect(stress.mem, PAGES * PAGE_SIZE, PROT_NONE));
	wait_until(READ_ONCE(stress.mem_faults));
	ASSERT_EQ(0, mprotect(stress.mem, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE));
	finish();
}

/* ---------------------------------------------------------------------- dropped pages */

TEST_F(stress, madv_dontneed)
{
	u64 nr, page;
	int i;

	stress_create(small_memory(FEW_PAGES), FEW_PAGES, 2);
	stress_start();
	stress_passes(1);
	for (i = 0; i < shorter(60); i++) {
		page = random_range(64, &nr);
		op_dontneed(page, nr);
	}
	op_dontneed(0, FEW_PAGES);
	stress_passes(2);
	finish();
}

static void free_under_pressure(struct __test_metadata *_metadata, int rounds)
{
	u64 freed = vm_counter("pglazyfreed"), nr, page;
	int i;

	stress_create(small_memory(FEW_PAGES), FEW_PAGES, 2);
	stress_start();
	stress_passes(1);
	for (i = 0; i < shorter(rounds); i++) {
		page = random_range(64, &nr);
		op_free(page, nr);
		/* Those at once, or others that the guest may have written since. */
		if (i & 1)
			page = random_range(128, &nr);
		op_pageout(page, nr);
	}
	stress_passes(2);
	finish();
	ASSERT_LT(freed, vm_counter("pglazyfreed"));
}

TEST_F(stress, madv_free)
{
	free_under_pressure(_metadata, 60);
}

/* ---------------------------------------------------------------------------- fork */

/* A child's memory is what it was at the fork, whatever the parent's guest does. */
TEST_F(stress, fork)
{
	int go[2], status, i;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(go));
	stress.write_every = 2;
	stress_create(huge_memory(FEW_PAGES), FEW_PAGES, 2);
	stress_start();
	stress_passes(1);
	for (i = 0; i < 2; i++) {
		stress_stop();
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid)
			_exit(stress_is_good() && read(go[0], &c, 1) == 1 &&
			      stress_is_good() ? 0 : 1);
		stress_start();
		/* Both halves are written, so every page is copied. */
		stress_passes(2);
		ASSERT_EQ(1, write(go[1], "x", 1));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFEXITED(status));
		ASSERT_EQ(0, WEXITSTATUS(status));
	}
	finish();
}

/* While it runs, and the child goes on to write. */
TEST_F(stress, fork_while_running)
{
	int status, i;
	pid_t pid;

	stress_create(small_memory(FEW_PAGES), FEW_PAGES, 2);
	stress_start();
	stress_passes(1);
	for (i = 0; i < 4; i++) {
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid) {
			for (i = 0; i < FEW_PAGES; i += 3)
				*stress_page(i) = JUNK;
			_exit(0);
		}
		if (i & 1)
			op_invalidate();
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(0, status);
	}
	stress_passes(1);
	finish();
}

/* ---------------------------------------------------------------------- huge pages */

static u64 huge_kb(void)
{
	return mapped_kb(stress.mem, stress.pages * PAGE_SIZE, "AnonHugePages:");
}

/* A 4 KiB hole in the middle of each huge page. */
static void split_all(void)
{
	u64 first;

	for (first = 0; first < stress.pages; first += HUGE_PAGES)
		op_dontneed(first + 1 + stress_random(HUGE_PAGES - 2), 1);
}

/* By the call; where there is none, or it cannot, khugepaged has to. */
static void collapse_all(void)
{
	u64 first;

	for (first = 0; first < stress.pages; first += HUGE_PAGES)
		madvise(stress_page(first), HUGE_SIZE, MADV_COLLAPSE);
}

TEST_F(stress, split_and_collapse)
{
	u64 kb, splits;
	int i;

	if (write_text(THP "enabled", "madvise"))
		SKIP(return, "no transparent huge pages");
	write_text(THP "khugepaged/scan_sleep_millisecs", "10");
	write_text(THP "khugepaged/alloc_sleep_millisecs", "10");
	stress_create(huge_memory(THP_PAGES), THP_PAGES, 2);
	stress_start();
	stress_passes(1);
	if (!huge_kb())
		SKIP(return, "the host gives no huge page");
	for (i = 0; i < 3; i++) {
		kb = huge_kb();
		splits = vm_counter("thp_split_pmd");
		split_all();
		/* Not the kB again: khugepaged may have made another already. */
		if (kb)
			ASSERT_GT(vm_counter("thp_split_pmd"), splits);
		/* Sometimes the holes are filled before, sometimes not. */
		if (i & 1)
			stress_passes(1);
		collapse_all();
		wait_until(huge_kb());
		stress_passes(1);
	}
	finish();
}

/* ------------------------------------------------------------------- equal pages */

static long ksm_sharing(void)
{
	return read_number(KSM "pages_sharing");
}

static void wait_for_merge(void)
{
	wait_until(ksm_sharing() > KSM_PAGES / 2);
}

TEST_F(stress, same_page_merging)
{
	void *mem = small_memory(KSM_PAGES);

	if (madvise(mem, KSM_PAGES * PAGE_SIZE, MADV_MERGEABLE) || write_text(KSM "run", "1"))
		SKIP(return, "no KSM");
	write_text(KSM "pages_to_scan", "1000");
	write_text(KSM "sleep_millisecs", "1");
	/* Four different pages, over and over, merged while they are only read ... */
	stress.fold = 4;
	stress.epoch = 1;
	stress_create(mem, KSM_PAGES, 2);
	stress_start();
	stress_passes(1);
	WRITE_ONCE(stress.write_every, 0);
	wait_for_merge();
	/* ... broken by writing the same, and then by writing something new ... */
	WRITE_ONCE(stress.write_every, 7);
	stress_passes(4);
	WRITE_ONCE(stress.epoch, 2);
	WRITE_ONCE(stress.write_every, 1);
	stress_passes(2);
	WRITE_ONCE(stress.write_every, 0);
	wait_for_merge();
	/* ... and taken apart by the host. */
	ASSERT_EQ(0, write_text(KSM "run", "2"));
	stress_passes(2);
	ASSERT_EQ(0, ksm_sharing());
	finish();
}

/* -------------------------------------------------------------------------- swap */

static u64 swapped_kb(void)
{
	return mapped_kb(stress.mem, stress.pages * PAGE_SIZE, "Swap:");
}

/* True when there is swap. */
static bool begin_swap(const char **why)
{
	*why = swap_begin();
	return !*why;
}

TEST_F(stress, swap)
{
	u64 out = vm_counter("pswpout"), in = vm_counter("pswpin"), nr, page;
	struct mover mover;
	const char *why;
	int i;

	self->swap = begin_swap(&why);
	if (!self->swap)
		SKIP(return, "%s", why);
	stress_create(small_memory(FEW_PAGES), FEW_PAGES, 2);
	stress_start();
	stress_passes(1);
	mover_start(&mover, self->cpus, self->nr_cpus);
	for (i = 0; i < shorter(40); i++) {
		page = random_range(128, &nr);
		op_pageout(page, nr);
	}
	/* All of it, and slowly back: read first, so that pages stay clean a while. */
	WRITE_ONCE(stress.write_every, 32);
	op_pageout(0, FEW_PAGES);
	stress_passes(1);
	op_pageout(0, FEW_PAGES);
	mover_stop(&mover);
	stress_stop();
	/* The first time the host sees that they are in use. */
	for (i = 0; i < 3; i++)
		op_pageout(0, FEW_PAGES);
	ASSERT_GT(swapped_kb(), 0);
	stress_start();
	/* Swap goes away while the guest runs. */
	self->swap = false;
	ASSERT_EQ(0, swap_end());
	finish();
	ASSERT_LT(out + 100, vm_counter("pswpout"));
	ASSERT_LT(in + 100, vm_counter("pswpin"));
}

/* The guest's own faults have to make room; not all that is limited can be swapped. */
TEST_F(stress, swap_by_limit)
{
	u64 out = vm_counter("pswpout");
	const char *why;

	self->swap = begin_swap(&why);
	if (!self->swap)
		SKIP(return, "%s", why);
	why = limit_begin();
	self->limit = !why;
	if (why)
		SKIP(return, "%s", why);
	stress_create(small_memory(LIMITED_PAGES), LIMITED_PAGES, 2);
	stress_start();
	stress_passes(0);
	/*
	 * Stopped meanwhile: on one CPU, 6.12's reclaim finds all pages in use that
	 * are read and written all the time, a plain thread's too, and kills.
	 */
	stress_stop();
	ASSERT_EQ(0, limit_set(LIMIT));
	stress_start();
	stress_passes(1);
	stress_stop();
	ASSERT_EQ(0, limit_set(4 * LIMIT));
	stress_start();
	finish();
	ASSERT_LT(out + LIMITED_PAGES / 4, vm_counter("pswpout"));
}

TEST_F(stress, madv_free_with_swap)
{
	const char *why;

	self->swap = begin_swap(&why);
	if (!self->swap)
		SKIP(return, "%s", why);
	free_under_pressure(_metadata, 40);
}

/* ------------------------------------------------------------------ all together */

static void random_op(void)
{
	u64 nr, page = random_range(64, &nr);

	switch (stress_random(9)) {
	case 0:
		op_dontneed(page, nr);
		break;
	case 1:
		op_free(page, nr);
		break;
	case 2:
		op_pageout(page, nr);
		break;
	case 3:
		op_invalidate();
		break;
	case 4:
		op_protect(page, nr, stress_random(2) ? PROT_READ : PROT_NONE);
		break;
	case 5:
		op_replace(page);
		break;
	case 6:
		op_unmap(page, nr);
		break;
	case 7:
		page &= ~(HUGE_PAGES - 1);
		/* Mapped in pieces by now: often it can not. */
		madvise(stress_page(page), HUGE_SIZE, MADV_HUGEPAGE);
		madvise(stress_page(page), HUGE_SIZE, MADV_COLLAPSE);
		break;
	case 8:
		madvise(stress_page(page), nr * PAGE_SIZE, MADV_MERGEABLE);
		madvise(stress_page(page), nr * PAGE_SIZE, MADV_UNMERGEABLE);
		break;
	}
}

TEST_F(stress, all_together)
{
	struct mover mover;
	const char *why;
	int i;

	self->swap = begin_swap(&why);
	write_text(KSM "run", "1");
	stress_create(huge_memory(PAGES), PAGES, 2);
	stress_start();
	stress_passes(1);
	mover_start(&mover, self->cpus, self->nr_cpus);
	for (i = 0; i < shorter(100); i++)
		random_op();
	stress_passes(1);
	mover_stop(&mover);
	finish();
}

TEST_HARNESS_MAIN
