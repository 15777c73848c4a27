#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 3600
# needs: debug tools selftests
#
# On the debug kernel: each allocation of each call fails once; 500 processes are
# killed at random moments, and 500 close their files in different orders.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

test_env=(LODGE_ROUNDS=500)
debug_selftests fail_nth kill_close
done_testing
