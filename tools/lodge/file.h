/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file named by an option, read with complaints that name both.
 */
#ifndef LODGE_FILE_H
#define LODGE_FILE_H

#include "types.h"

/**
 * struct file - an open file
 * @option: the option that named it
 * @path: its name
 * @fd: descriptor
 * @size: bytes, at least 1
 */
struct file {
	const char *option;
	const char *path;
	int fd;
	u64 size;
};

/**
 * file_open() - open a regular file that is not empty
 * @file: filled in
 * @option: the option that names it, for complaints
 * @path: its name
 *
 * Return: 0, or -1 after a complaint.
 */
int file_open(struct file *file, const char *option, const char *path);

/**
 * file_read() - read a piece of a file, all of it
 * @file: the file
 * @buf: where to
 * @len: bytes
 * @offset: from where
 *
 * Return: 0, or -1 after a complaint.
 */
int file_read(const struct file *file, void *buf, u64 len, u64 offset);

/**
 * file_load() - file_read() for much, by a copy from a mapping: fewer instructions
 * @file: the file
 * @buf: where to
 * @len: bytes
 * @offset: from where
 *
 * Takes SIGBUS for itself meanwhile, so no other thread may rely on it.
 *
 * Return: 0, or -1 after a complaint.
 */
int file_load(const struct file *file, void *buf, u64 len, u64 offset);

/**
 * file_close() - close it
 * @file: the file
 */
void file_close(struct file *file);

#endif /* LODGE_FILE_H */
