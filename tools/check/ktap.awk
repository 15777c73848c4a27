# SPDX-License-Identifier: GPL-2.0
#
# KUnit's results, as debugfs has them, made flat: one "ok SUITE.CASE" or
# "not ok SUITE.CASE" per case. Cases stand four spaces deep, suites at the left.
# A suite that failed without a failed case (its set-up did) is one line too.

/^    # Subtest: / {
	suite = $3
	failed = 0
}

/^    (not )?ok [0-9]+ / {
	result = /^    not ok/ ? "not ok" : "ok"
	why = ""
	if (match($0, /# SKIP.*/)) {
		why = " " substr($0, RSTART)
		$0 = substr($0, 1, RSTART - 1)
	}
	sub(/^ *(not )?ok [0-9]+ (- )?/, "")
	sub(/ *$/, "")
	if (result == "not ok")
		failed = 1
	print result, suite "." $0 why
	cases++
}

/^not ok [0-9]+ / {
	if (!failed)
		print "not ok", suite " (the suite itself)"
	failed = 0
}

END {
	if (!cases)
		print "not ok KUnit ran at least one case"
}
