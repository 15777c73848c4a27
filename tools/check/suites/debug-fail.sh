#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 3600
# needs: debug tools selftests guests
#
# On the debug kernel: each allocation of each call, and of "lodge run", fails once.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

mkdir -p "$work/overlay/guest"
cp build/guests/guest/bad-triple_fault "$work/overlay/guest/"
test_env=(LODGE_TEST_KERNEL=/guest/bad-triple_fault)
debug_selftests -- fail_nth fail_start
done_testing
