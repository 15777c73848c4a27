# SPDX-License-Identifier: GPL-2.0
#
# The output of guest-selftests.sh made flat: one line "ok PROGRAM.TEST" per test.
# A program's own TAP counts when it is whole; its exit status counts as well,
# so that a crash, a hang or a wrong plan cannot look like success.

function say(result, name, why) {
	print result, program (name == "" ? "" : "." name) why
}

/^@begin / {
	program = $2
	plan = seen = failed = 0
	running = ""
	next
}

/^#  RUN / { running = $3 }
/^1\.\.[0-9]+/ { plan = substr($1, 4) + 0 }

program != "" && /^(not )?ok [0-9]+/ {
	result = /^not ok/ ? "not ok" : "ok"
	why = ""
	if (match($0, /# *SKIP.*/)) {
		why = " # SKIP" substr($0, RSTART + index(substr($0, RSTART), "P"))
		$0 = substr($0, 1, RSTART - 1)
	}
	sub(/^(not )?ok [0-9]+ *(- )?/, "")
	sub(/ *$/, "")
	say(result, $0 == "" ? running : $0, why)
	seen++
	failed += result == "not ok"
}

/^@end / {
	status = $3
	if (status == 4 && !seen)
		say("ok", "", " # SKIP the program says so")
	else if (status == 124 || status == 143)
		say("not ok", "", " (took too long)")
	else if (status != 0 && status != 4 && !failed)
		say("not ok", "", " (exit status " status ")")
	else if (plan != seen)
		say("not ok", "", " (" seen " of " plan " tests ran)")
	else if (!seen)
		say("not ok", "", " (no test ran)")
	program = ""
	programs++
}

/^@(not )?ok / { print substr($0, 2) }
/^@done$/ { done = 1 }

END {
	if (program != "")
		say("not ok", "", " (the machine ended)")
	if (!done)
		print "not ok the machine came to the end of its script"
	else if (!programs)
		print "not ok there is a selftest program"
}
