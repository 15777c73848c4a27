#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 900
# needs: source checkers
#
# How the code is written: the kernel's checkpatch and sparse, objtool's noinstr
# rules, shellcheck, codespell, and a few rules of our own.

# shellcheck source=tools/check/lib.sh
. "$(dirname "$0")/../lib.sh"

sources() {
	find module uapi tools selftests -name '*.[chS]' 2>/dev/null | sort
}

scripts() {
	grep -rlE -m 1 '^#!/bin/(ba)?sh|^#!/bin/busybox sh|^# shellcheck shell=' \
		tools selftests .ci 2>/dev/null | sort
}

everything() {
	find . \( -path ./build -o -path ./.git \) -prune -o -type f -print | sort
}

# What checkpatch says that does not fit: this tree has no MAINTAINERS file; a
# macro that loops has to name its arguments twice; and programs lack the macros
# which it would rather see in kernel code, and speak to people in long lines.
not_here=FILE_PATH_CHANGES,MACRO_ARG_REUSE
not_in_programs=PREFER_DEFINED_ATTRIBUTE_MACRO,CAMELCASE,BIT_MACRO,NAKED_SSCANF
not_in_programs+=,CONSIDER_KSTRTO,LONG_LINE_STRING,STRING_FRAGMENTS
not_in_programs+=,EMBEDDED_FUNCTION_NAME

# TRACE_EVENT is a language of its own, and so it is laid out everywhere.
not_in_tracepoints=OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT

# An asm operand that is handed to a macro looks like a modulo.
not_in_asm=SPACING

# checked IGNORE: what checkpatch says about the files that standard input names
checked() {
	local source
	source=$(tools/build/kernel source 6.1)
	# It leaves notes for its next run where it stands.
	sed "s,^,$PWD/," | (cd "$work" && xargs -r perl \
		"$source/scripts/checkpatch.pl" --strict --root "$source" \
		--terse --no-summary --show-types --ignore "$1" -f) 2>&1 |
		sed "s,$PWD/,," || :
}

checkpatch() {
	local said
	said=$(sources | grep -E '^(module|uapi)/' | grep -vE '/(trace|insn)\.h' |
			checked "$not_here"
		echo module/trace.h | checked "$not_here,$not_in_tracepoints"
		echo module/vmx/insn.h | checked "$not_here,$not_in_asm"
		sources | grep -vE '^(module|uapi)/' |
			checked "$not_here,$not_in_programs")
	[ -z "$said" ] || {
		echo "$said"
		return 1
	}
}

sparse() {
	tools/build/module -s "$(tools/build/kernel headers "$1")"
}

noinstr() {
	tools/build/module -n "$(tools/build/kernel headers 6.12)"
}

shellchecks() {
	# shellcheck disable=SC2046
	shellcheck -x $(scripts)
}

spelling() {
	everything | grep -v COPYING |
		xargs codespell -I tools/check/words
}

spdx() {
	local bad
	bad=$({ sources; scripts; } | while read -r f; do
		head -n 2 "$f" | grep -q 'SPDX-License-Identifier: GPL-2.0' || echo "$f"
	done)
	[ -z "$bad" ] || {
		echo "without an SPDX line at the head: $bad"
		return 1
	}
}

# Kbuild names every source of the module, and nothing else.
kbuild_complete() {
	diff <(find module \( -name '*.c' -o -name '*.S' \) | sed 's/\.[cS]$/.o/' | sort) \
		<(sed 's/#.*//' Kbuild | grep -oE 'module/[A-Za-z0-9_/-]+\.o' | sort)
}

whitespace() {
	! everything | grep -vE '\.(md|rst|txt)$' | xargs grep -nIE '[[:blank:]]+$'
}

# No file knows the machine it was written on. (The words are put together so
# that this one does not match itself.)
no_machine_paths() {
	local dirs='(root|home|work|Users)'
	! everything | xargs grep -nIE "(^|[\"' =:(])/$dirs/[a-z._]" |
		grep -vE '"/root"|/root/?["'"'"' )]|/root/\.'
}

try "checkpatch --strict" checkpatch
try "sparse on 6.1" sparse 6.1
try "sparse on 6.12" sparse 6.12
try "noinstr code calls only noinstr code" noinstr
try "shellcheck" shellchecks
try "codespell" spelling
try "SPDX lines" spdx
try "Kbuild names every source" kbuild_complete
try "no white space at the end of lines" whitespace
try "no paths of a developer's machine" no_machine_paths
done_testing
