/* SPDX-License-Identifier: GPL-2.0 */
/* The inputs that fuzz_ioctl.c begins with. */
	.section .rodata
	.globl fuzz_corpus, fuzz_corpus_end
fuzz_corpus:
	.incbin "selftests/fuzz_ioctl.corpus"
fuzz_corpus_end:
	.section .note.GNU-stack, "", @progbits
