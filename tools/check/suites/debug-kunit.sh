#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 2400
# needs: debug
#
# The KUnit suites on the debug kernel.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

status=0
script kunit coverage leaks
machine "${debug_host[@]}" --append "$debug_append transparent_hugepage=always" \
	--overlay "$work/overlay" --timeout "$(left)" -- /guest/kunit.sh || status=$?
adopt < <(awk -f tools/check/ktap.awk "$work/machine.out")
try "the machine ended well" [ "$status" = 0 ]
try "coverage is kept" keep_coverage
done_testing
