# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# In the emulated host, for other scripts to source: the guests of bad-guest.S, and
# what "lodge run" must make of them.

# ends NAME STATUS SECONDS ARGS...: SIGINT comes after SECONDS; the status and, when
# a guest has come to its end, the registers are told.
ends() {
	name=$1 want=$2 seconds=$3
	shift 3
	timeout -s INT -k 20 "$seconds" lodge run --kernel "$@" </dev/null >out 2>err
	status=$?
	# busybox's timeout gives the program's own status.
	if [ $status != "$want" ]; then
		echo "@not ok $name: status $status, not $want"
	elif [ "$want" -lt 128 ] && ! grep -qi 'rip' err; then
		echo "@not ok $name: no registers told"
	else
		echo "@ok $name"
	fi
	head -n 3 err
}

# well NAME ARGS...: it powers itself off soon
well() {
	name=$1
	shift
	timeout -k 20 60 lodge run --kernel "$@" >out 2>err
	status=$?
	if [ $status = 0 ]; then
		echo "@ok $name"
	else
		echo "@not ok $name: status $status"
	fi
	head -n 3 err
}

# bad_guests [LODGE-OPTION...]
bad_guests() {
	ends "a guest that triple-faults" 3 20 /guest/bad-triple_fault --mem 32M "$@"
	ends "a guest of garbage" 3 20 /guest/bad-garbage --mem 32M "$@"
	ends "a guest that jumps where nothing is" 4 20 /guest/bad-wild_jump --mem 32M "$@"
	ends "a guest that loops" 130 3 /guest/bad-busy --mem 32M "$@"
	ends "a guest that halts with interrupts off" 130 3 /guest/bad-halt --mem 32M "$@"
	ends "two CPUs, one looping" 130 3 /guest/bad-busy --mem 32M --cpus 2 "$@"
	printf rrp | well "keys reach a guest that restarts" /guest/bad-keys --mem 32M "$@"
	well "a level-triggered pin interrupts again" /guest/bad-level --mem 32M "$@" </dev/null
}
