#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""format - every C file looks as clang-format 14 would write it.

Checks without a flag; with --write it rewrites the files.  Other versions of
clang-format differ in details, so the check is skipped there.
"""
import shutil
import subprocess
import sys

import tree

SKIPPED = 77  # Meson's word for a test that could not run


def formatter():
    for name in ("clang-format-14", "clang-format"):
        if shutil.which(name):
            said = subprocess.run([name, "--version"], text=True,
                                  capture_output=True, check=True).stdout
            if " version 14." in said:
                return name
    return None


def main():
    arguments = tree.arguments(__doc__, write="rewrite instead of checking")
    name = formatter()
    if name is None:
        print("format: there is no clang-format 14 here")
        sys.exit(SKIPPED)
    faults = tree.Faults("format")
    paths = list(map(str, tree.files(".c", ".h")))
    if not paths:
        faults.leave(0)
    how = ["-i"] if arguments.write else ["--dry-run", "-Werror"]
    run = subprocess.run([name, *how, *paths], text=True,
                         capture_output=True, check=False)
    if run.returncode != 0:
        first = {}  # a file, and the first line that would change
        for line in run.stderr.splitlines():
            if "error:" in line:
                path, number, _ = line.split(":", 2)
                first.setdefault(path, number)
        for path, number in first.items():
            faults.add(path, number, "not as clang-format writes it, from "
                       "here on: make format")
        if not faults.lines:
            faults.add(paths[0], 1, run.stderr.strip())
    faults.leave(len(paths))


if __name__ == "__main__":
    main()
