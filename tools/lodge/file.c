// SPDX-License-Identifier: GPL-2.0
/*
 * A file named by an option, read with complaints that name both.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "complain.h"
#include "file.h"

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

void file_close(struct file *file)
{
	close(file->fd);
	file->fd = -1;
}
