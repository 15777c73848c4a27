#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Make the disk that loader.S boots: a flat vmlinux and an initramfs.

usage: mkdisk.py --memory MIB --cmdline TEXT --output DISK VMLINUX CPIO...
       mkdisk.py --rom LOADER_BIN ROM        give the ROM its checksum
       mkdisk.py --extract BZIMAGE VMLINUX   take the vmlinux out of a bzImage
       mkdisk.py --release BZIMAGE           print the kernel release in it

The initramfs is the CPIO archives one after the other, which the kernel
unpacks in that order.  The disk's layout is told in loader.S.
"""

import gzip
import lzma
import os
import struct
import subprocess
import sys

SECTOR = 512
HEADER_SECTORS = 4
CMDLINE_OFFSET = 256
MAX_SEGMENTS = 16
MiB = 1 << 20
# Bochs' BIOS ends low memory here and maps the rest above 4 GiB
LOW_MEMORY_END = 3 << 30
PT_LOAD = 1


def die(message):
    sys.exit(f"mkdisk: {message}")


def align(value, to):
    return (value + to - 1) // to * to


class Elf:
    """The few fields of an x86-64 ELF executable that loading it takes."""

    def __init__(self, path):
        with open(path, "rb") as f:
            head = f.read(64)
            if head[:5] != b"\x7fELF\x02":
                die(f"{path} is no 64-bit ELF file")
            entry, phoff = struct.unpack_from("<QQ", head, 24)
            size, count = struct.unpack_from("<HH", head, 54)
            f.seek(phoff)
            table = f.read(size * count)
        self.path = path
        self.loads = []
        self.entry = entry
        for i in range(count):
            kind, _, offset, vaddr, paddr, filesz, memsz, _ = \
                struct.unpack_from("<IIQQQQQQ", table, i * size)
            if kind != PT_LOAD:
                continue
            self.loads.append((paddr, offset, filesz))
            self.end = paddr + memsz
            if vaddr <= entry < vaddr + memsz:
                self.entry = entry - vaddr + paddr
        if not self.loads:
            die(f"{path} has nothing to load")


def copy(out, path, offset, size):
    """Append part of a file to out, and pad it to a whole sector."""
    with open(path, "rb") as f:
        left = size
        while left:
            done = os.sendfile(out.fileno(), f.fileno(), offset, left)
            if not done:
                die(f"{path} is shorter than it says")
            offset += done
            left -= done
    pad = -size % SECTOR
    if pad:
        os.write(out.fileno(), bytes(pad))


def make_disk(vmlinux, archives, memory, cmdline, output):
    elf = Elf(vmlinux)
    # cpio archives are padded to 512 bytes each, which the kernel skips
    initrd_size = sum(align(os.path.getsize(a), SECTOR) for a in archives)
    # The kernel takes some memory behind its end (brk, early page tables).
    initrd = align(elf.end + 4 * MiB, 2 * MiB)
    if initrd + initrd_size > min(memory * MiB, LOW_MEMORY_END):
        die(f"an initramfs of {initrd_size // MiB} MiB does not fit "
            f"in {memory} MiB of memory (--mem)")

    pieces = [(address, [(vmlinux, offset, size)])
              for address, offset, size in elf.loads]
    pieces.append((initrd, [(a, 0, os.path.getsize(a)) for a in archives]))
    if len(pieces) > MAX_SEGMENTS:
        die(f"{vmlinux} has too many segments")

    lba = HEADER_SECTORS
    table = b""
    for address, parts in pieces:
        sectors = sum(align(size, SECTOR) for _, _, size in parts) // SECTOR
        table += struct.pack("<III", lba, sectors, address)
        lba += sectors

    head = struct.pack("<4sIIII", b"LDGE", len(pieces), elf.entry,
                       initrd, initrd_size).ljust(32, b"\0") + table
    head = head.ljust(CMDLINE_OFFSET, b"\0") + cmdline.encode() + b"\0"
    if len(head) > HEADER_SECTORS * SECTOR:
        die("the kernel command line is too long")

    with open(output, "wb", buffering=0) as out:
        out.write(head.ljust(HEADER_SECTORS * SECTOR, b"\0"))
        for _, parts in pieces:
            for part in parts:
                copy(out, *part)
        # Bochs wants whole cylinders of 16 heads and 63 sectors.
        out.truncate(align(lba * SECTOR, 16 * 63 * SECTOR))


def make_rom(binary, output):
    with open(binary, "rb") as f:
        rom = bytearray(f.read())
    if len(rom) != rom[2] * SECTOR:
        die(f"{binary} is {len(rom)} bytes, its header says {rom[2] * SECTOR}")
    rom[-1] = -sum(rom) & 0xff
    with open(output, "wb") as f:
        f.write(rom)


def read_bzimage(path):
    with open(path, "rb") as f:
        data = f.read()
    if data[0x202:0x206] != b"HdrS":
        die(f"{path} is no bzImage")
    return data


def pipe(tool):
    def decompress(data):
        # The kernel's build appends the size; these tools grumble about it.
        try:
            run = subprocess.run(tool, input=data, capture_output=True,
                                 check=False)
        except FileNotFoundError:
            die(f"this kernel needs the program '{tool[0]}' to be unpacked")
        return run.stdout
    return decompress


# Compressions by the bytes they begin with
COMPRESSIONS = [
    (b"\x7fELF", lambda data: data),
    (b"\x1f\x8b", lambda data: gzip.zlib.decompressobj(31).decompress(data)),
    (b"\xfd7zXZ\0", lambda data: lzma.LZMADecompressor().decompress(data)),
    (b"]\0\0\0", lambda data: lzma.LZMADecompressor().decompress(data)),
    (b"\x28\xb5\x2f\xfd", pipe(["zstd", "-dcq"])),
    (b"\x02\x21\x4c\x18", pipe(["lz4", "-dcq"])),
]


def extract(path, output):
    data = read_bzimage(path)
    setup_sectors = data[0x1f1] or 4
    offset, length = struct.unpack_from("<II", data, 0x248)
    offset += (setup_sectors + 1) * SECTOR
    payload = data[offset:offset + length]
    for magic, decompress in COMPRESSIONS:
        if payload.startswith(magic):
            vmlinux = decompress(payload)
            break
    else:
        die(f"{path}: unknown compression (begins with {payload[:6].hex()})")
    if not vmlinux.startswith(b"\x7fELF"):
        die(f"{path}: what is in it is no ELF file")
    with open(output, "wb") as f:
        f.write(vmlinux)


def release(path):
    data = read_bzimage(path)
    offset = 0x200 + struct.unpack_from("<H", data, 0x20e)[0]
    print(data[offset:offset + 200].split(b"\0")[0].split(b" ")[0].decode())


def main(argv):
    match argv:
        case ["--memory", memory, "--cmdline", cmdline, "--output", output,
              vmlinux, *archives] if archives:
            make_disk(vmlinux, archives, int(memory), cmdline, output)
        case ["--rom", binary, output]:
            make_rom(binary, output)
        case ["--extract", bzimage, output]:
            extract(bzimage, output)
        case ["--release", bzimage]:
            release(bzimage)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        die(error)
