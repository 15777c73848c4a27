# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the suites share. A suite is a program in tools/check/suites/ that prints
# TAP on its standard output, one line per test and the plan at the end, and
# everything else on standard error, which goes to its log. Its head says how
# long it may take: "# timeout: SECONDS".

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tools/build/say.sh

suite=$(basename "$0" .sh)
work=build/check/$suite.d
rm -rf "$work"
mkdir -p "$work"
tests=0

# left: seconds until shortly before this suite's time is over, so that a machine
# that hangs is ended by the runner that can tell where it hung.
left() {
	echo $(($(sed -n 's/^# timeout: //p' "$0") - SECONDS - 30))
}

ok() {
	echo "ok $((++tests)) $*"
}

not_ok() {
	echo "not ok $((++tests)) $*"
}

# skip NAME REASON
skip() {
	echo "ok $((++tests)) $1 # SKIP ${*:2}"
}

done_testing() {
	echo "1..$tests"
}

# try NAME COMMAND...: a test that is one command
try() {
	local name=$1
	shift
	say "$suite: $name"
	if "$@" >&2; then
		ok "$name"
	else
		not_ok "$name"
	fi
}

# adopt TAP: count the tests of another TAP stream, from standard input, as ours
adopt() {
	local line
	while IFS= read -r line; do
		case $line in
		'ok '*) ok "${line#ok }" ;;
		'not ok '*) not_ok "${line#not ok }" ;;
		esac
	done
}

# machine ARGS...: the emulated machine; its words go to the log and to
# $work/machine.out, but for the long lines that are for keep_coverage. A guest
# kernel's output is full of carriage returns.
machine() {
	local rc=0
	echo "+ emu $*" >&2
	tools/testbench/emu "$@" 2>&1 | sed -u 's,\r,,g' | tee "$work/machine.out" |
		sed -u '/^@coverage /d' >&2 || rc=$?
	return "$rc"
}

# results: the lines "@ok NAME", "@not ok NAME", "@skip NAME WHY" that a script
# in the machine printed, and "@done" as its last word, as TAP without numbers.
results() {
	awk '
	/^@ok / || /^@not ok / { print substr($0, 2) }
	/^@skip / { name = $2; sub(/^@skip [^ ]+ */, ""); print "ok " name " # SKIP " $0 }
	/^@done$/ { done = 1 }
	END { if (!done) print "not ok the machine came to the end of its script" }
	' "$work/machine.out"
}

# guests SCRIPT EMU-OPTION...: boot a host, and guests in it as SCRIPT says
guests() {
	local script=$1 status=0
	shift
	# shellcheck disable=SC2086
	machine --overlay build/guests --timeout "$(left)" "$@" -- $script ||
		status=$?
	adopt < <(results)
	try "the host ${*//--/} ended well" [ "$status" = 0 ]
}

# script NAME...: put those guest-NAME.sh where the emulated host finds them
script() {
	local name
	mkdir -p "$work/overlay/guest"
	for name; do
		install -m 755 "tools/check/guest-$name.sh" "$work/overlay/guest/$name.sh"
	done
}

# selftests EMU-OPTION... [-- PROGRAM...]: boot a host and run selftest programs in
# it, or all. What test_env holds is set there.
test_env=()
selftests() {
	local status=0 options=()
	while [ $# != 0 ] && [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	script selftests leaks
	machine --overlay "$work/overlay" --timeout "$(left)" "${options[@]}" -- \
		env "${test_env[@]}" /guest/selftests.sh "${@:2}" || status=$?
	adopt < <(awk -f tools/check/kselftest.awk "$work/machine.out")
	try "the host ${options[*]//--/} ended well" [ "$status" = 0 ]
}

# The kernel that looks for bugs: what is slow to set up is on from the start, and
# the KUnit suites run in a boot of their own. It boots three times slower with a
# second CPU, which only some suites need.
debug_host=(--host debug --mem 512)
debug_append="kmemleak=on page_owner=on"

# keep_coverage: for tools/check/coverage, what guest-coverage.sh has said
keep_coverage() {
	local to=build/check/coverage/$suite

	rm -rf "$to"
	mkdir -p "$to"
	sed -n 's/^@coverage //p' "$work/machine.out" | base64 -d | tar -xz -C "$to" || return
	# There it lies by the path it was built at.
	find "$to" -path '*/src/module' -prune -exec mv {} "$to.module" \;
	rm -rf "$to"
	mkdir "$to"
	mv "$to.module" "$to/module"
}

# debug_selftests EMU-OPTION... [-- PROGRAM...]: selftest programs on it
debug_selftests() {
	test_env+=(PROGRAM_TIMEOUT=3600)
	script coverage
	selftests "${debug_host[@]}" --append "$debug_append kunit.enable=0" "$@"
	try "coverage is kept" keep_coverage
}

# debug_fuzz PROGRAM ROUNDS: a fuzzer, which needs no second CPU
debug_fuzz() {
	local status=0
	script fuzz selftests coverage leaks
	machine "${debug_host[@]}" --append "$debug_append kunit.enable=0" \
		--overlay "$work/overlay" --timeout "$(left)" -- \
		env PROGRAM_TIMEOUT=5000 LODGE_SEED="${LODGE_SEED:-1}" LODGE_ROUNDS="$2" \
		/guest/fuzz.sh "$1" || status=$?
	adopt < <(awk -f tools/check/kselftest.awk "$work/machine.out")
	try "the host ended well" [ "$status" = 0 ]
	try "coverage is kept" keep_coverage
}
