#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# In the emulated host: every guest kernel with one and two vCPUs, the smallest
# and the largest memory, and four guests at the same time. Prints "@done" last.

run=/guest/run.sh

for kernel in 6.1-cloud 6.1-generic 6.12-cloud 6.12-generic; do
	$run "$kernel-1cpu" "$kernel" 256 1
	$run "$kernel-2cpus" "$kernel" 256 2
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
