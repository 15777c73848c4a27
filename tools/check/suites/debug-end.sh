#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 3300
# needs: debug tools selftests
#
# On the debug kernel: 250 processes are killed at random moments, and 250 close their
# files in different orders.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

test_env=(LODGE_ROUNDS=250)
debug_selftests --cpus 2 -- kill_close
done_testing
