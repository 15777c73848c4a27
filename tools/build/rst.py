# SPDX-License-Identifier: GPL-2.0
"""Tables in plain text and in .rst files, and putting the latter where they belong:
between the comments ".. KIND NAME" and ".. end"."""

import os
import re
import sys
import textwrap

LONGEST = 72        # words of one line of a table


def _widths(rows):
    return [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]


def _line(row, width, left):
    return "  ".join(t.ljust(w) if i < left else t.rjust(w)
                     for i, (t, w) in enumerate(zip(row, width))).rstrip()


def plain_table(rows, left):
    """Lines; the first @left columns are text, the others are figures."""
    rows = list(rows)
    width = _widths(rows)
    out = [_line(r, width, left) for r in rows]
    out.insert(1, "-" * max(map(len, out)))
    return out


def _folded(row):
    """A row of a .rst file as several, where a text is long: all but the first column of
    those which continue it may have words."""
    cells = [textwrap.wrap(t, LONGEST, break_long_words=False) or [""] for t in row]
    return [[c[i] if i < len(c) else "" for c in cells]
            for i in range(max(len(c) for c in cells))]


def rst_table(rows, left):
    """The same for a .rst file."""
    rows = [folded for row in rows for folded in _folded(row)]
    width = _widths(rows)
    rule = "  ".join("=" * w for w in width)
    return [rule, _line(rows[0], width, left), rule] + \
        [_line(r, width, left) for r in rows[1:]] + [rule]


def write(path, text):
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(path + ".new", path)


def fill(path, kind, tables):
    """@tables: name -> lines. Each must have its place in the file."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for name, lines in tables.items():
        body = "\n".join(lines)
        text, found = re.subn(rf"(\.\. {kind} {name}\n).*?(\.\. end\n)",
                              lambda m, b=body: f"{m[1]}\n{b}\n\n{m[2]}", text, flags=re.S)
        if found != 1:
            sys.exit(f"{path} has no place for '{kind} {name}'")
    write(path, text)
