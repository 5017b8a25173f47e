#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""WebAssembly's own test suite: what passes is recorded, and only grows.

usage: spec_test.py DRIVER SUITE [--record] [NAME...]

SUITE has the specification's NAME.wast (binaryen's copies of them, which are in
a Debian source package: tools/suites).  Each module that stands alone is compiled
and run as any other here, and each command on it is compared: values by their
bits, NaNs by their kind, traps by their cause, and what is invalid is refused.
spec.txt beside this file says what passed when it was last recorded.

Not asked: modules of the text format (we take binaries), those that import
something (only WASI is there) and what they do to others, exported globals (no
door leads to them), names with a NUL (ours end there), and values of reference
types.  What fails: an instance that trapped has ended here, so what it had
in memory before is gone (globals, memory_grow, resizing, table_grow); and the
suite is older than functions with two results (func, type, unreached-invalid).
"""
import collections
import json
import multiprocessing
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
RECORD = HERE / "spec.txt"
FORM = re.compile(r'"(?:[^"\\]|\\.)*"|;;[^\n]*|\(;.*?;\)|[()]', re.S)
# Our words for the suite's: the cause of a trap, by the beginning of its text.
TRAPS = {"out of bounds": "out of bounds", "integer divide": "divide by zero",
         "integer overflow": "overflow", "invalid conversion": "conversion",
         "unreachable": "unreachable", "call stack exhausted": "exhausted",
         "uninitialized": "indirect call", "undefined": "indirect call",
         "callIndirect": "indirect call", "indirect call": "indirect call"}
UNNAMED, REFUSED_SLOT = 62, 63


def forms(text):
    """The text's outermost forms; comments may have parentheses, too."""
    depth = start = 0
    for found in FORM.finditer(text):
        if found[0] == "(":
            start = found.start() if depth == 0 else start
            depth += 1
        elif found[0] == ")":
            depth -= 1
            if depth == 0:
                yield text[start:found.end()]


def groups(text):
    """Modules, each with the commands on it: all that can be taken alone."""
    group = []
    for form in forms(text):
        if group and not re.match(r"\((assert_(return|trap|exh)|invoke|reg)", form):
            yield "\n".join(group)
            group = []
        group.append(form)
    if group:
        yield "\n".join(group)


def modern(text):
    """Two commands of older suites, in today's spelling."""
    def nan(found):
        return re.sub(r"^\(assert_return_(canonical|arithmetic)_nan (.*)\)$",
                      r"(assert_return \2 (f64.const nan:\1))", found, flags=re.S)
    return "\n".join(nan(form) for form in forms(text))


def convert(text, folder, stem):
    """The file's commands, or None when wabt cannot read it."""
    (folder / f"{stem}.wast").write_text(text)
    done = subprocess.run(["wast2json", "--no-check", f"{stem}.wast", "-o",
                           f"{stem}.json"],
                          cwd=folder, capture_output=True)
    if done.returncode != 0:
        return None
    return json.loads((folder / f"{stem}.json").read_text())["commands"]


