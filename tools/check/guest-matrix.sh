#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# In the emulated host: Debian's kernels as guests, one and two vCPUs, the smallest
# and the largest memory, and four guests at the same time. Prints "@done" last.
# The argument is the number of vCPUs for the generic kernels, which take minutes
# to unpack themselves here: one on one host, two on the other.

run=/guest/run.sh

for version in 6.1 6.12; do
	$run $version-cloud-1cpu $version-cloud 256 1
	$run $version-cloud-2cpus $version-cloud 256 2
	$run "$version-generic-${1}cpu" $version-generic 256 "$1"
done

$run 6.1-cloud-128M 6.1-cloud 128 1

# More than the host has: the guest's memory is made when it is touched.
echo 1 >/proc/sys/vm/overcommit_memory
$run 6.1-cloud-3584M 6.1-cloud 3584 1

for n in 1 2 3 4; do
	GUEST_TIMEOUT=600 $run "four-at-once-$n" 6.1-cloud 192 1 >"/tmp/four.$n" &
done
wait
cat /tmp/four.*
echo @done
