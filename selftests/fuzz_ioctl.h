/* SPDX-License-Identifier: GPL-2.0 */
/* What fuzz_ioctl.S has for fuzz_ioctl.c. */
#ifndef LODGE_TEST_FUZZ_IOCTL_H
#define LODGE_TEST_FUZZ_IOCTL_H

/* The file of inputs: each a line of hexadecimal digits. */
extern const char fuzz_corpus[], fuzz_corpus_end[];

#endif
