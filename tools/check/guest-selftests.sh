#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# In the emulated host: run every selftest program after another, between marker
# lines that kselftest.awk reads.

cd /usr/lib/lodge/selftests || exit 1
for program in *; do
	if ! [ -f "$program" ] || ! [ -x "$program" ]; then
		continue
	fi
	echo "@begin $program"
	timeout "${PROGRAM_TIMEOUT:-180}" "./$program" 2>&1 </dev/null
	status=$?
	# A program that was killed may have left half a line.
	echo
	echo "@end $program $status"
done
echo @done
