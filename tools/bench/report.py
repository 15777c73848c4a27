#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What lodge-bench has printed, made readable.

usage: report.py DIR          of DIR/MITIGATIONS.log make DIR/latest.json and
                              DIR/latest.svg, and print a table; DIR/verdict is
                              one line of it
       report.py --docs FILE DIR  put the tables of DIR into the .rst FILE,
                              between the comments ".. bench NAME" and ".. end"
"""

import json
import os
import re
import subprocess
import sys
from html import escape

SETTINGS = ("off", "default")     # of mitigations, in the order of the columns
# The logs, and the mitigations of each.
LOGS = {"off": "off", "default": "default", "counts": "default"}

# What an exit costs in cycles, as far as one can say without silicon.
COSTS = {
    "exit": (1000, "exit and entry; the order of what Agesen et al. measured on CPUs from "
                   "2009 on (USENIX ATC 2012)"),
    "vmread": (30, "assumed: microcode, but no serialization"),
    "vmwrite": (30, "assumed, as VMREAD"),
    "read_msr": (40, "a common rule of thumb: 30 to 50"),
    "write_msr": (200, "a common rule of thumb: 100 to 300, serializing"),
    "invept": (200, "assumed, as WRMSR"),
    "invvpid": (200, "assumed, as WRMSR"),
    "other": (0.5, "any other instruction: assumed, caches warm"),
}
SERIALIZING = ("write_msr", "invept", "invvpid")
LIST = "build/tools/lodge-bench"

# The marks that lodge has set itself: the cases, the mitigations, the limit and its unit.
# Of several cases the later are subtracted from the first; what lodge has no figure of is
# the host's. "x KVM" limits the ratio. HANDLED: one instruction of the guest's, which the
# module answers alone.
HANDLED = ("exit_cpuid", "exit_vmcall", "exit_rdmsr", "exit_wrmsr", "exit_self_ipi",
           "ept_4k_write", "ept_4k_read", "ept_2m_write")
TO_PROGRAM = ("exit_out", "exit_in", "exit_mmio_write", "exit_mmio_read")
MARKS = [
    (("exit_cpuid",), "off", 240, "ticks"),
    (("exit_vmcall",), "off", 220, "ticks"),
    (("exit_rdmsr",), "off", 220, "ticks"),
    (("exit_out",), "off", 1150, "ticks"),
    (("exit_mmio_write",), "off", 1450, "ticks"),
    (("exit_mmio_read",), "off", 1500, "ticks"),
    (("run_and_leave",), "off", 600, "ticks"),
    (("ept_4k_write",), "off", 900, "ticks"),
    (("ept_4k_sequential",), "off", 160, "ticks"),
    (("ept_4k_fresh_write", "host_fault_4k"), "off", 700, "ticks"),
    (("ept_2m_write",), "off", 1200, "ticks"),
    *(((case,), "default", 0.35, "x KVM") for case in HANDLED),
    *(((case,), "default", 0.80, "x KVM") for case in TO_PROGRAM),
    (("vm_life",), "default", 0.5, "x KVM"),
    (("mem_idle_vm",), "default", 0.5, "x KVM"),
    (("boot", "boot_guest"), "default", 60e6, "ticks"),
    (("boot_exits", "boot_exits_timer", "boot_exits_interrupt"), "default", 3000, "exits"),
]


def read_logs(directory):
    """The rows of the JSON, and what deserves a warning."""
    rows, warnings = [], []
    for log, mitigations in LOGS.items():
        path = f"{directory}/{log}.log"
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8", errors="replace") as f:
            for line in f:
                words = line.split()
                if line.startswith("FAILED") or "DOES NOT REPEAT" in line:
                    warnings.append(f"{log}: {' '.join(words)}")
                if not line.startswith("BENCH ") or len(words) < 5:
                    continue
                rows.append({"case": words[1], "backend": words[2],
                             "mitigations": mitigations,
                             "value": float(words[3]), "unit": words[4]})
    return rows, warnings


def number(value):
    if value is None:
        return "-"
    if abs(value) >= 1e7:
        return f"{value / 1e6:.1f} M"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}"


class Figures:
    def __init__(self, rows):
        self.value = {(r["case"], r["backend"], r["mitigations"]): r["value"] for r in rows}
        self.unit = {r["case"]: r["unit"] for r in rows}
        both = {r["case"] for r in rows if r["backend"] != "host"}
        self.cases = [c for c in self.unit if c in both and ":" not in c]
        self.counted = list(dict.fromkeys(c.split(":")[0] for c in self.unit if ":" in c))
        self.host = [c for c in self.unit if any((c, "host", m) in self.value for m in SETTINGS)]
        self.settings = [m for m in SETTINGS if any(r["mitigations"] == m for r in rows)]

    def ratio(self, case, mitigations, backend="lodge", to="kvm"):
        value = self.value.get((case, backend, mitigations))
        base = self.value.get((case, to, mitigations))
        return value / base if value and base else None

    def text(self, case, backend, mitigations):
        return number(self.value.get((case, backend, mitigations)))

    def ratio_text(self, *args):
        ratio = self.ratio(*args)
        return "-" if ratio is None else f"{ratio:.2f}"

    def rows(self):
        yield ["case", "unit"] + [h for m in self.settings for h in ("lodge", "KVM", "ratio")]
        for case in self.cases:
            yield [case, self.unit[case]] + [
                t for m in self.settings
                for t in (self.text(case, "lodge", m), self.text(case, "kvm", m),
                          self.ratio_text(case, m))]

    def marked(self, cases, mitigations, unit):
        """What a mark is compared with; None if some of it was not measured."""
        if unit == "x KVM":
            return self.ratio(cases[0], mitigations)
        values = [self.value.get((c, "lodge", mitigations),
                                 self.value.get((c, "host", mitigations))) for c in cases]
        return None if None in values else values[0] - sum(values[1:])

    def mark_rows(self):
        yield ["mark", "mitigations", "limit", "is", "verdict"]
        for cases, mitigations, limit, unit in MARKS:
            value = self.marked(cases, mitigations, unit)
            form = number if unit != "x KVM" else "{:.2f}".format
            is_text, verdict = ("-", "not measured") if value is None else (
                form(value), "PASS" if value <= limit else "miss")
            yield [" - ".join(cases), mitigations, f"{form(limit)} {unit}", is_text, verdict]

    def marks_summary(self):
        verdicts = [row[-1] for row in self.mark_rows()]
        return ", ".join(f"{verdicts.count(v)} {v}" for v in ("PASS", "miss", "not measured"))

    def count(self, case, backend, what):
        """None if it was not counted; what was not seen is not printed."""
        if (f"{case}:exits", backend, "default") not in self.value:
            return None
        return self.value.get((f"{case}:{what}", backend, "default"), 0)

    def cycles(self, case):
        """Of one operation on lodge: a guess, for what it is worth."""
        ticks = self.value.get((case, "lodge", "default"))
        exits = self.count(case, "lodge", "exits")
        if ticks is None or exits is None:
            return None
        cycles = COSTS["exit"][0] * exits
        for what, (cost, _) in COSTS.items():
            count = self.count(case, "lodge", what)
            if count:
                cycles += cost * count
                ticks -= count
        return cycles + COSTS["other"][0] * ticks

    def count_rows(self):
        names = ("exits", "vmread", "vmwrite", "read_msr", "write_msr", "l1d_flush")
        yield (["lodge", "exits", "VMREAD", "VMWRITE", "RDMSR", "WRMSR", "L1D flush",
                "serializing", "cycles"] + ["KVM: exits", "RDMSR", "WRMSR", "L1D flush"])
        for case in self.counted:
            lodge = [self.count(case, "lodge", w) for w in names]
            kvm = [self.count(case, "kvm", w) for w in names if not w.startswith("vm")]
            serial = [self.count(case, "lodge", w) for w in SERIALIZING]
            lodge.append(None if None in serial else sum(serial))
            cycles = self.cycles(case)
            yield ([case] + ["-" if v is None else f"{v:.1f}" for v in lodge] +
                   ["-" if cycles is None else f"{round(cycles, -1):.0f}"] +
                   ["-" if v is None else f"{v:.1f}" for v in kvm])

    @staticmethod
    def cost_rows():
        yield ["what", "cycles", "from"]
        for what, (cost, source) in COSTS.items():
            yield [what, f"{cost:g}", source]

    def host_rows(self):
        yield (["the host alone", "unit"] +
               [h for _ in self.settings for h in ("host", "lodge / host", "KVM / host")])
        for case in self.host:
            yield [case, self.unit[case]] + [
                t for m in self.settings
                for t in (self.text(case, "host", m), self.ratio_text(case, m, "lodge", "host"),
                          self.ratio_text(case, m, "kvm", "host"))]


def widths(rows):
    return [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]


def line(row, width):
    return "  ".join(t.ljust(w) if i < 2 else t.rjust(w)
                     for i, (t, w) in enumerate(zip(row, width))).rstrip()


def plain_table(rows, title=None):
    rows = list(rows)
    if len(rows) < 2:
        return []
    width = widths(rows)
    out = [line(r, width) for r in rows]
    out.insert(1, "-" * max(map(len, out)))
    return ([title] if title else []) + out + [""]


def rst_table(rows):
    rows = list(rows)
    width = widths(rows)
    rule = "  ".join("=" * w for w in width)
    return [rule, line(rows[0], width), rule] + [line(r, width) for r in rows[1:]] + [rule]


def print_table(figures, warnings):
    heads = "; ".join(f"mitigations={m}" for m in figures.settings)
    for text in plain_table(figures.rows(), f"The three columns each of: {heads}") + \
            plain_table(figures.host_rows()) + \
            plain_table(figures.count_rows(), "Counted for each operation, default mitigations; "
                        "cycles are an estimate (--docs writes of what)"):
        print(text)
    print("ratio: lodge / KVM, less is better")
    for warning in warnings:
        print(f"! {warning}")
    print()
    for text in plain_table(figures.mark_rows()):
        print(text)
    print(f"marks: {figures.marks_summary()}")


def chart(figures):
    """Bars of the ratio, one for each setting; a line where both cost the same."""
    cases = [c for c in figures.cases if any(figures.ratio(c, m) for m in figures.settings)]
    left, scale, bar, top = 170, 320, 9, 40
    height = bar * len(figures.settings) + 8
    total = top + height * len(cases) + 20
    colour = {"off": "#2a6f97", "default": "#e09f3e"}
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="{total}" '
           'font-family="sans-serif" font-size="11">',
           '<rect width="100%" height="100%" fill="white"/>',
           '<text x="10" y="18" font-size="13">lodge / KVM; left of the line lodge costs less'
           '</text>']
    for i, m in enumerate(figures.settings):
        out.append(f'<text x="{left + 150 * i}" y="33" fill="{colour[m]}">mitigations={m}</text>')
    for row, case in enumerate(cases):
        y = top + row * height
        out.append(f'<text x="{left - 6}" y="{y + height / 2 + 2}" text-anchor="end">'
                   f'{escape(case)}</text>')
        for i, m in enumerate(figures.settings):
            ratio = figures.ratio(case, m)
            if ratio is None:
                continue
            width = min(ratio, 1.3) * scale
            out.append(f'<rect x="{left}" y="{y + i * bar}" width="{width:.1f}" '
                       f'height="{bar - 1}" fill="{colour[m]}"/>')
            out.append(f'<text x="{left + width + 4:.1f}" y="{y + i * bar + 8}" '
                       f'font-size="9">{ratio:.2f}</text>')
    x = left + scale
    out.append(f'<line x1="{x}" y1="{top - 4}" x2="{x}" y2="{total - 16}" stroke="black"/>')
    return out + ["</svg>"]


def write(path, text):
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(path + ".new", path)


def make_report(directory):
    rows, warnings = read_logs(directory)
    if not rows:
        sys.exit("report.py: no figures")
    figures = Figures(rows)
    body = ",\n".join(json.dumps(r) for r in rows)
    write(f"{directory}/latest.json", f"[\n{body}\n]\n")
    write(f"{directory}/latest.svg", "\n".join(chart(figures)) + "\n")
    print_table(figures, warnings)
    write(f"{directory}/verdict", f"{len(rows)} figures, {len(warnings)} warnings, "
          f"marks: {figures.marks_summary()}\n")


def case_rows():
    yield ["case", "what"]
    listed = subprocess.run([LIST, "--list"], capture_output=True, text=True, check=True)
    for text in listed.stdout.splitlines():
        yield text.split(None, 1)


def fill_docs(path, directory):
    with open(f"{directory}/latest.json", encoding="utf-8") as f:
        figures = Figures(json.load(f))
    tables = {"figures": figures.rows, "host": figures.host_rows, "cases": case_rows,
              "marks": figures.mark_rows, "counts": figures.count_rows, "costs": figures.cost_rows}
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for name, rows in tables.items():
        body = "\n".join(rst_table(rows()))
        text, found = re.subn(rf"(\.\. bench {name}\n).*?(\.\. end\n)",
                              lambda m, b=body: f"{m[1]}\n{b}\n\n{m[2]}", text, flags=re.S)
        if found != 1:
            sys.exit(f"report.py: {path} has no place for '{name}'")
    write(path, text)


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "--docs":
        fill_docs(sys.argv[2], sys.argv[3])
    elif len(sys.argv) == 2:
        make_report(sys.argv[1])
    else:
        sys.exit(__doc__)
