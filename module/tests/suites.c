// SPDX-License-Identifier: GPL-2.0
/* Hands every KUnit suite of lodge to KUnit; a module can do so only once. */
#include "suites.h"

kunit_test_suites(&lodge_caps_suite,
		  &lodge_inject_suite,
		  &lodge_perf_suite,
		  &lodge_ept_suite,
		  &lodge_lapic_suite,
		  &lodge_lapic_timer_suite,
		  &lodge_message_suite,
		  &lodge_ioeventfd_suite,
		  &lodge_kvmclock_suite,
		  &lodge_cpuid_suite,
		  &lodge_msr_suite,
		  &lodge_decode_suite,
		  &lodge_walk_suite,
		  &lodge_abi_suite);
