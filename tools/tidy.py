#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tidy - small limits that keep the code readable.

  a function        60 lines, with its signature
  a file           500 lines
  a public header  200 lines
  a folder          10 C files, tests not counted
  a line            80 columns, no tabs, nothing left behind at its end
  each file        an SPDX line at its top, a newline at its end, no to-do

Functions, files, headers and folders that are larger stand in
tools/ratchets.txt with their size; that number may only fall.
"""
import collections
import re

import tree
from ratchet import Ratchet

RATCHETS = "tools/ratchets.txt"
FUNCTION, FILE, PUBLIC, FOLDER, COLUMNS = 60, 500, 200, 10, 80
CODE_FOLDERS = (*tree.C_FOLDERS, "tools", ".ci")
SPDX = "SPDX-License-Identifier: Apache-2.0"
LATER = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b")


def functions(lines):
    """(first line, name, lines) of each function, brace in column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
            while start > 1 and re.match(r"[\w\s]", lines[start - 2]):
                start -= 1
        elif line.startswith("}") and start is not None:
            head = " ".join(lines[start - 1:number])
            name = re.search(r"(\w+)\s*\(", head)
            yield start, name[1] if name else "?", number - start + 1
            start = None


def check_sizes(path, lines, ratchet, faults):
    public = path.parts[0] == "include"
    over = ratchet.measure(f"lines {path}", len(lines),
                           PUBLIC if public else FILE)
    if over:
        faults.add(path, len(lines), f"{len(lines)} lines, {over} are "
                   "allowed: split it by what it is about")
    if path.suffix not in (".c", ".h"):
        return
    bare = tree.bare("\n".join(lines)).splitlines()
    for first, name, count in functions([line.rstrip() for line in bare]):
        over = ratchet.measure(f"function {path} {name}", count, FUNCTION)
        if over:
            faults.add(path, first, f"{name} has {count} lines, {over} are "
                       "allowed: name a part of it")


def check_lines(path, lines, faults):
    for number, line in enumerate(lines, 1):
        if "\t" in line and path.name != "Makefile":
            faults.add(path, number, "a tab: use spaces")
        if len(line) > COLUMNS:
            faults.add(path, number, f"{len(line)} columns: break the line")
        if line != line.rstrip():
            faults.add(path, number, "white space at the end: delete it")
        if LATER.search(line):
            faults.add(path, number, "a note for later: do it, or open an "
                       "issue")


def code_files():
    ours = (".c", ".h", ".py", ".sh", ".S")
    yield from tree.files(*ours, folders=CODE_FOLDERS)
    # Scripts without an ending say what they are in their first line.
    for path in tree.files("", folders=("tools", ".ci", "tests", "bench")):
        if "." not in path.name:
            with path.open("rb") as file:
                if file.read(2) == b"#!":
                    yield path


def main():
    arguments = tree.arguments(
        __doc__, lower="take what has fallen over into " + RATCHETS)
    faults = tree.Faults("tidy")
    ratchet = Ratchet(RATCHETS)
    folders = collections.Counter()
    looked_at = 0
    for path in code_files():
        looked_at += 1
        text = path.read_text()
        lines = text.splitlines()
        # Scripts in tests/ are what users write; some are bad on purpose.
        if path.parts[0] == "tests" and path.suffix == ".py":
            continue
        if not any(SPDX in line for line in lines[:2]):
            faults.add(path, 1, f"no licence: start with '{SPDX}'")
        if text and not text.endswith("\n"):
            faults.add(path, len(lines), "no newline at the end: add it")
        check_lines(path, lines, faults)
        check_sizes(path, lines, ratchet, faults)
        if path.suffix == ".c" and not path.name.endswith("_test.c"):
            folders[path.parent] += 1
    for folder, count in sorted(folders.items()):
        over = ratchet.measure(f"files {folder}", count, FOLDER)
        if over:
            faults.add(folder, 1, f"{count} C files, {over} are allowed: "
                       "make a room of some")
    if arguments.lower:
        ratchet.lower()
    else:
        ratchet.stale(faults)
    faults.leave(looked_at)


if __name__ == "__main__":
    main()
