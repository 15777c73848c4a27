// SPDX-License-Identifier: GPL-2.0
/*
 * A file named by an option, read with complaints that name both.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "complain.h"
#include "file.h"
#include "layout.h"

static int file_check(struct file *file)
{
	struct stat st;

	if (fstat(file->fd, &st))
		return complain("%s %s: %s", file->option, file->path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return complain("%s %s: not a regular file", file->option, file->path);
	if (!st.st_size)
		return complain("%s %s: the file is empty", file->option, file->path);
	file->size = st.st_size;
	return 0;
}

int file_open(struct file *file, const char *option, const char *path)
{
	/* O_NONBLOCK: opening a FIFO must not wait for somebody to write to it. */
	*file = (struct file){
		.option = option,
		.path = path,
		.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK),
	};
	if (file->fd < 0)
		return complain("%s %s: %s", option, path, strerror(errno));
	if (file_check(file)) {
		file_close(file);
		return -1;
	}
	return 0;
}

int file_read(const struct file *file, void *buf, u64 len, u64 offset)
{
	u8 *to = buf;
	ssize_t n;

	while (len) {
		n = pread(file->fd, to, len, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return complain("%s %s: %s", file->option, file->path, strerror(errno));
		if (!n)
			return complain("%s %s: the file ends too early, at byte %llu",
					file->option, file->path, offset);
		to += n;
		len -= n;
		offset += n;
	}
	return 0;
}

/* Where copying from a mapping goes on when the file has no such page any more. */
static sigjmp_buf page_missing;

static void leave_copy(int sig __unused)
{
	siglongjmp(page_missing, 1);
}

/* One call for all may choose string instructions that only some CPUs are fast at. */
#define COPY_PIECE	(2 * KIB)

static __noinline void copy_pieces(u8 *to, const u8 *from, u64 len)
{
	for (; len > COPY_PIECE; len -= COPY_PIECE, to += COPY_PIECE, from += COPY_PIECE)
		memcpy(to, from, COPY_PIECE);
	memcpy(to, from, len);
}

/* Copies from a file's mapping; whether all pages were there. */
static bool copy_pages(void *to, const void *from, u64 len)
{
	struct sigaction catch = { .sa_handler = leave_copy }, old;

	sigaction(SIGBUS, &catch, &old);
	if (sigsetjmp(page_missing, 1)) {
		sigaction(SIGBUS, &old, NULL);
		return false;
	}
	copy_pieces(to, from, len);
	sigaction(SIGBUS, &old, NULL);
	return true;
}

/* Whether it has come; if not, nothing is said. */
static bool load_mapped(const struct file *file, void *buf, u64 len, u64 offset)
{
	u64 start = align_down(offset, PAGE), size = len + (offset - start);
	void *map;
	bool copied;

	map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file->fd, start);
	if (map == MAP_FAILED)
		return false;
	/* Or each page would be noted as used once more, when it is unmapped. */
	madvise(map, size, MADV_SEQUENTIAL);
	copied = copy_pages(buf, map + (offset - start), len);
	munmap(map, size);
	return copied;
}

int file_load(const struct file *file, void *buf, u64 len, u64 offset)
{
	/* What cannot be mapped, or is not as long as it was: reading says what is wrong. */
	return load_mapped(file, buf, len, offset) ? 0 : file_read(file, buf, len, offset);
}

void file_close(struct file *file)
{
	close(file->fd);
	file->fd = -1;
}
