#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# In the emulated host: boot one guest and see that it was really there.
#
#	run.sh NAME KERNEL MEM_MIB CPUS [LODGE-OPTION...]
#
# The guest prints what it has: CPUs, memory, clock, who its hypervisor is; it then
# powers itself off, and lodge must end with status 0. Prints one line "@ok NAME
# ..." or "@not ok NAME: why", with the guest's console after it when it failed.

name=$1 kernel=$2 mem=$3 cpus=$4
shift 4
out=/tmp/guest.$name
clock=/sys/devices/system/clocksource/clocksource0/current_clocksource
facts="echo facts cpus=\$(nproc) mem=\$((\$(grep MemTotal: /proc/meminfo | tr -dc 0-9) / 1024))"
facts="$facts clock=\$(cat $clock) hv=\$(grep -c hypervisor /proc/cpuinfo)"

start=$(date +%s)
timeout "${GUEST_TIMEOUT:-240}" lodge run \
	--kernel "/guest/vmlinuz-$kernel" --initrd /guest/initrd \
	--mem "${mem}M" --cpus "$cpus" "$@" \
	--append "console=ttyS0 quiet tag=$name run=\"$facts\"" \
	</dev/null >"$out" 2>&1
status=$?
took=$(($(date +%s) - start))

# fact WORD: the guest's own word on it
fact() {
	tr -d '\r' <"$out" | sed -n "s/^facts .*\\b$1=\\([^ ]*\\).*/\\1/p"
}

why=
if [ $status = 124 ] || [ $status = 143 ]; then
	why="took more than ${GUEST_TIMEOUT:-240} s"
elif [ $status != 0 ]; then
	why="lodge ended with status $status"
elif ! grep -q "^guest $name: begin" "$out"; then
	why="its init did not start"
elif ! grep -q "^guest $name: status 0" "$out"; then
	why="its command failed"
elif [ "$(fact cpus)" != "$cpus" ]; then
	why="it has '$(fact cpus)' CPUs, not $cpus"
elif [ "$(fact hv)" != "$cpus" ]; then
	why="it does not see that it is a guest"
elif ! [ "$(fact mem)" -le "$mem" ] || ! [ "$(fact mem)" -ge $((mem * 6 / 10)) ]; then
	why="it has '$(fact mem)' MiB of memory, not about $mem"
else
	case $(fact clock) in
	tsc | kvm-clock) ;;
	*) why="its clock is '$(fact clock)'" ;;
	esac
fi

if [ -z "$why" ]; then
	echo "@ok $name"
	echo "  $took s of emulated time; $(tr -d '\r' <"$out" | grep '^facts ')"
else
	echo "@not ok $name: $why"
	tail -n 60 "$out"
fi
rm -f "$out"
[ -z "$why" ]
