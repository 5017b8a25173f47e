#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""layers - the plan of the house, tools/layers.txt, is kept.

A file may include what its layer may, and touch outside things only where the
plan gives them a room.  Includes are resolved as the compiler does, so a file
is judged by where it lies, however it was named.
"""
import collections
import pathlib
import re
import sys

import tree

PLAN = pathlib.Path("tools/layers.txt")
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|(<[^>]+>))')
ROOTS = ("include", "src", "guest/lib", "guest/python", ".")
TEST_TOOLS = ("<cbor.h>", "signal()", "sigaction()", "chdir()", "setenv()",
              "printf()", "fprintf()", "exit()", "setrlimit()", "prlimit()")

Plan = collections.namedtuple("Plan", "folder below rooms")


def plan_bad(number, text):
    print(f"{PLAN}:{number}: {text}")
    sys.exit(1)


def read_plan():
    plan = Plan({}, {}, collections.defaultdict(set))
    for number, line in enumerate(PLAN.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        head, colon, rest = line.partition(":")
        words = head.split()
        if not colon or len(words) < 2 or words[0] not in ("layer", "only"):
            plan_bad(number, "say 'layer NAME FOLDER: ...' or 'only NAME: ...'")
        if words[0] == "only":
            for thing in rest.split():
                plan.rooms[thing].update(words[1:])
            continue
        for below in rest.split():
            if below not in plan.below:
                plan_bad(number, f"{words[1]} stands on {below}, which is not "
                         "a layer above this line")
        plan.folder[words[2].rstrip("/")] = words[1]
        plan.below[words[1]] = set(rest.split())
    return plan


def layer_of(plan, path):
    """The layer of a file: that of the longest folder around it."""
    for folder in path.parents:
        if str(folder) in plan.folder:
            return plan.folder[str(folder)]
    return None


def resolve(path, name):
    """The file of the tree that an include means, or None."""
    for root in (path.parent, *map(pathlib.Path, ROOTS)):
        found = root / name
        if found.is_file():
            clean = []
            for part in found.parts:
                if part == ".." and clean:
                    clean.pop()
                else:
                    clean.append(part)
            return pathlib.Path(*clean)
    return None


def check_outside(plan, faults, path, home, number, thing):
    rooms = plan.rooms.get(thing)
    if rooms is None or home in rooms or home == "tests":
        return
    if path.name.endswith("_test.c") and thing in TEST_TOOLS:
        return
    faults.add(path, number, f"{thing} belongs to {' and '.join(sorted(rooms))}"
               f", not to {home}: ask that room instead")


def check_includes(plan, faults, path, home, number, line):
    match = INCLUDE.match(line)
    if not match:
        return
    if match[2]:
        check_outside(plan, faults, path, home, number, match[2])
    found = resolve(path, match[1] or match[2].strip("<>"))
    if found is None:
        return  # a header of the system; the compiler knows better
    layer = layer_of(plan, found)
    may = plan.below[home] | {home}
    if path.name.endswith("_test.c"):
        may |= {"tests"}
    if layer not in may:
        faults.add(path, number, f"{home} may not include {layer} "
                   f"({found}): move the code down or the call up")


def main():
    tree.arguments(__doc__)
    plan = read_plan()
    faults = tree.Faults("layers")
    words = {thing.removesuffix("()"): thing for thing in plan.rooms
             if not thing.startswith("<")}
    calls = re.compile(
        r"(?<![\w.>])(" + "|".join(map(re.escape, words)) + r")\b(\s*\()?")
    looked_at = 0
    for path in tree.files(".c", ".h"):
        home = layer_of(plan, path)
        looked_at += 1
        if home is None:
            faults.add(path, 1, "lies in no layer of tools/layers.txt: "
                       "give its folder one")
            continue
        text = path.read_text()
        for number, line in enumerate(text.splitlines(), 1):
            check_includes(plan, faults, path, home, number, line)
        for number, line in enumerate(tree.bare(text).splitlines(), 1):
            for word, call in calls.findall(line):
                thing = words[word]
                if call or not thing.endswith("()"):
                    check_outside(plan, faults, path, home, number, thing)
    faults.leave(looked_at)


if __name__ == "__main__":
    main()
