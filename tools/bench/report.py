#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0
"""What lodge-bench has printed, made readable.

usage: report.py DIR          of DIR/MITIGATIONS.log make DIR/latest.json and
                              DIR/latest.svg, and print a table; DIR/verdict is
                              one line of it
       report.py --docs FILE DIR  put the tables of DIR into the .rst FILE,
                              between the comments ".. bench NAME" and ".. end"
"""

import itertools
import json
import os
import subprocess
import sys
from html import escape

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../build"))
import rst  # noqa: E402  (of tools/build)

SETTINGS = ("off", "default")     # of mitigations, in the order of the columns
# The logs, and the mitigations of each.
LOGS = {"off": "off", "default": "default", "counts": "default"}

# What is counted costs in cycles: an estimate, the least and the most to expect, and where
# that comes from: the two tables as a survey quotes them. No CPU was measured for it here.
AA = "Adams, Agesen (ASPLOS 2006), table 1"
COSTS = {
    "exits": (1000, 800, 2100, "exit and entry. Exit: 531 on Broadwell (Bugnion, Nieh, Tsafrir, "
             "Hardware and Software Support for Virtualization, 2017, table 4.3); entry: in "
             f"the proportion of Core 2, 937 to 1186 ({AA}), whose sum is the most"),
    "vmread": (50, 20, 52, f"52 on Core 2 ({AA}), the most; the least is assumed"),
    "vmwrite": (45, 20, 45, f"44 on Core 2 ({AA}), the most; the least is assumed"),
    "read_msr": (40, 30, 100, "assumed: no measurement found that can be checked"),
    "write_msr": (150, 50, 300, "assumed; serializing, but for a few MSRs (SDM 3A, Serializing "
                  "Instructions)"),
    "invept": (200, 100, 600, "assumed; serializing (the same)"),
    "invvpid": (200, 100, 600, "assumed; serializing (the same)"),
    "other": (0.5, 0.3, 1, "any other instruction: assumed, caches warm; VERW, IRET, MOV CR "
              "and the like are among them"),
}
# Of each cost one, to see how far a ratio can move.
CORNERS = [dict(zip(COSTS, corner))
           for corner in itertools.product(*(cost[1:3] for cost in COSTS.values()))]
SERIALIZING = ("write_msr", "invept", "invvpid")
BACKENDS = ("lodge", "kvm")
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
    (("ioeventfd_pio",), "off", 500, "ticks"),
    (("ioeventfd_mmio",), "off", 500, "ticks"),
    (("ioeventfd_mmio_match",), "off", 850, "ticks"),
    (("irqfd_halt",), "off", 0.7, "x KVM"),
    (("ept_4k_write",), "off", 900, "ticks"),
    (("ept_4k_sequential",), "off", 160, "ticks"),
    (("ept_4k_fresh_write", "host_fault_4k"), "off", 700, "ticks"),
    (("ept_2m_write",), "off", 1200, "ticks"),
    *(((case,), "default", 0.35, "x KVM") for case in HANDLED),
    *(((case,), "default", 0.80, "x KVM") for case in TO_PROGRAM),
    (("vm_life",), "default", 0.5, "x KVM"),
    (("mem_idle_vm",), "default", 0.5, "x KVM"),
    (("boot", "boot_guest"), "off", 60e6, "ticks"),
    (("boot_exits", "boot_exits_timer", "boot_exits_interrupt", "boot_exits_arming"), "off",
     3000, "exits"),
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

    def cycles(self, case, backend, costs):
        """Of one operation, at @costs; None if it was not both timed and counted."""
        ticks = self.value.get((case, backend, "default"))
        counts = {what: self.count(case, backend, what) for what in costs if what != "other"}
        if ticks is None or None in counts.values():
            return None
        other = ticks - sum(counts.values())
        return sum(costs[what] * n for what, n in counts.items()) + costs["other"] * other

    def estimate_rows(self):
        yield ["cycles, estimated", "lodge", "KVM", "ratio", "at least", "at most"]
        usual = {what: cost[0] for what, cost in COSTS.items()}
        for case in self.counted:
            both = [self.cycles(case, backend, usual) for backend in BACKENDS]
            texts = ["-" if v is None else f"{round(v, -1):.0f}" for v in both]
            if None in both or not all(both):
                yield [case] + texts + ["-"] * 3
                continue
            ratios = [self.cycles(case, "lodge", c) / self.cycles(case, "kvm", c)
                      for c in CORNERS]
            yield [case] + texts + [
                f"{r:.2f}" for r in (both[0] / both[1], min(ratios), max(ratios))]

    def count_rows(self):
        """Two rows for each case."""
        names = ("exits", "vmread", "vmwrite", "read_msr", "write_msr", "l1d_flush")
        yield ["counted", "on", "exits", "VMREAD", "VMWRITE", "RDMSR", "WRMSR", "L1D flush",
               "serializing"]
        for case, backend in itertools.product(self.counted, BACKENDS):
            values = [self.count(case, backend, w) for w in names]
            serial = [self.count(case, backend, w) for w in SERIALIZING]
            values.append(None if None in serial else sum(serial))
            yield [case, backend] + ["-" if v is None else f"{v:.1f}" for v in values]

    @staticmethod
    def cost_rows():
        yield ["what", "cycles", "least", "most", "from"]
        for what, (*cycles, source) in COSTS.items():
            yield [what] + [f"{c:g}" for c in cycles] + [source]

    def host_rows(self):
        yield (["the host alone", "unit"] +
               [h for _ in self.settings for h in ("host", "lodge / host", "KVM / host")])
        for case in self.host:
            yield [case, self.unit[case]] + [
                t for m in self.settings
                for t in (self.text(case, "host", m), self.ratio_text(case, m, "lodge", "host"),
                          self.ratio_text(case, m, "kvm", "host"))]


