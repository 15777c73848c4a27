#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Run Bochs on a prepared directory, and tell how the emulated host fared.

usage: run.py [--timeout SECONDS] [--log FILE] [--interactive] [--reboots N] DIR

The last step of `emu`.  It starts the emulator on DIR/bochsrc, takes init.c's
frames out of what the emulator prints, sends the command's output on, keeps
the kernel's log, and ends the emulator whatever happens.  DIR is removed at
the end, but for the logs of a run that failed.
"""

import math
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
import tty

from symbols import Symbols

# emu's exit codes beside the command's own; emu --help tells about them
SETUP, BAD_REPORT, DIED, HANG, NO_MODULE = 201, 202, 203, 204, 205
MAX_STATUS = 199

TAIL = 40               # lines of a log shown
KILL_KEY = b"\x1d"      # Ctrl-]
GRACE = 10              # seconds a host may take to end after its last words

# A report in the kernel's log that makes the run a failure
BAD = re.compile(
    r"Kernel panic|BUG:|kernel BUG at|WARNING:|Oops:|: [0-9a-f]{4} \[#\d+\]|"
    r"soft lockup|hard LOCKUP|INFO: task .* blocked for|INFO: rcu|"
    r"rcu:.*(stall|detected)|KASAN:|KFENCE:|UBSAN:|ODEBUG:|refcount_t:|"
    r"INFO: lockdep|INFO: trying to register non-static key|"
    r"possible (recursive|circular) locking|inconsistent lock state|"
    r"list_(add|del) corruption|kmemleak: \d+ new suspected")
# These end the host soon, or never: no use waiting for the command.
FATAL = re.compile(
    r"Kernel panic|soft lockup|hard LOCKUP|rcu:.*(stall|detected)")
# Reports of the host kernel's own that mean nothing; found within its lines
ALLOWED = re.compile(r"detect_ht")
REPORT_END = re.compile(r"end trace|={20,}")
REPORT_LINES = 60
# What Bochs prints of itself
CHATTER = re.compile(
    r"\d+i\[|\d+e\[SIM|=====|\(\d+\)\.\[0\]|Next at t=|<bochs:|  +Bochs x86|"
    r"  +Built from|  +Timestamp|Bochs is exiting")
# The first line of a kernel's log
BOOT = re.compile(r"\] Linux version ")
STAMP = re.compile(r"^\[ *(\d+\.\d+)\]")


def say(text):
    sys.stderr.write(f"emu: {text}\n")
    sys.stderr.flush()


def write_all(fd, data):
    while data:
        try:
            data = data[os.write(fd, data):]
        except BlockingIOError:
            select.select([], [fd], [])


def has_debugger(bochs):
    if bochs == "bochs-bin":
        return True
    try:
        run = subprocess.run([bochs, "--help"], capture_output=True, text=True,
                             stdin=subprocess.DEVNULL, check=False)
    except OSError:
        return False    # starting it will tell
    return "-rc " in run.stdout + run.stderr


class Killed(Exception):
    """A signal asked this process to end."""


class Frames:
    """Takes frames out of a byte stream; what is between them is noise."""

    def __init__(self, nonce, on_frame, on_noise):
        self.nonce = nonce
        self.on_frame = on_frame
        self.on_noise = on_noise
        self.buffer = b""
        self.kind = None
        self.left = 0

    def feed(self, data):
        self.buffer += data
        while self.buffer:
            keep = len(self.nonce) - 1
            if self.left:
                part = self.buffer[:self.left]
                cut = part.find(self.nonce)
                if cut >= 0:
                    # the host was reset in the middle of a frame
                    part = part[:cut]
                    self.left = 0
                elif len(part) < self.left:
                    part = part[:-keep]     # may be the beginning of a nonce
                    if not part:
                        return
                    self.left -= len(part)
                else:
                    self.left = 0
                self.buffer = self.buffer[len(part):]
                self.on_frame(self.kind, part, self.left == 0, cut >= 0)
                continue
            at = self.buffer.find(self.nonce)
            if at < 0:
                self.on_noise(self.buffer[:-keep])
                self.buffer = self.buffer[-keep:]
                return
            self.on_noise(self.buffer[:at])
            self.buffer = self.buffer[at:]
            head = len(self.nonce) + 3
            if len(self.buffer) < head:
                return
            self.kind = chr(self.buffer[head - 3])
            self.left = int.from_bytes(self.buffer[head - 2:head], "little")
            self.buffer = self.buffer[head:]


class Host:
    def __init__(self, directory, timeout, log, interactive, reboots):
        self.dir = directory
        self.timeout = timeout
        self.log_path = log
        self.interactive = interactive
        self.reboots = reboots      # times the command will yet boot the host again
        self.bochs = None
        self.saved_tty = None
        self.master = -1
        self.started = []           # host's clock when init began, by boot
        self.status = None
        self.module_error = None
        self.error = None
        self.sections = ""          # where the module's sections are
        self.text = {}              # frames of few bytes, while they come
        self.ended_at = None        # when we learnt that the end is near
        self.kill_key = False
        self.serial_seen = 0        # bytes of the console looked at
        self.serial_start = 0       # where the last boot's begin
        self.kernel_log = open(f"{directory}/kernel.log", "wb", buffering=0)
        self.noise = open(f"{directory}/bochs.out", "wb", buffering=0)
        with open(f"{directory}/nonce", "rb") as f:
            self.frames = Frames(f.read(), self.on_frame, self.noise.write)
        self.begin = time.monotonic()

    def path(self, name):
        return f"{self.dir}/{name}"

    def read(self, name):
        try:
            with open(self.path(name), "rb") as f:
                return f.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    # -- what the host says

    def on_frame(self, kind, data, last, cut):
        if kind == "o":
            write_all(1, data)
            return
        if kind == "k":
            self.kernel_log.write(data)
            return
        self.text[kind] = self.text.get(kind, b"") + data
        if not last:
            return
        text = self.text.pop(kind).decode(errors="replace")
        if cut:
            return
        if kind == "b":
            self.on_boot(float(text))
        elif kind == "a":
            self.sections = text
        elif kind == "m":
            self.module_error = text
        elif kind == "e":
            self.error = text
        elif kind == "s":
            self.status = int(text)
        else:
            say(f"frame of unknown type {kind!r}")
        if kind in "mes":
            self.ended_at = time.monotonic()

    def on_boot(self, clock):
        if not self.started:
            # Nothing big stays if we are killed; the emulator has it open.
            os.unlink(self.path("disk.img"))
        elif self.reboots:
            self.reboots -= 1
            self.serial_start = self.serial_size()
        else:
            self.error = "it was reset and has booted again"
            self.ended_at = time.monotonic()
        self.started.append(clock)

    # -- running

    def start(self):
        command = []
        # Debian's Bochs has no display that shows nothing.  The one we use
        # is a VNC server: give it a network of its own, where nobody is.
        if os.geteuid() == 0:
            command += ["unshare", "-n"]
        else:
            command += ["unshare", "-rn"]
        bochs = os.environ.get("BOCHS") or "bochs-bin"
        command += ["setpriv", "--pdeathsig", "KILL", bochs, "-q", "-f", "bochsrc"]
        if has_debugger(bochs):
            # it waits for orders: the file says "continue"
            command += ["-rc", "debugger.rc"]
        extra = []
        if self.interactive:
            self.master, slave = pty.openpty()
            tty.setraw(slave)
            name = os.ttyname(slave)
            extra = [f"com2: enabled=1, mode=term, dev={name}"]
            self.slave = slave      # keep it open: Bochs opens it by name
        self.bochs = subprocess.Popen(
            command + extra, cwd=self.dir, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True)

    def take_terminal(self):
        self.saved_tty = termios.tcgetattr(0)
        tty.setraw(0)

    def restore_terminal(self):
        if self.saved_tty:
            termios.tcsetattr(0, termios.TCSAFLUSH, self.saved_tty)
            self.saved_tty = None

    def serial_size(self):
        try:
            return os.path.getsize(self.path("serial.log"))
        except FileNotFoundError:
            return 0

    def watch_serial(self):
        """Has the console told of something that ends the host?"""
        size = self.serial_size()
        if size == self.serial_seen:
            return False
        self.serial_seen = size
        # A host that shall boot again may do so by a panic.
        return not self.reboots and \
            bool(FATAL.search(self.read("serial.log"), self.serial_start))

    def loop(self):
        out = self.bochs.stdout.fileno()
        next_look = 0
        watched = [out]
        if self.interactive:
            watched += [0, self.master]
            self.take_terminal()
        while True:
            now = time.monotonic()
            if self.ended_at is None and now - self.begin > self.timeout:
                self.where()
                return HANG
            if self.ended_at is not None and now - self.ended_at > GRACE:
                return None
            ready, _, _ = select.select(watched, [], [], 0.5)
            if out in ready:
                data = os.read(out, 1 << 16)
                if not data:
                    return None
                self.frames.feed(data)
            if self.interactive and self.master in ready:
                write_all(1, os.read(self.master, 1 << 16))
            if self.interactive and 0 in ready:
                data = os.read(0, 1 << 12)
                if not data or KILL_KEY in data:
                    self.kill_key = True
                    return None
                write_all(self.master, data)
            if now >= next_look:
                next_look = now + 1
                if self.ended_at is None and self.watch_serial():
                    self.ended_at = now

    def where(self):
        """Ask Bochs' debugger where each CPU is; the answer goes to its log."""
        try:
            os.kill(self.bochs.pid, signal.SIGINT)
            self.bochs.stdin.write(b"r\nprint-stack 24\nq\n")
            self.bochs.stdin.flush()
            end = time.monotonic() + 5
            while time.monotonic() < end:
                if not select.select([self.bochs.stdout], [], [], 1)[0]:
                    continue
                data = os.read(self.bochs.stdout.fileno(), 1 << 16)
                if not data:
                    break
                self.frames.feed(data)
        except OSError:
            pass    # a Bochs without debugger, or gone
        self.noise.write(self.frames.buffer)

    def stop(self):
        self.restore_terminal()
        if self.bochs and self.bochs.poll() is None:
            self.bochs.kill()
            self.bochs.wait()

    # -- judging

    def reports(self):
        """Bad reports since init began, as (line number, lines) of a log."""
        found = []
        lines = self.read("kernel.log").splitlines()
        if self.status is None:
            # What came after the last frame is on the console only.
            lines += [line for line in self.read("serial.log").splitlines()]
        skip = 0
        boots = iter(self.started)
        started = None
        for i, line in enumerate(lines):
            if BOOT.search(line):
                started = next(boots, None)
            if i < skip or not BAD.search(line):
                continue
            stamp = STAMP.match(line)
            if stamp and started and float(stamp[1]) < started:
                continue
            report = [line]
            for more in lines[i + 1:i + REPORT_LINES]:
                report.append(more)
                if REPORT_END.search(more):
                    break
            skip = i + len(report)
            if not ALLOWED.search("\n".join(report)):
                found.append((i, lines[max(0, i - 2):i + TAIL]))
        return found

    def ticks(self):
        """How far the emulated clock got: each line of Bochs' log begins so."""
        stamps = re.findall(r"^(\d{11,})[a-z]\[", self.read("bochs.log"), re.M)
        return max(map(int, stamps), default=0)

    def show(self, lines):
        for line in lines:
            sys.stderr.write(f"  | {line}\n")

    def where_lines(self):
        """Of the debugger's answer: where each CPU is, then what may be the
        callers on the first one's stack."""
        names = Symbols(self.path("System.map"), self.path("lodge.ko"), self.sections)
        lines = [names.annotate(line) for line in self.emulator()]
        return [line for line in lines if re.match(r"\(\d+\)\.\[\d+\]", line)] + \
            [line for line in lines if "STACK" in line and not line.endswith("]")]

    def emulator(self):
        """What Bochs said that tells anything."""
        return [line for line in self.read("bochs.out").splitlines()
                if line.strip() and not CHATTER.match(line)]

    def whole_log(self):
        """Join the logs into one file; its path, and its lines."""
        path = self.log_path or self.path("host.log")
        text = "".join(
            f"--- {title}\n{body.rstrip()}\n"
            for title, body in (
                ("kernel log", self.read("kernel.log")),
                ("serial console", self.read("serial.log")),
                ("emulator", "\n".join(self.emulator())))
            if body.strip())
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path, text.splitlines()

    def judge(self, verdict):
        path, _ = self.whole_log()
        reports = self.reports()
        serial = self.read("serial.log").splitlines()
        tail = (serial or self.read("kernel.log").splitlines())[-TAIL:]

        if verdict == HANG:
            say(f"no end after {self.timeout:.0f} seconds")
            self.show(reports[0][1] if reports else tail)
            self.show(self.where_lines())
        elif reports:
            verdict = BAD_REPORT
            say(f"the host kernel reported {len(reports)} problem(s), the first:")
            self.show(reports[0][1])
        elif self.kill_key:
            say("ended by Ctrl-]")
            verdict = 128 + signal.SIGINT
        elif self.module_error:
            say(f"the module did not load: {self.module_error}")
            self.show(self.read("kernel.log").splitlines()[-10:])
            verdict = NO_MODULE
        elif self.error:
            say(f"the host could not be set up: {self.error}")
            verdict = SETUP
        elif self.status is None and not self.ticks():
            say("the emulator did not start")
            self.show(self.emulator())
            verdict = SETUP
        elif self.status is None:
            say("the host died without a word on how the command ended")
            log = self.read("bochs.log").splitlines()
            panics = [line for line in log if re.match(r"\d+p\[", line)]
            self.show(tail + self.emulator() + panics[-5:])
            verdict = DIED
        else:
            if self.status > MAX_STATUS:
                say(f"the command's status {self.status} "
                    f"is told as {MAX_STATUS}")
            return min(self.status, MAX_STATUS)
        say(f"log: {path}")
        return verdict

    def clean(self, failed):
        """Keep the logs of a failure, nothing else."""
        if not failed or self.log_path:
            shutil.rmtree(self.dir, ignore_errors=True)
            return
        for name in os.listdir(self.dir):
            if name in ("host.log", "bochs.log", "bochsrc"):
                continue
            path = self.path(name)
            if os.path.isdir(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)


def main(argv):
    timeout, log, interactive, reboots = math.inf, None, False, 0
    while argv and argv[0].startswith("--"):
        option = argv.pop(0)
        if option == "--timeout":
            timeout = float(argv.pop(0))
        elif option == "--log":
            log = argv.pop(0)
        elif option == "--interactive":
            interactive = True
        elif option == "--reboots":
            reboots = int(argv.pop(0))
        else:
            sys.exit(__doc__)
    if len(argv) != 1:
        sys.exit(__doc__)

    def on_signal(number, _):
        raise Killed(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)

    host = Host(argv[0], timeout, log, interactive, reboots)
    try:
        host.start()
        verdict = host.loop()
        host.stop()
        seconds = time.monotonic() - host.begin
        status = host.judge(verdict)
        say(f"{host.ticks() / 1e6:.0f} Mticks, {seconds:.1f} seconds")
        host.clean(status >= SETUP)
        return status
    except Killed as killed:
        host.stop()
        host.clean(False)
        return 128 + killed.args[0]
    except BrokenPipeError:
        host.stop()
        host.clean(False)
        return 128 + signal.SIGPIPE
    finally:
        host.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
