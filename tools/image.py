# SPDX-License-Identifier: Apache-2.0
"""image - a part of this host's files as a root for a virtual machine.

    image = Image()
    image.bring("/usr/lib/python3.11")   # at the same place, with all below
    image.put("/init", text, 0o755)      # a file of our own
    image.bring_libraries()              # what the programs in it are linked to
    image.write(path)                    # for qemu's -initrd

Files keep their paths, so that what was compiled into a program stays true.
Symbolic links come with what they lead to.  Static libraries (*.a) stay out.
The archive is cpio's "newc" and not compressed: a processor that is emulated
unpacks more slowly than it reads.
"""
import os
import pathlib
import re
import stat
import subprocess

FOLDER, LINK, FILE = stat.S_IFDIR | 0o755, stat.S_IFLNK | 0o777, stat.S_IFREG
LINKED = re.compile(r"(?:=> )?(/\S+) \(0x")


def is_elf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


class Image:
    def __init__(self):
        self.entries = {}  # path without "/" in front: (mode, time, content)

    def folder(self, path):
        """A folder and those above it."""
        parts = pathlib.PurePath(path).parts[1:]
        for count in range(1, len(parts) + 1):
            self.entries.setdefault("/".join(parts[:count]), (FOLDER, 0, b""))

    def put(self, path, content, mode=0o644, time=0):
        self.folder(os.path.dirname(path))
        if isinstance(content, str):
            content = content.encode()
        self.entries[path.lstrip("/")] = (FILE | mode, time, content)

    def link(self, path, target):
        self.folder(os.path.dirname(path))
        self.entries[path.lstrip("/")] = (LINK, 0, os.fsencode(target))

    def bring(self, path):
        """A file of the host, or a folder and what is below it."""
        path = self.follow(os.path.abspath(path))
        if not os.path.isdir(path):
            self.bring_file(path)
            return
        self.folder(path)
        for base, _, names in os.walk(path):
            self.folder(base)
            for name in names:
                self.bring_file(self.follow(os.path.join(base, name)))

    def follow(self, path):
        """Take over the links on the way to a file; where they lead to."""
        place = "/"
        parts = list(pathlib.PurePath(path).parts[1:])
        while parts:
            place = os.path.join(place, parts.pop(0))
            if os.path.islink(place):
                target = os.readlink(place)
                self.link(place, target)
                whole = os.path.normpath(
                    os.path.join(os.path.dirname(place), target))
                parts = list(pathlib.PurePath(whole).parts[1:]) + parts
                place = "/"
        return place

    def bring_file(self, path):
        if path.endswith(".a") or not os.path.isfile(path):
            return
        about = os.stat(path)
        self.put(path, pathlib.Path(path), stat.S_IMODE(about.st_mode),
                 int(about.st_mtime))

    def bring_libraries(self):
        programs = [str(content) for _, _, content in self.entries.values()
                    if isinstance(content, pathlib.Path) and is_elf(content)]
        if not programs:
            return
        # It complains about static programs, and goes on.
        told = subprocess.run(["ldd", *programs], check=False, text=True,
                              capture_output=True)
        for path in sorted(set(LINKED.findall(told.stdout))):
            self.bring(path)

    def write(self, path):
        with open(path, "wb") as out:
            for number, name in enumerate(sorted(self.entries), 1):
                mode, time, content = self.entries[name]
                if isinstance(content, pathlib.Path):
                    content = content.read_bytes()
                write_entry(out, number, os.fsencode(name), mode, time,
                            content)
            write_entry(out, 0, b"TRAILER!!!", 0, 0, b"")


def write_entry(out, number, name, mode, time, content):
    """A head of 13 numbers, the name, the content, in steps of 4 bytes."""
    links = 2 if stat.S_ISDIR(mode) else 1
    numbers = (number, mode, 0, 0, links, time, len(content), 0, 0, 0, 0,
               len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % number for number in numbers)
    for part in (head + name + b"\0", content):
        out.write(part + b"\0" * (-len(part) % 4))
