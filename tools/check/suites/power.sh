#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 1800
# needs: modules cloud tools selftests guests
#
# The host's bad times, with guests inside: KVM comes, suspend, panic, kexec, reset.
# What they are is told in guest-power.sh.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

# steps HOST REBOOTS EMU-OPTIONS STEP...: a boot of that host and those that follow
steps() {
	local host=$1 reboots=$2 options=$3 kind=image status=0
	shift 3
	[[ $options != *--cloud* ]] || kind=cloud-image
	/usr/bin/python3 -B tools/testbench/mkdisk.py --extract "$(tools/build/kernel $kind "$host")"/boot/vmlinuz-* \
		"$work/overlay/guest/vmlinux"
	# shellcheck disable=SC2086
	machine --overlay "$work/overlay" --timeout "$(left)" --host "$host" $options \
		--cpus 2 --reboots "$reboots" -- /guest/power.sh "$@" || status=$?
	adopt < <(results | sed -E "s/^((not )?ok) /\\1 $host: /")
	try "the host $host ended well" [ "$status" = 0 ]
}

mkdir -p "$work/overlay/guest"
install -m 755 tools/check/guest-power.sh "$work/overlay/guest/power.sh"
cp build/guests/guest/bad-{spin,halt,triple_fault} "$work/overlay/guest"
gcc -static -O2 -Wall -Wextra -Werror -o "$work/overlay/guest/kexec" tools/check/kexec.c

# A CPU whose TSC starts anew after suspend, and no KVM that takes VMX at once.
steps 6.1 3 "--cloud --cpu-model corei7_sandy_bridge_2600k --append crashkernel=192M" \
	kvm suspend panic reset kexec
steps 6.12 1 "--append kvm.enable_virt_at_load=0" kvm suspend kexec
rm -rf "$work/overlay"
done_testing
