# SPDX-License-Identifier: Apache-2.0
"""tree - what the checkers share: which files there are, and how to complain.

Each checker takes --root FOLDER, so that it can be tried on a tree made for a
test.  It prints "file:line: what is wrong; what to do" and exits with 1.
"""
import argparse
import os
import pathlib
import re
import sys

C_FOLDERS = ("include", "src", "guest", "cli", "bench", "tests", "examples")
# Prefixes of folders to leave out.
NOT_OURS = ("build", "__pycache__", "node_modules", ".")


def arguments(text, **flags):
    """Parse the command line; flags are names of switches and their help."""
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    here = pathlib.Path(__file__).resolve().parent.parent
    parser.add_argument("--root", type=pathlib.Path, default=here,
                        help="the tree to look at")
    for name, explanation in flags.items():
        parser.add_argument("--" + name, action="store_true",
                            help=explanation)
    found = parser.parse_args()
    os.chdir(found.root)
    return found


def files(*endings, folders=C_FOLDERS):
    """Files below these folders with one of these endings, sorted."""
    for folder in folders:
        for base, below, names in os.walk(folder):
            below[:] = sorted(d for d in below if not d.startswith(NOT_OURS))
            for name in sorted(names):
                if name.endswith(endings):
                    yield pathlib.Path(base, name)


def bare(text):
    """C without its comments and strings, line by line as it was."""
    pattern = re.compile(
        r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|' r"'(?:\\.|[^'\\\n])*'",
        re.S)

    def blank(match):
        return re.sub(r"[^\n]", " ", match[0])

    return pattern.sub(blank, text)


class Faults:
    """Collects complaints; leave() ends the program with the verdict."""

    def __init__(self, tool):
        self.tool = tool
        self.lines = []

    def add(self, path, line, text):
        self.lines.append(f"{path}:{line}: {text}")

    def leave(self, looked_at):
        for line in self.lines:
            print(line)
        if not looked_at:
            self.lines.append("")
            print(f"{self.tool}: nothing to look at; is --root right?")
        if self.lines:
            sys.exit(1)
        print(f"{self.tool}: {looked_at} looked at, all well")
