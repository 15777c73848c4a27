#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 3600
# needs: debug tools selftests
#
# All kselftest programs on the debug kernel.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

# shellcheck disable=SC2119
debug_selftests
done_testing
