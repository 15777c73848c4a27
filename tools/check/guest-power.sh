#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# In the emulated host: its bad times.
#
#	power.sh STEP...	the steps, one after the other:
#
#	suspend	the host sleeps and wakes
#	kvm	KVM and lodge keep each other out
#	panic	it panics, and a crash kernel takes over
#	kexec	it starts a second kernel at once
#	reset	it reboots
#
# Guests are inside whenever something happens. The last three begin a new boot
# (EMU_BOOT), in which the rest of the steps is taken, after a look whether all CPUs
# came back with VMX for us: INIT does not restart a CPU in VMX operation, so the
# next kernel misses what was left there.

cd /tmp || exit 1

# What follows would not be what it claims to be.
give_up() {
	echo "@not ok $*"
	echo @done
	exit 0
}

# guest_time CPU: what it has spent in guests
guest_time() {
	sed -n "s/^cpu$1 //p" /proc/stat | cut -d' ' -f9
}

# A guest that never leaves by itself, on each CPU.
guests_inside() {
	for cpu in 0 1; do
		taskset $((cpu + 1)) lodge run --kernel /guest/bad-spin --mem 32M \
			</dev/null >"spin.$cpu" 2>&1 &
	done
	for cpu in 0 1; do
		start=$(guest_time $cpu)
		while [ "$(guest_time $cpu)" = "$start" ]; do
			[ "$(pidof lodge | wc -w)" = 2 ] ||
				give_up "guests run on both CPUs: $(cat spin.*)"
		done
	done
}

# everywhere NAME: on each of two CPUs a guest runs and, as it should, triple-faults
everywhere() {
	if [ "$(nproc)" != 2 ]; then
		echo "@not ok $1: there are $(nproc) CPUs, not 2"
		return
	fi
	for cpu in 0 1; do
		taskset $((cpu + 1)) lodge run --kernel /guest/bad-triple_fault --mem 32M \
			</dev/null >out 2>&1
		status=$?
		if [ $status != 3 ]; then
			echo "@not ok $1: on CPU $cpu lodge ended with status $status"
			cat out
			return
		fi
	done
	echo "@ok $1"
}

# --- steps that come back ------------------------------------------------------------

kvm_is_kept_out() {
	lodge run --kernel /guest/bad-halt --mem 32M </dev/null >out 2>&1 &
	until grep -q lodge-vcpu /proc/$!/maps; do
		kill -0 $! || give_up "a guest runs: $(cat out)"
	done
	if modprobe kvm_intel 2>err; then
		echo "@not ok KVM is kept out: it was let in"
	elif ! grep -q 'Device or resource busy' err; then
		echo "@not ok KVM is kept out: $(cat err)"
	elif ! dmesg | grep -q 'kvm_intel refused: a lodge VM owns VMX'; then
		echo "@not ok KVM is kept out: the log does not say by whom"
	else
		echo "@ok KVM is kept out"
	fi
	kill $!
	wait $!
}

kvm_keeps_out() {
	modprobe kvm_intel 2>err || give_up "KVM can be loaded: $(cat err)"
	if lodge run --kernel /guest/bad-triple_fault --mem 32M </dev/null >out 2>&1 ||
		! grep -q 'another hypervisor (kvm)' out; then
		echo "@not ok KVM keeps lodge out: $(cat out)"
	elif lodge doctor >out; ! grep -q 'FAIL.*kvm' out; then
		echo "@not ok KVM keeps lodge out: lodge doctor does not say it"
	else
		echo "@ok KVM keeps lodge out"
	fi
	rmmod kvm_intel
}

do_kvm() {
	kvm_is_kept_out
	everywhere "a KVM that was refused is in nobody's way"
	kvm_keeps_out
	everywhere "after KVM"
}

do_suspend() {
	export LODGE_TEST_SUSPEND=mem
	[ ! -e /guest/rival.ko ] || export LODGE_TEST_RIVAL=/guest/rival.ko
	/usr/lib/lodge/selftests/suspend >out 2>&1
	status=$?
	cat out
	sed -nE '/# SKIP/d; s/^(not ok|ok) [0-9]+ /@\1 /p' out >results
	cat results
	[ $status = 0 ] && grep -q '^@ok' results || echo "@not ok suspend: status $status"
}

# --- steps that do not ---------------------------------------------------------------

# load STEP [-p]: load a kernel that knows by which step it came. Its initramfs is the
# root as it is now, without the large things.
load() {
	(cd / && find . -xdev -path ./guest/vmlinux -prune -o -path ./usr/lib -prune -o \
		-print | cpio -o -H newc >/tmp/initrd 2>/dev/null)
	/guest/kexec ${2:+"$2"} /guest/vmlinux initrd "$(cat /proc/cmdline) after=$1" ||
		give_up "a kernel for $1 is loaded"
}

do_panic() {
	load panic -p
	guests_inside
	# On the first CPU: the second is stopped wherever it is, by an NMI.
	taskset 1 sh -c 'echo c >/proc/sysrq-trigger'
}

do_kexec() {
	load kexec
	guests_inside
	/guest/kexec -e
}

do_reset() {
	guests_inside
	# By the second CPU: the emulator stops the clock while the one that did it
	# executes as many instructions again as it had before.
	echo 1 >/sys/kernel/reboot/cpu
	reboot -f
}

# A reset brings the host's own kernel, the others one that says so.
arrived() {
	after=$(sed -n 's/.* after=\([a-z]*\)$/\1/p' /proc/cmdline)
	[ "${after:-reset}" = "$1" ] || give_up "boot $EMU_BOOT comes by $1, not ${after:-reset}"
	everywhere "after $1 all CPUs are there, with VMX"
}

boot=1
for step; do
	[ $boot != "$EMU_BOOT" ] || "do_$step"
	case $step in
	panic | kexec | reset)
		[ $boot != "$EMU_BOOT" ] || give_up "$step: we are still here"
		boot=$((boot + 1))
		[ $boot != "$EMU_BOOT" ] || arrived "$step"
		;;
	esac
done
echo @done
