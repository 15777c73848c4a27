/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is printed when a guest comes to a bad end.
 */
#ifndef LODGE_REPORT_H
#define LODGE_REPORT_H

#include "machine.h"

/**
 * report_end() - say on standard error how the guest ended, if badly
 * @m: a stopped machine
 */
void report_end(struct machine *m);

#endif /* LODGE_REPORT_H */
