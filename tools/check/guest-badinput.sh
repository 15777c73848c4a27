#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# In the emulated host: wrong arguments, files that are no kernels, settings that
# cannot be, a guest that misbehaves. lodge must say so in words on standard error
# and end with a status of its own, not by a signal and not by hanging.

# shellcheck source=tools/check/guest-bad.sh
. /guest/bad.sh
kernel=/guest/vmlinuz-6.1-cloud
cd /tmp || exit 1

# refused NAME ARGS...: lodge must end soon, unsuccessfully, with a message
refused() {
	name=$1
	shift
	timeout 60 lodge "$@" </dev/null >out 2>err
	status=$?
	if [ $status = 0 ]; then
		echo "@not ok $name: was taken"
	elif [ $status = 124 ] || [ $status -ge 128 ]; then
		echo "@not ok $name: ended by a signal or by time ($status)"
	elif ! [ -s err ]; then
		echo "@not ok $name: refused without a word"
	else
		echo "@ok $name"
	fi
	head -n 3 err
}

: >empty
truncate -s 200M large
dd if=/dev/urandom of=noise bs=1M count=1 2>/dev/null
dd if=$kernel of=cut bs=1k count=700 2>/dev/null
# A boot header that claims absurd sizes: setup_sects 0xff, syssize 0xffffffff.
cp $kernel header
printf '\377' | dd of=header bs=1 seek=497 conv=notrunc 2>/dev/null
printf '\377\377\377\377' | dd of=header bs=1 seek=500 conv=notrunc 2>/dev/null

refused "no arguments"
refused "an unknown command" fnord
refused "an unknown option" run --fnord
refused "no kernel" run
refused "a kernel that is not there" run --kernel /nowhere
refused "a folder as kernel" run --kernel /tmp
refused "an empty kernel" run --kernel empty
refused "noise as kernel" run --kernel noise
refused "half a kernel" run --kernel cut
refused "a kernel with absurd sizes" run --kernel header
refused "an initrd that is not there" run --kernel $kernel --initrd /nowhere
refused "memory 0" run --kernel $kernel --mem 0
refused "memory 1M" run --kernel $kernel --mem 1M
refused "memory that is no number" run --kernel $kernel --mem many
refused "memory below zero" run --kernel $kernel --mem -1G
refused "memory beyond every address" run --kernel $kernel --mem 99999999999999999999G
refused "memory beyond 64 bits by its suffix" run --kernel $kernel --mem 17179869185G
refused "an initrd larger than memory" run --kernel $kernel --initrd large --mem 128M
refused "0 CPUs" run --kernel $kernel --cpus 0
refused "a million CPUs" run --kernel $kernel --cpus 1000000
refused "CPUs that are no number" run --kernel $kernel --cpus two
refused "a hypervisor that is not there" run --kernel $kernel --backend fnord
refused "a command line that is too long" run --kernel $kernel \
	--append "$(head -c 70000 /dev/zero | tr '\0' x)"

chmod 600 /dev/lodge
if su -s /bin/sh nobody -c true 2>/dev/null; then
	timeout 60 su -s /bin/sh nobody -c "lodge run --kernel $kernel" >out 2>err
	status=$?
	if [ $status != 0 ] && [ $status -lt 124 ] && grep -qi 'permission' err; then
		echo "@ok a user without rights"
	else
		echo "@not ok a user without rights: status $status"
	fi
	head -n 3 err
else
	echo "@skip a-user-without-rights this host has no su"
fi

bad_guests --backend lodge
# Not under KVM: there the emulated CPU takes no interrupt until the guest does.
ends "a guest that loops with interrupts off" 130 3 /guest/bad-spin --mem 32M
ends "two CPUs, one looping with interrupts off" 130 3 /guest/bad-spin --mem 32M --cpus 2
# KVM has an emulator for it.
ends "a guest with string output" 4 20 /guest/bad-string_io --mem 32M
ends "a guest whose kernel panics" 130 25 $kernel --initrd /guest/initrd --mem 256M \
	--append "console=ttyS0 quiet panic=0 rdinit=/nowhere root=/dev/none"
grep -q 'Kernel panic' out || echo "@not ok a guest whose kernel panics: it did not"

# Until SIGINT it starts again and again: what is told once per start is there twice.
ends "a guest that reboots" 130 45 $kernel --initrd /guest/initrd --mem 128M \
	--append 'console=ttyS0 quiet run="reboot -f"'
starts=$(grep -c 'guest: begin' out)
[ "$starts" -ge 2 ] || echo "@not ok a guest that reboots: started $starts times"

# SIGKILL ends it at any time, and leaves nothing that keeps the module busy.
lodge run --kernel $kernel --initrd /guest/initrd --mem 256M \
	--append "console=ttyS0 quiet" </dev/null >out 2>&1 &
pid=$!
sleep 3
kill -9 $pid
wait $pid 2>/dev/null
n=0
while ! rmmod lodge 2>err && [ $n -lt 50 ]; do
	n=$((n + 1))
	sleep 0.1
done
if [ $n -lt 50 ]; then
	echo "@ok SIGKILL, then rmmod"
else
	echo "@not ok SIGKILL, then rmmod: $(cat err)"
fi

# The module itself: a parameter that is not there, one load after another.
if modprobe lodge fnord=1 2>err && dmesg | grep -q "lodge: unknown parameter 'fnord'"; then
	echo "@ok an unknown module parameter is ignored with a word"
else
	echo "@not ok an unknown module parameter: $(cat err)"
fi
rmmod lodge
n=0
while [ $n -lt 10 ] && modprobe lodge && rmmod lodge; do
	n=$((n + 1))
done
if [ $n = 10 ]; then
	echo "@ok loaded and unloaded ten times"
else
	echo "@not ok loaded and unloaded ten times: failed after $n"
fi

# KVM holds the CPU: the program says so. (selftests/vmx_owner.c has the rest.)
if [ -n "$(find /lib/modules -name 'kvm-intel.ko')" ]; then
	modprobe lodge
	modprobe kvm_intel
	refused "KVM owns the CPU" run --kernel $kernel
	grep -qi kvm err || echo "@not ok KVM is not named"
	rmmod kvm_intel kvm
else
	echo "@skip KVM-owns-the-CPU this host has no kvm_intel"
fi
echo @done
