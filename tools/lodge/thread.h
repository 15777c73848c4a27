/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Starting a thread.
 */
#ifndef LODGE_THREAD_H
#define LODGE_THREAD_H

#include <pthread.h>

/**
 * thread_start() - start a thread with a small stack
 * @thread: the thread, when it has started
 * @run: what it does
 * @arg: for @run
 *
 * Return: 0 or an errno.
 */
int thread_start(pthread_t *thread, void *(*run)(void *), void *arg);

#endif /* LODGE_THREAD_H */
