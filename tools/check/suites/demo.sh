#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 600
# needs: modules tools guests
#
# make demo, as somebody without a terminal sees it: it must show the guest's own
# words and end well.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

status=0
make demo </dev/null >"$work/out" 2>&1 || status=$?
cat "$work/out" >&2

try "make demo ends well" [ "$status" = 0 ]
try "the guest says what it is" grep -q '^Linux .* x86_64' "$work/out"
try "the guest sees a hypervisor" grep -qi 'hypervisor detected' "$work/out"
done_testing
