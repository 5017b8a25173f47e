#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""headers - each header compiles alone, in every language that may include it.

All of them in C; the public ones also in C++17, as an embedder would; those of
abi/ also freestanding in both, with nothing but the public folder to look in.
"""
import concurrent.futures
import os
import re
import subprocess
import sys

import tree

STRICT = ("-Wall -Wextra -Werror -Wconversion -Wcast-qual -Wpointer-arith "
          "-Wwrite-strings").split()
C_ONLY = ("-std=gnu11 -Wshadow -Wmissing-prototypes "
          "-Wstrict-prototypes").split()
OURS = ("-D_GNU_SOURCE -Iinclude -Isrc -Iguest/lib -Iguest/python "
        "-Iguest/js -Iguest/js/engine -I.").split()
MADE = "-isystem build/guest/js".split()  # by the build: the engine's own


def flags_of(packages):
    """pkg-config's flags, or none where the package is not installed."""
    run = subprocess.run(["pkg-config", "--cflags", *packages], text=True,
                         capture_output=True, check=False)
    return [flag.replace("-I", "-isystem", 1) for flag in run.stdout.split()]


def jobs(path, python):
    """The ways in which a header is compiled: (what it is, command)."""
    cc, cxx = os.environ.get("CC", "gcc"), os.environ.get("CXX", "g++")
    name = str(path)
    c = [cc, "-fsyntax-only", *STRICT, *C_ONLY]
    cplus = [cxx, "-fsyntax-only", *STRICT, "-std=c++17"]
    if not name.startswith("include/"):
        extra = (python if name.startswith("guest/python/") else
                 MADE if name.startswith("guest/js/") else [])
        yield "C", [*c, *OURS, *extra, "-x", "c", "-"]
        return
    yield "C", [*c, "-Iinclude", "-x", "c", "-"]
    yield "C++17", [*cplus, "-Iinclude", "-x", "c++", "-"]
    if "/abi/" in name:
        bare = ["-ffreestanding", "-nostdlib", "-Iinclude"]
        yield "freestanding C", [*c, *bare, "-x", "c", "-"]
        yield "freestanding C++17", [*cplus, *bare, "-x", "c++", "-"]


def compile_one(job):
    path, kind, command = job
    # Twice: the guard must hold.
    text = f'#include "{path.absolute()}"\n' * 2
    run = subprocess.run(command, input=text, text=True, capture_output=True,
                         check=False)
    return path, kind, run.returncode, run.stderr


def main():
    tree.arguments(__doc__)
    faults = tree.Faults("headers")
    python = flags_of(["python-3.11-embed"])
    paths = [p for p in tree.files(".h", folders=("include", "src", "guest"))]
    work = [(p, kind, command) for p in paths
            for kind, command in jobs(p, python)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, kind, rc, said in pool.map(compile_one, work):
            if rc == 0:
                continue
            where = re.search(rf"{re.escape(path.name)}:(\d+):.*error: (.*)",
                              said)
            line, text = where.groups() if where else (1, said.strip())
            faults.add(path, line, f"does not compile alone as {kind}: {text}; "
                       "include what it uses")
    faults.leave(len(paths))


if __name__ == "__main__":
    main()
