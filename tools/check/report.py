#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0
"""The suites and their last results, for people who read.

usage: report.py FILE DIR     put the tables of the suites here, and of what tools/check/run
                              left in DIR, into the .rst FILE, between the comments
                              ".. check NAME" and ".. end"
"""

import glob
import os
import re
import sys

HERE = os.path.dirname(__file__)
sys.path.insert(0, os.path.join(HERE, "../build"))
import rst  # noqa: E402  (of tools/build)


def suites():
    """The names, those of make check first."""
    names = [os.path.basename(p)[:-3] for p in glob.glob(f"{HERE}/suites/*.sh")]
    return sorted(names, key=lambda n: (n.startswith(("debug-", "night-")), n))


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def what_rows():
    """What the heads of the suites say: their first sentence, and how long they may take."""
    yield ["suite", "at most", "what"]
    for suite in suites():
        text = read(f"{HERE}/suites/{suite}.sh")
        limit = re.search(r"^# timeout: (\d+)", text, re.M)[1]
        about = re.search(r"^#\n((?:# .*\n)+)", text, re.M)[1].replace("# ", " ")
        sentence = re.split(r"\.\s", about.replace("\n", "") + " ")[0]
        yield [suite, f"{limit} s", sentence.strip()]


def result_rows(directory):
    yield ["suite", "passed", "failed", "skipped", "seconds"]
    total = [0, 0, 0, 0]
    for suite in suites():
        counts = [int(n) for n in read(f"{directory}/{suite}.result").split()]
        if not counts:
            yield [suite, "not run", "-", "-", "-"]
            continue
        total = [a + b for a, b in zip(total, counts)]
        yield [suite] + [str(n) for n in counts]
    yield ["all"] + [str(n) for n in total]


def test_rows(directory, line, heads, nothing):
    """The tests of the suites that were run whose TAP line matches; groups as columns."""
    yield heads
    empty = True
    for suite in suites():
        if not read(f"{directory}/{suite}.result"):
            continue
        for match in re.finditer(line, read(f"{directory}/{suite}.tap"), re.M):
            empty = False
            yield [suite] + [text.strip() for text in match.groups()]
    if empty:
        yield ["-", nothing] + ["-"] * (len(heads) - 2)


def main(path, directory):
    if not glob.glob(f"{directory}/*.result"):
        sys.exit(f"report.py: no results in {directory}: run make check")
    rst.fill(path, "check", {
        "suites": rst.rst_table(what_rows(), 3),
        "results": rst.rst_table(result_rows(directory), 1),
        "failed": rst.rst_table(test_rows(directory, r"^not ok \d+ (.*)",
                                          ["suite", "failed"], "nothing"), 2),
        "skipped": rst.rst_table(test_rows(directory, r"^ok \d+ (.*?) # SKIP (.*)",
                                           ["suite", "skipped", "why"], "nothing"), 3),
    })


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
