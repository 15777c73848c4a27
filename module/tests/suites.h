/* SPDX-License-Identifier: GPL-2.0 */
/* The KUnit suites, one per part; suites.c hands them to KUnit. */
#ifndef LODGE_TESTS_SUITES_H
#define LODGE_TESTS_SUITES_H

#include <kunit/test.h>

extern struct kunit_suite lodge_caps_suite;
extern struct kunit_suite lodge_inject_suite;
extern struct kunit_suite lodge_perf_suite;
extern struct kunit_suite lodge_ept_suite;
extern struct kunit_suite lodge_lapic_suite;
extern struct kunit_suite lodge_lapic_timer_suite;
extern struct kunit_suite lodge_message_suite;
extern struct kunit_suite lodge_ioeventfd_suite;
extern struct kunit_suite lodge_kvmclock_suite;
extern struct kunit_suite lodge_cpuid_suite;
extern struct kunit_suite lodge_msr_suite;
extern struct kunit_suite lodge_decode_suite;
extern struct kunit_suite lodge_walk_suite;
extern struct kunit_suite lodge_abi_suite;

#endif
