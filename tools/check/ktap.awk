# SPDX-License-Identifier: GPL-2.0
#
# KUnit's results, as debugfs has them, made flat: one "ok SUITE.CASE" or
# "not ok SUITE.CASE" per case. Cases stand four spaces deep, suites at the left.
# A suite that failed without a failed case (its set-up did) is one line too.
#
# The kernel keeps 512 bytes per case. What a case that fails has to say can fill
# them, so that its result is cut off, or what follows stands in the same line:
# a case in the plan that has no result has failed.

# The cases of a plan of which nothing was seen.
function close_plan(  n) {
	for (n = 1; n <= planned; n++)
		if (!(n in seen)) {
			print "not ok", suite "." n " (no result: see the log)"
			failed = 1
		}
	planned = 0
	delete seen
}

/^    # Subtest: / {
	close_plan()
	suite = $3
	failed = 0
}

/^    1\.\.[0-9]+$/ {
	planned = substr($1, 4) + 0
}

planned && match($0, /    (not )?ok [0-9]+ /) {
	$0 = substr($0, RSTART)
	result = /^ *not ok/ ? "not ok" : "ok"
	why = ""
	if (match($0, /# SKIP.*/)) {
		why = " " substr($0, RSTART)
		$0 = substr($0, 1, RSTART - 1)
	}
	sub(/^ *(not )?ok /, "")
	seen[$1 + 0] = 1
	sub(/^[0-9]+ (- )?/, "")
	sub(/ *$/, "")
	if (result == "not ok")
		failed = 1
	print result, suite "." $0 why
	cases++
}

/^(not )?ok [0-9]+ / {
	close_plan()
	if (/^not/ && !failed)
		print "not ok", suite " (the suite itself)"
	failed = 0
}

/^@(not )?ok / {
	print substr($0, 2)
}

END {
	close_plan()
	if (!cases)
		print "not ok KUnit ran at least one case"
}
