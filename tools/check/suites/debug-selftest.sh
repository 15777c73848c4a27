#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 5400
# needs: debug tools selftests
#
# All kselftest programs on the debug kernel.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

debug_selftests --cpus 2 --mem 1024
done_testing
