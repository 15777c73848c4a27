#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# In the emulated host: the program with KVM under it, and its counters with either.

# shellcheck source=tools/check/guest-bad.sh
. /guest/bad.sh
cd /tmp || exit 1

# no_kvm NAME: there is no KVM to use, and the program says how to get one
no_kvm() {
	timeout 60 lodge run --backend kvm --kernel /guest/bad-keys </dev/null >out 2>err
	status=$?
	if [ $status = 1 ] && grep -q 'modprobe kvm_intel' err; then
		echo "@ok $1"
	else
		echo "@not ok $1: status $status"
	fi
	cat err
}

# counts BACKEND REASON: --stats tells exits by reason, and how many in all
counts() {
	echo p | timeout 60 lodge run --backend "$1" --kernel /guest/bad-keys --mem 32M --stats \
		>out 2>err
	status=$?
	if [ $status = 0 ] && grep -q "^exits by reason, 1 vCPU on $1:" err &&
		grep -q "^  $2  *[1-9]" err && grep -q "^  exits  *[1-9]" err; then
		echo "@ok counters of $1"
	else
		echo "@not ok counters of $1: status $status"
	fi
	cat err
}

no_kvm "no kvm_intel"
counts lodge IO_INSTRUCTION
lodge run --kernel /guest/bad-spin --mem 32M </dev/null &
pid=$!
sleep 2
if modprobe kvm_intel; then
	echo "@not ok kvm_intel beside a VM of lodge: it was loaded"
fi
no_kvm "kvm_intel beside a VM of lodge"
kill -9 $pid
wait $pid

if ! modprobe kvm_intel; then
	echo "@not ok kvm_intel after a VM of lodge: it was not loaded"
fi
counts kvm io_exits
bad_guests --backend kvm
/guest/run.sh kvm-1cpu 6.1-cloud 128 1 --backend kvm
/guest/run.sh kvm-2cpus 6.1-cloud 256 2 --backend kvm
rmmod kvm_intel kvm
echo @done