class Driver:
    def __init__(self, program):
        self.program, self.process = program, None

    def ask(self, line):
        if self.process is None:
            self.process = subprocess.Popen(
                [self.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                text=True)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer:
            self.process = None
            return "DIED", []
        return answer[0], answer[1:]

    def close(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()


def cell(value):
    text = value["value"]
    return 0 if text.startswith("nan:") or text == "null" else int(text)


def equal(value, bits):
    if not value["value"].startswith("nan:"):
        return cell(value) == bits
    # Its type is not known where the suite is an old one: either may fit.
    for size, most in ((32, 23), (64, 52)):
        quiet = ((1 << size - 1) - 1) & ~((1 << most - 1) - 1)
        if value["value"] == "nan:canonical":
            fits = bits & ~(1 << size - 1) == quiet
        else:
            fits = bits & quiet == quiet
        if fits and bits >> size == 0:
            return True
    return False


class File:
    """One file's commands, carried out."""

    def __init__(self, driver, folder):
        self.driver, self.folder = driver, folder
        self.slots, self.state, self.shared = {}, {}, set()
        self.passed, self.failed = 0, []
        self.left = collections.Counter()

    def note(self, command, good, why):
        if good:
            self.passed += 1
        else:
            self.failed.append(f"{command['type']}: {why}"[:300])

    def slot(self, name):
        return UNNAMED if name is None else \
            self.slots.setdefault(name, len(self.slots) % UNNAMED)

    def open(self, slot, command):
        return self.driver.ask(f"open {slot} {self.folder / command['filename']}")

    def imports(self):
        """What it would have done to those that it imports from, is missing."""
        self.left["imports"] += 1
        self.state.update((other, "imports") for other in self.shared)

    def module(self, command):
        slot = self.slot(command.get("name"))
        self.slots[None] = slot
        code, words = self.open(slot, command)
        text = " ".join(words)
        why = None
        if code == "ELOAD" and "import" in text:
            why = "imports"
        elif code != "ok":
            why = "its module did not open"
        self.state[slot] = why
        if why == "imports":
            self.imports()
        else:
            self.note(command, why is None, f"{code} {text}")

    def act(self, command):
        """The driver's answer, or None: it is not to be asked."""
        action = command["action"]
        slot = self.slots.get(action.get("module"))
        why = "no module" if slot is None else self.state.get(slot)
        if action["type"] == "get":
            why = "global"
        elif "\0" in action["field"]:
            why = "name"
        elif any(v["type"] in ("externref", "funcref", "v128") for v in
                 action["args"] + command.get("expected", [])):
            why = "reference"
        if why:
            self.left[why] += 1
            return None
        name = action["field"].encode().hex() or "-"
        cells = " ".join(f"{cell(v):x}" for v in action["args"])
        return self.driver.ask(f"call {slot} {name} {cells}".rstrip())

    def call(self, command):
        answer = self.act(command)
        if answer is None:
            return
        code, words = answer
        what = command["action"]["field"]
        if command["type"] in ("assert_return", "action"):
            expected = command.get("expected", [])
            good = code == "ok" and (command["type"] == "action" or all(
                equal(v, int(w, 16)) for v, w in zip(expected, words)))
            self.note(command, good, f"{what} {expected}: {code} "
                      f"{' '.join(words[:4 if code == 'ok' else None])}")
            return
        text = " ".join(words)
        ours = [w for t, w in TRAPS.items() if command["text"].startswith(t)]
        self.note(command, code == "ETRAP" and any(w in text for w in ours),
                  f"{what}, {command['text']}: {code} {text}")

    def refused(self, command):
        if command.get("module_type") == "text":
            self.left["text"] += 1
            return
        code, words = self.open(REFUSED_SLOT, command)
        text = " ".join(words)
        if command["type"] == "assert_unlinkable" or (
                code == "ELOAD" and "import" in text and
                command["type"] == "assert_uninstantiable"):
            self.imports()
            return
        good = code == ("ETRAP" if command["type"] == "assert_uninstantiable"
                        else "ELOAD")
        self.note(command, good, f"{command['text']}: {code} {text}")

    def run(self, commands):
        for command in commands:
            kind = command["type"]
            if kind == "module":
                self.module(command)
            elif kind == "register":
                self.shared.add(self.slots.get(command.get("name")))
            elif kind in ("assert_return", "assert_trap", "action",
                          "assert_exhaustion"):
                self.call(command)
            else:
                self.refused(command)


def run(job):
    program, path = job
    text = modern(path.read_text())
    driver = Driver(program)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        it = File(driver, folder)
        commands = convert(text, folder, "whole")
        if commands is not None:
            it.run(commands)
        else:
            for i, part in enumerate(groups(text)):
                commands = convert(part, folder, f"part{i}")
                if commands is None:
                    it.left["unreadable"] += 1
                else:
                    it.run(commands)
        driver.close()
    return path.stem, it.passed, it.failed, it.left


def recorded():
    """{file: how many passed}"""
    lines = RECORD.read_text().splitlines() if RECORD.exists() else []
    return {words[0]: int(words[1]) for words in map(str.split, lines)
            if words and words[0] != "#"}


def record(results):
    left = sum((r[3] for r in results), collections.Counter())
    with open(RECORD, "w") as out:
        print("# The specification's suite: FILE PASSED FAILED.  Written by "
              "spec_test.py --record.", file=out)
        print("# Not asked:", ", ".join(
            f"{n} {why}" for why, n in sorted(left.items())), file=out)
        for stem, passed, failed, _ in results:
            if passed or failed:
                print(stem, passed, len(failed), file=out)


def main():
    words = [word for word in sys.argv[1:] if word != "--record"]
    program, suite, names = words[0], pathlib.Path(words[1]), words[2:]
    if not suite.is_dir():
        print(f"skipped: {suite} is not there; tools/suites wasm fetches it")
        return 77
    # Other proposals' files say so in their names.
    files = sorted(path for path in suite.glob("*.wast")
                   if not re.search(r"64$|\.fail$|^old_", path.stem) and
                   (not names or path.stem in names))
    with multiprocessing.Pool(os.cpu_count()) as pool:
        results = sorted(pool.imap_unordered(
            run, [(program, path) for path in files]))
    before, worse = recorded(), 0
    for stem, passed, failed, left in results:
        for line in failed if names or passed < before.get(stem, 0) else []:
            print(f"  {stem}: {line}")
        if passed < before.get(stem, 0):
            print(f"{stem}: {passed} pass, {before[stem]} did")
            worse += 1
    passed, failed = (sum(n) for n in zip(*(
        (r[1], len(r[2])) for r in results)))
    print(f"{passed} of {passed + failed} commands pass; not asked:",
          dict(sum((r[3] for r in results), collections.Counter())))
    if "--record" in sys.argv:
        record(results)
    return 1 if worse or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
