#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# In the emulated debug host: what has lodge left behind? No VM is left: unload it,
# and look for memory that nobody points to, and for pages that it has taken.
#
# kmemleak knows what kmalloc and its like give, page_owner all other pages. On a host
# that was not told to have them there is nothing to do.

debugfs=/sys/kernel/debug
grep -q kmemleak=on /proc/cmdline || exit 0

# An object counts as lost when it is older than five seconds and two scans in a row
# find no pointer to it. Two scans take minutes, so there is no look at what was lost
# while lodge was there yet: without lodge nothing points to more.
scan() {
	echo scan=off >$debugfs/kmemleak
	sleep 6
	echo scan >$debugfs/kmemleak && echo scan >$debugfs/kmemleak
}

# Pages whose allocation went through a module that is gone: its addresses have no
# names any more. Those of the slab allocator stay with it, whoever made it take them.
# cat: page_owner gives whole records only, and to a shorter read an error.
pages() {
	{ cat $debugfs/page_owner || printf '\n\nunreadable from here on\n 0xffffffffa\n'; } |
		awk 'BEGIN { RS = "" } /\n +0xffffffff[a-f]/ && !/\([^)]*slab/'
}

# For addresses in reports, which have no names later.
text=$(cat /sys/module/lodge/sections/.text)
if rmmod lodge; then
	echo "@ok lodge can be unloaded"
else
	echo "@not ok lodge can be unloaded: $(cat /sys/module/lodge/refcnt) users"
fi

if ! scan; then
	# It gives up when it lacks memory, or has met what it does not know.
	echo "@not ok kmemleak works"
elif grep -q . $debugfs/kmemleak; then
	echo "lodge's .text was at $text"
	head -n 100 $debugfs/kmemleak
	echo "@not ok nothing is lost"
else
	echo "@ok nothing is lost"
fi

pages >/tmp/pages
if [ -s /tmp/pages ]; then
	echo "lodge's .text was at $text"
	head -n 100 /tmp/pages
	echo "@not ok no page is left"
else
	echo "@ok no page is left"
fi
