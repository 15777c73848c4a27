#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# In the emulated debug host: what has lodge left behind?
#
#	leaks.sh start	forget what the kernel lost before now
#	leaks.sh end	no VM is left: look for memory that nobody points to, unload
#			lodge, look again, and for pages that it has taken
#
# kmemleak knows what kmalloc and its like give, page_owner all other pages. On a host
# that was not told to have them there is nothing to do.

debugfs=/sys/kernel/debug
grep -q kmemleak=on /proc/cmdline || exit 0

# An object counts as lost when it is older than five seconds and two scans in a
# row find no pointer to it.
scan() {
	sleep 6
	echo scan >$debugfs/kmemleak && echo scan >$debugfs/kmemleak
}

# lost WHEN
lost() {
	if ! scan; then
		# It gives up when it lacks memory, or has met what it does not know.
		echo "@not ok kmemleak works"
	elif grep -q . $debugfs/kmemleak; then
		head -n 100 $debugfs/kmemleak
		echo "@not ok nothing is lost $1"
	else
		echo "@ok nothing is lost $1"
	fi
	echo clear >$debugfs/kmemleak
}

# Pages whose allocation went through a module that is gone: its addresses have no
# names any more. Those of the slab allocator stay with it, whoever made it take them.
pages() {
	awk 'BEGIN { RS = "" } /\n +0xffffffff[a-f]/ && !/\([^)]*slab/' $debugfs/page_owner
}

case $1 in
start)
	echo scan=off >$debugfs/kmemleak
	scan
	echo clear >$debugfs/kmemleak
	;;
end)
	lost "while lodge is loaded"
	if rmmod lodge; then
		echo "@ok lodge can be unloaded"
	else
		echo "@not ok lodge can be unloaded: $(cat /sys/module/lodge/refcnt) users"
	fi
	lost "when lodge is unloaded"
	pages >/tmp/pages
	if [ -s /tmp/pages ]; then
		head -n 100 /tmp/pages
		echo "@not ok no page is left"
	else
		echo "@ok no page is left"
	fi
	;;
esac
