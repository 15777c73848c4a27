#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# In an emulated host whose CPU has too little for lodge: the module must not load,
# must say what is missing, and must leave nothing behind.

if insmod /guest/lodge.ko; then
	echo "@not ok a CPU without EPT: the module was loaded"
elif ! dmesg | grep 'lodge: ' | grep -v taint | grep -i 'ept'; then
	echo "@not ok a CPU without EPT: refused, but EPT is not named"
elif [ -e /dev/lodge ] || grep '^lodge ' /proc/modules; then
	echo "@not ok a CPU without EPT: refused, but something stayed"
else
	echo "@ok a CPU without EPT is refused in words"
fi
echo @done
