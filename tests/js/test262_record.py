# SPDX-License-Identifier: Apache-2.0
"""test262_record - what passed, and what test262.txt says of it."""
import collections

HEAD = """\
# test262 of 2020.  Written by test262_test.py --record; the kinds of failures
# are ours, and are kept.
#
# A folder, how many of its tests ran, and how many passed:
"""

KINDS = """
# Those that fail, and the kind:
#   v8      V8 (Node 20) fails it, too: most ask for an older standard
#   old     it asks for what the standard no longer says; V8 was slower there
#   eval    it asks for variables of a global script, and is evaluated
#   engine  QuickJS is wrong
#   new     nobody has looked yet
"""


def row(path):
    """Where it is counted: three levels at most."""
    return "/".join(path.split("/")[:-1][:3])


class Result:
    def __init__(self):
        self.rows = {}     # row: [ran, passed]
        self.failed = {}   # path: [how]
        self.skipped = {}  # path: why

    def add(self, path, failed, why):
        if why:
            self.skipped[path] = why
            return
        counts = self.rows.setdefault(row(path), [0, 0])
        counts[0] += 1
        counts[1] += not failed
        if failed:
            self.failed[path] = failed

    def ran(self):
        return sum(ran for ran, _ in self.rows.values())

    def passed(self):
        return sum(passed for _, passed in self.rows.values())


class Record:
    def __init__(self, path):
        self.path = path
        self.rows = {}   # row: [ran, passed]
        self.kinds = {}  # path: kind
        if not path.exists():
            return
        for line in path.read_text().splitlines():
            words = line.split()
            if not words or words[0] == "#":
                continue
            if len(words) == 3:
                self.rows[words[0]] = [int(words[1]), int(words[2])]
            else:
                self.kinds[words[1]] = words[0]

    def compare(self, result, is_whole):
        """{what: a line} of all that is worse than recorded."""
        faults = {path: f"not ok - {path} fails, and is not recorded"
                  for path in sorted(result.failed) if path not in self.kinds}
        for name, (_, passed) in self.rows.items() if is_whole else ():
            now = result.rows.get(name, [0, 0])[1]
            if now < passed:
                faults[name] = f"not ok - {name}: {now} pass, {passed} did"
        return faults

    def write(self, result):
        kinds = {path: self.kinds.get(path, "new") for path in result.failed}
        reasons = collections.Counter(result.skipped.values())
        with open(self.path, "w") as out:
            out.write(HEAD)
            for name, (ran, passed) in sorted(result.rows.items()):
                print(name, ran, passed, file=out)
            print(f"\n# In all {result.passed()} of {result.ran()}.  Not asked:",
                  file=out)
            for why, count in sorted(reasons.items()):
                print(f"#   {count} {why}", file=out)
            out.write(KINDS)
            for path, kind in sorted(kinds.items(), key=lambda one: one[::-1]):
                print(kind, path, file=out)
