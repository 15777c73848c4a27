#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 900
# needs: modules tools selftests source fast
#
# Building and installing, in a copy of the checkout: from nothing without a
# warning, nothing again when nothing changed, by a bare kbuild as DKMS does it,
# as a part of a kernel tree, and installing into a folder.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

copy=$PWD/$work/copy
mkdir -p "$copy"
find . -mindepth 1 -maxdepth 1 ! -name build ! -name .git -exec cp -a {} "$copy" \;

from_nothing() {
	make -C "$copy" "$@"
}

# The second time nothing may be compiled or linked.
nothing_again() {
	touch "$work/stamp"
	make -C "$copy" modules tools selftests || return
	! find "$copy/build" -newer "$work/stamp" -name '*.o' | grep .
}

# A change of one header reaches the module and the program.
change_is_seen() {
	sleep 1
	touch "$work/stamp" "$copy/uapi/linux/lodge.h"
	make -C "$copy" modules tools || return
	[ -n "$(find "$copy/build/modules" -newer "$work/stamp" -name main.o)" ] &&
		[ "$copy/build/tools/lodge" -nt "$work/stamp" ]
}

loadable() {
	modinfo "$1" && modinfo -F license "$1" | grep -qx GPL
}

like_dkms() {
	cp -a "$copy" "$copy.dkms" && rm -rf "$copy.dkms/build" &&
		make -C "$1" M="$copy.dkms" CONFIG_LODGE_KUNIT_TEST= \
			CONFIG_DEBUG_INFO_BTF_MODULES= modules &&
		[ -e "$copy.dkms/lodge.ko" ] &&
		make -C "$1" M="$copy.dkms" clean &&
		diff -r -x build -x .ci "$copy" "$copy.dkms"
}

installs() {
	local to=$PWD/$work/root f
	make -C "$copy" install DESTDIR="$to" KDIR="$1" PREFIX=/usr || return
	for f in usr/bin/lodge usr/include/linux/lodge.h etc/modprobe.d/lodge.conf \
		"lib/modules/$(basename "$1" | sed 's/linux-headers-//')/updates/lodge.ko"
	do
		[ -s "$to/$f" ] || { echo "no $f"; return 1; }
	done
	make -C "$copy" uninstall DESTDIR="$to" KDIR="$1" PREFIX=/usr || return
	! find "$to" -type f | grep .
}

# Dropped into a kernel tree (one of links, so that the source stays as it is):
# chosen by Kconfig, and compiled by the same Kbuild.
in_a_kernel_tree() {
	local source fast tree=$PWD/$work/tree out=$PWD/$work/tree.out

	source=$(tools/build/kernel source 6.1) || return
	fast=$(tools/build/kernel fast 6.1) || return
	cp -as "$source" "$tree" && mkdir "$out" "$tree/drivers/lodge" || return
	cp -a "$copy"/{Kbuild,Kconfig,module,uapi} "$tree/drivers/lodge" || return
	cp --remove-destination "$source"/drivers/{Makefile,Kconfig} "$tree/drivers"
	echo "obj-\$(CONFIG_LODGE) += lodge/" >>"$tree/drivers/Makefile"
	sed -i 's,^endmenu$,source "drivers/lodge/Kconfig"\n&,' "$tree/drivers/Kconfig"
	{
		grep -v CONFIG_LODGE "$fast/.config"
		printf 'CONFIG_%s\n' LODGE=m LODGE_KUNIT_TEST=y LODGE_DEBUG=y
	} >"$out/.config"
	make -C "$tree" O="$out" olddefconfig >/dev/null || return
	make -C "$tree" O="$out" -j"$(nproc)" W=1 KCFLAGS=-Werror drivers/lodge/ \
		>"$work/tree.log" 2>&1 || {
		tail -n 30 "$work/tree.log"
		return 1
	}
	[ -e "$out/drivers/lodge/lodge.o" ] &&
		[ -e "$out/drivers/lodge/module/tests/suites.o" ]
}

# The ABI's header stands alone, in C and C++, and keeps to C90's comments.
header_alone() {
	local c
	for c in "-x c -std=c11" "-x c++ -std=c++11" "-x c -ansi"; do
		# shellcheck disable=SC2086
		echo '#include <linux/lodge.h>' |
			gcc $c -Wall -Werror -Iuapi -fsyntax-only - || return
	done
}

try "modules for 6.1 and 6.12, without warnings" from_nothing modules
try "tools" from_nothing tools
try "selftests" from_nothing selftests
try "nothing is built again" nothing_again
try "a changed header is seen" change_is_seen
for v in 6.1 6.12; do
	kdir=$(tools/build/kernel headers "$v")
	try "lodge.ko for $v is a GPL module" \
		loadable "$copy/build/modules/${kdir##*/linux-headers-}/lodge.ko"
	try "bare kbuild for $v" like_dkms "$kdir"
	rm -rf "$copy.dkms"
done
try "install and uninstall" installs "$(tools/build/kernel headers 6.1)"
try "the ABI's header stands alone" header_alone
try "in a kernel tree" in_a_kernel_tree
rm -rf "$copy" "$work/root" "$work/tree" "$work/tree.out"
done_testing
