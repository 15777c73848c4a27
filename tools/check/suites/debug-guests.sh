#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 3000
# needs: debug tools selftests
#
# On the debug kernel: 20,000 guests of random code.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

debug_fuzz fuzz_guest 20000
done_testing
