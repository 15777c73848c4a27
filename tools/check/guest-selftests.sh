#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# In the emulated host: run the selftest programs that are named, or all, one after
# another, between marker lines that kselftest.awk reads. On the debug kernel
# coverage.sh and leaks.sh look at what they have reached and left behind.

cd /usr/lib/lodge/selftests || exit 1
[ $# != 0 ] || set -- *

for program; do
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
# What a program leaves behind, the next may take for somebody's use.
users=$(cat /sys/module/lodge/refcnt)
[ "$users" = 0 ] || echo "@not ok lodge is free again: $users users"
for look in /guest/coverage.sh /guest/leaks.sh; do
	[ ! -e $look ] || $look
done
echo @done
