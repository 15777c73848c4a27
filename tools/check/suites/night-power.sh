#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 2400
# needs: modules cloud tools selftests guests
#
# The host's bad times, with guests inside: KVM comes, suspend, panic, kexec, reset.
# What they are is told in guest-power.sh.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

# steps HOST REBOOTS EMU-OPTIONS KERNEL-PARAMETERS STEP...: that host, and its next boots
steps() {
	local host=$1 reboots=$2 switches=$3 append=$4 kind=image status=0
	shift 4
	[[ $switches != *--cloud* ]] || kind=cloud-image
	/usr/bin/python3 -B tools/testbench/mkdisk.py --extract "$(tools/build/kernel $kind "$host")"/boot/vmlinuz-* \
		"$work/overlay/guest/vmlinux"
	# shellcheck disable=SC2086
	machine --overlay "$work/overlay" --timeout "$(left)" --host "$host" $switches \
		--append "$append" --cpus 2 --reboots "$reboots" -- /guest/power.sh "$@" ||
		status=$?
	adopt < <(results | sed -E "s/^((not )?ok) /\\1 $host: /")
	try "the host $host ended well" [ "$status" = 0 ]
}

mkdir -p "$work/overlay/guest"
install -m 755 tools/check/guest-power.sh "$work/overlay/guest/power.sh"
cp build/guests/guest/bad-{spin,halt,triple_fault} "$work/overlay/guest"
gcc -static -O2 -Wall -Wextra -Werror -o "$work/overlay/guest/kexec" tools/check/kexec.c

# What the first host needs besides.
mkdir "$work/rival"
cp tools/check/rival/* "$work/rival"
make -s -C "$(tools/build/kernel cloud-headers 6.1)" "M=$PWD/$work/rival" modules >&2
strip --strip-debug -o "$work/overlay/guest/rival.ko" "$work/rival/rival.ko"

# This CPU has no TSC_ADJUST, by which others keep their TSC over a suspend; and with
# a TSC that starts anew the emulator's deadline timer never stops.
steps 6.1 3 "--cloud --cpu-model corei7_sandy_bridge_2600k" \
	"crashkernel=192M lapic=notscdeadline" suspend panic reset kexec
rm "$work/overlay/guest/rival.ko"
# A KVM that takes VMX with its first VM only. (vmx_owner has the one that takes it at once.)
steps 6.12 1 "" kvm.enable_virt_at_load=0 suspend kvm kexec
rm -rf "$work/overlay"
done_testing
