#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""copyhound - counts the large copies in the code that every call runs.

Messages are handed over where they lie.  So each memcpy or memmove of more
than 64 bytes (a descriptor), or of a length that is only known at run time,
must have a reason.  How many a file has stands in tools/copies.txt, and may
only fall.

The compiler knows best what is copied: a struct assignment is a copy too.  The
files are compiled here so that every copy above 64 bytes stays a call, and the
calls are counted in the object code.  That is a matter of gcc for x86-64; the
check is skipped elsewhere.
"""
import collections
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

import tree
from ratchet import Ratchet

COPIES = "tools/copies.txt"
SKIPPED = 77
# The tuning for this old processor moves up to 64 bytes in registers, never
# more; the strategy makes a call of all the rest.
FLAGS = ("-std=gnu11 -D_GNU_SOURCE -O2 -g -Iinclude -Isrc -U_FORTIFY_SOURCE "
         "-mtune=k8 -mmemcpy-strategy=libcall:-1:noalign -w").split()
CALL = re.compile(r"R_X86_64_\w+\s+(__)?(memcpy|memmove|mempcpy)\b")
PLACE = re.compile(r"^(/\S+):(\d+)(?: \(.*)?$")


# Files on disk: no call waits for them.
OFF_THE_PATH = ("_test.c", "template_file.c")


def call_path():
    """src/channel and the core of src/sandbox: no tests, no backends."""
    for folder in ("src/channel", "src/sandbox"):
        for path in sorted(pathlib.Path(folder).glob("*.c")):
            if not path.name.endswith(OFF_THE_PATH):
                yield path


def copies(path):
    """The lines of a file at which it copies; None when it is no C."""
    with tempfile.NamedTemporaryFile(suffix=".o") as out:
        cc = subprocess.run(["gcc", *FLAGS, "-c", str(path), "-o", out.name],
                            text=True, capture_output=True, check=False)
        if cc.returncode != 0:
            return None
        said = subprocess.run(["objdump", "-drl", "--no-show-raw-insn",
                               out.name], text=True, capture_output=True,
                              check=True).stdout
    found, place = [], f"{path}:1"
    for line in said.splitlines():
        if match := PLACE.match(line):
            name = pathlib.Path(match[1])
            here = pathlib.Path.cwd()
            if name.is_relative_to(here):
                name = name.relative_to(here)
            place = f"{name}:{match[2]}"
        elif CALL.search(line):
            found.append(place)
    return found


def main():
    arguments = tree.arguments(
        __doc__, lower="take what has fallen over into " + COPIES)
    if platform.machine() != "x86_64" or not shutil.which("gcc"):
        print("copyhound: only gcc for x86-64 can count for this check")
        sys.exit(SKIPPED)
    faults = tree.Faults("copyhound")
    ratchet = Ratchet(COPIES)
    looked_at, total = 0, collections.Counter()
    for path in call_path():
        looked_at += 1
        found = copies(path)
        if found is None:
            faults.add(path, 1, "does not compile: compile it first")
            continue
        total[path] = len(found)
        over = ratchet.measure(str(path), len(found), 0)
        if over is None:
            continue
        for place in found:
            name, line = place.rsplit(":", 1)
            faults.add(name, line, f"a large copy; {path} has {len(found)}, "
                       f"{over} are allowed: hand the bytes over where they "
                       "lie")
    if arguments.lower:
        ratchet.lower()
    else:
        ratchet.stale(faults)
    faults.leave(looked_at)


if __name__ == "__main__":
    main()
