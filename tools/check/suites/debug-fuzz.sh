#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 3600
# needs: debug tools selftests
#
# On the debug kernel: 200,000 calls chosen by coverage, and 20,000 guests of random
# code. Inputs that reached new code are left in build/check/debug-fuzz.corpus;
# those worth keeping are for selftests/fuzz_ioctl.corpus.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

script fuzz selftests leaks
status=0
machine "${debug_host[@]}" --append "$debug_append kunit.enable=0" \
	--overlay "$work/overlay" --timeout "$(left)" -- \
	env PROGRAM_TIMEOUT=3600 LODGE_SEED="${LODGE_SEED:-1}" /guest/fuzz.sh || status=$?
adopt < <(awk -f tools/check/kselftest.awk "$work/machine.out")
sed -n 's/^@corpus //p' "$work/machine.out" >build/check/debug-fuzz.corpus
try "the host ended well" [ "$status" = 0 ]
done_testing
