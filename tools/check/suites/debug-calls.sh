#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 5400
# needs: debug tools selftests
#
# On the debug kernel: 200,000 calls chosen by coverage. Inputs that reached new code
# are left in build/check/debug-calls.corpus; those worth keeping are for
# selftests/fuzz_ioctl.corpus.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

debug_fuzz fuzz_ioctl 200000
sed -n 's/^@corpus //p' "$work/machine.out" >build/check/debug-calls.corpus
done_testing
