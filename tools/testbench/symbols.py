# SPDX-License-Identifier: GPL-2.0
"""Names for kernel addresses, to tell where a host that hangs is.

The kernel's names come from its System.map, if there is one (a stock Debian
kernel has none); lodge's from the symbol table of lodge.ko, and from where
init.c saw the module's sections loaded.
"""

import bisect
import re
import subprocess

KERNEL_ADDRESS = re.compile(r"(?<![0-9a-f])ffffffff[0-9a-f]{8}(?![0-9a-f])")
# the way Bochs writes stack words and registers
SPLIT_ADDRESS = re.compile(r"\bffffffff_([0-9a-f]{8})\b|0xffffffff:0x([0-9a-f]{8})\b")
MAX_FUNCTION = 1 << 16


class Symbols:
    def __init__(self, system_map, module, sections):
        self.table = []
        self.read_map(system_map)
        self.read_module(module, sections)
        self.table.sort()

    def read_map(self, path):
        try:
            with open(path, encoding="ascii") as f:
                lines = [line.split() for line in f]
        except OSError:
            return
        self.table += [(int(word[0], 16), word[2]) for word in lines
                       if len(word) == 3 and word[1] in "tTwW"]

    def read_module(self, path, sections):
        """sections: lines of "NAME ADDRESS"."""
        base = dict(line.split() for line in sections.splitlines())
        if not base:
            return
        # VALUE FLAGS F SECTION SIZE NAME
        listing = subprocess.run(["objdump", "-tw", path], text=True, check=False,
                                 capture_output=True).stdout
        for line in listing.splitlines():
            words = line.split()
            if len(words) < 5 or "F" not in words or words[-3] not in base:
                continue
            address = int(words[0], 16) + int(base[words[-3]], 16)
            self.table.append((address, f"{words[-1]} [lodge]"))

    def name(self, address):
        i = bisect.bisect_right(self.table, (address, "\x7f")) - 1
        if i < 0 or address - self.table[i][0] > MAX_FUNCTION:
            return None
        base, name = self.table[i]
        symbol, _, module = name.partition(" ")
        return f"{symbol}+{address - base:#x} {module}".rstrip()

    def annotate(self, line):
        """The line, with the name of the kernel address in it, if any."""
        found = KERNEL_ADDRESS.findall(line)
        found += ["ffffffff" + "".join(m) for m in SPLIT_ADDRESS.findall(line)]
        names = filter(None, (self.name(int(a, 16)) for a in found))
        return "  ".join([line.replace(" (<unknown>)", ""), *names])
