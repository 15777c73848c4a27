# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Progress for every script of the build: one line per step, with the seconds
# since the first step of this run (make passes LODGE_T0 on to what it calls).

export LODGE_T0=${LODGE_T0:-$(date +%s)}

say() {
	printf '[%4ds] %s\n' "$(($(date +%s) - LODGE_T0))" "$*" >&2
}

die() {
	say "FAILED: $*"
	exit 1
}
