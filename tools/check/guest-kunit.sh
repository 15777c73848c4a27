#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# In the emulated host: the KUnit suites ran when the module was loaded; print
# what debugfs has kept of them. On the debug kernel coverage.sh and leaks.sh look at
# what they have reached and left behind, in lines of their own.

for results in /sys/kernel/debug/kunit/*/results; do
	[ -e "$results" ] && cat "$results"
done
for look in /guest/coverage.sh /guest/leaks.sh; do
	[ ! -e $look ] || $look
done
exit 0
