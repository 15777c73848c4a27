#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 5000
# needs: debug tools selftests
#
# The kselftest programs on the debug kernel, but for those that have suites of their own.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

# With two CPUs it is twenty times slower than another kernel: less of what has many rounds.
mapfile -t programs < <(basename -a -s .c selftests/*.c | grep -vE '^(fail|fuzz|kill)_')
test_env=(LODGE_SLOW=4)
debug_selftests --cpus 2 --mem 1024 -- "${programs[@]}"
done_testing
