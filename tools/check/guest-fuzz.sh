#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
#	fuzz.sh PROGRAM
#
# In the emulated debug host: one of the fuzzers. Whatever it does, the host has
# nothing to say about it.

dmesg -c >/dev/null
/guest/selftests.sh "$1" | grep -v '^@done'
if dmesg | grep -v kmemleak; then
	echo "@not ok the host's log is silent"
else
	echo "@ok the host's log is silent"
fi
echo @done