def titled(rows, title=None):
    rows = list(rows)
    if len(rows) < 2:
        return []
    return ([title] if title else []) + rst.plain_table(rows, 2) + [""]


def print_table(figures, warnings):
    heads = "; ".join(f"mitigations={m}" for m in figures.settings)
    for text in titled(figures.rows(), f"The three columns each of: {heads}") + \
            titled(figures.host_rows()) + \
            titled(figures.count_rows(), "For each operation, default mitigations:") + \
            titled(figures.estimate_rows()):
        print(text)
    print("ratio: lodge / KVM, less is better")
    for warning in warnings:
        print(f"! {warning}")
    print()
    for text in titled(figures.mark_rows()):
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


def make_report(directory):
    rows, warnings = read_logs(directory)
    if not rows:
        sys.exit("report.py: no figures")
    figures = Figures(rows)
    body = ",\n".join(json.dumps(r) for r in rows)
    rst.write(f"{directory}/latest.json", f"[\n{body}\n]\n")
    rst.write(f"{directory}/latest.svg", "\n".join(chart(figures)) + "\n")
    print_table(figures, warnings)
    rst.write(f"{directory}/verdict", f"{len(rows)} figures, {len(warnings)} warnings, "
          f"marks: {figures.marks_summary()}\n")


def case_rows():
    yield ["case", "what"]
    listed = subprocess.run([LIST, "--list"], capture_output=True, text=True, check=True)
    for text in listed.stdout.splitlines():
        yield text.split(None, 1)


# How many columns of the tables are text; the others are figures.
LEFT = {"cases": 2, "counts": 2, "costs": 5, "figures": 2, "host": 2, "marks": 2}


def fill_docs(path, directory):
    with open(f"{directory}/latest.json", encoding="utf-8") as f:
        figures = Figures(json.load(f))
    tables = {"figures": figures.rows, "host": figures.host_rows, "cases": case_rows,
              "marks": figures.mark_rows, "counts": figures.count_rows,
              "estimates": figures.estimate_rows, "costs": figures.cost_rows}
    rst.fill(path, "bench", {name: rst.rst_table(rows(), LEFT.get(name, 1))
                             for name, rows in tables.items()})


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "--docs":
        fill_docs(sys.argv[2], sys.argv[3])
    elif len(sys.argv) == 2:
        make_report(sys.argv[1])
    else:
        sys.exit(__doc__)
