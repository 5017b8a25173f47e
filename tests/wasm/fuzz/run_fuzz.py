#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""run_fuzz.py RUNNER LIBEXEC - random modules, loaded and run: they stay in
their memory, they end in time, and they compute what node's WebAssembly does.

A module is text of generate.py, or what binaryen's wasm-opt makes of random
bytes.  runner.c calls each of its exports, in one process for one module, and so
does node.cjs; values, the reason of each trap, and all of the memory behind each
call are compared.  What differs stays in a folder, as SEED.wasm and SEED.txt,
and the seed makes it again: --first SEED --count 1."""
import argparse
import collections
import concurrent.futures
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import generate
import outside

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
MODULE_S = 60   # one module; then it is taken for one that does not end
CALLS = 40
BINARYEN_EACH = 4  # each so manieth module is binaryen's
FEATURES = ["--mvp-features"] + ["--enable-" + f for f in (
    "sign-ext nontrapping-float-to-int bulk-memory multivalue mutable-globals "
    "reference-types").split()]

# What the engines say of one thing.  Ours of a division that overflows is what
# it says of a conversion that does; a table's end is called either.
KINDS = [
    ("stack", "call stack exhausted", "Maximum call stack size exceeded"),
    ("time", "time"),
    ("unreachable", "unreachable"),
    ("zero", "integer divide by zero", "divide by zero", "remainder by zero"),
    ("number", "integer overflow", "invalid conversion to integer",
     "divide result unrepresentable",
     "float unrepresentable in integer range"),
    ("table", "indirect call of a function", "null function or function sig",
     "table index is out of bounds", "table access out of bounds",
     "table or", "element segment"),
    ("bounds", "out of bounds memory access", "memory access out of bounds",
     "data segment"),
]

# What is valid is compiled; but frames have a limit, and binaryen takes an
# instruction of WebAssembly 3.0 now and then, whatever it is told.
REFUSED = ["the frame size of", "unexpected opcode"]


def kind_of(words):
    for name, *texts in KINDS:
        if any(t in words for t in texts):
            return name
    return words


class Node:
    """node, once for many modules; anew where it did not answer in time."""
    def __init__(self, program):
        self.program, self.process = program, None

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "--wasm-max-table-size=1000000",
             "--wasm-max-mem-pages=1024", HERE / "node.cjs"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, wasm, calls):
        """Its lines, or None."""
        if self.process is None:
            self.start()
        timer = threading.Timer(MODULE_S, self.process.kill)
        timer.start()
        try:
            self.process.stdin.write(json.dumps(
                {"wasm": str(wasm), "calls": calls}) + "\n")
            self.process.stdin.flush()
            said = self.process.stdout.readline()
        except BrokenPipeError:
            said = ""
        timer.cancel()
        if said == "":
            self.stop()
            return None
        return json.loads(said)

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
        self.process = None


def is_nan(t, cell):
    bits = int(cell, 16)
    if t == "f":
        return bits & 0x7f800000 == 0x7f800000 and bits & 0x7fffff != 0
    return (t == "F" and bits & 0x7ff << 52 == 0x7ff << 52 and
            bits & (1 << 52) - 1 != 0)


def same(ours, theirs, results):
    """Of one line of each; "-" is a hash that nobody knows."""
    ours, theirs = ours.split(" "), theirs.split(" ")
    if "trap" in (ours[0], theirs[0]):
        mine = kind_of(" ".join(ours[2:])) if ours[0] == "trap" else "="
        other = kind_of(" ".join(theirs[2:])) if theirs[0] == "trap" else "="
        # How much fits onto a stack is each engine's own affair.
        if "stack" in (mine, other):
            return True
        if {mine, other} == {"table", "bounds"}:
            other = mine
        return mine == other and (
            "-" in (ours[1], theirs[1]) or ours[1] == theirs[1])
    if len(ours) != len(theirs) or len(ours) != len(results) + 2:
        return False
    if "-" not in (ours[-1], theirs[-1]) and ours[-1] != theirs[-1]:
        return False
    return all(a == b or (is_nan(t, a) and is_nan(t, b))
               for t, a, b in zip(results, ours[1:-1], theirs[1:-1]))


class Case:
    """One module, its calls, and what came of them."""
    def __init__(self, seed, options, folder):
        self.seed, self.options = seed, options
        self.random = random.Random(seed * 2 + 1)
        self.wasm = folder / f"{seed}.wasm"
        self.spins, self.calls, self.endless = [], [], []
        self.ends = collections.Counter()
        self.ours = self.theirs = ""

    def make(self):
        """False: nothing to be run came out of this seed."""
        if self.options.binaryen and self.seed % BINARYEN_EACH == 0:
            return self.make_binaryen()
        maker = generate.Maker(self.seed, self.random.choice([5, 30, 30, 60]))
        wat = self.wasm.with_suffix(".wat")
        wat.write_text(maker.text())
        self.spins = maker.spins
        subprocess.run(["wat2wasm", wat, "-o", self.wasm], check=True)
        wat.unlink()
        return True

    def make_binaryen(self):
        source = self.wasm.with_suffix(".bin")
        source.write_bytes(self.random.randbytes(
            self.random.choice([1000, 5000, 20000, 40000])))
        done = subprocess.run(
            [self.options.binaryen, source, "-ttf", *FEATURES, "--denan", "-o",
             self.wasm], capture_output=True)
        source.unlink()
        if done.returncode != 0:
            return False
        try:
            self.wasm.write_bytes(outside.close(self.wasm.read_bytes()))
        except AssertionError:
            return False
        return True

    def plan(self):
        exports = outside.read_exports(self.wasm.read_bytes())
        exports = [e for e in exports if b"\0" not in e[0]]
        self.random.shuffle(exports)
        rounds = max(1, min(4, CALLS // max(1, len(exports))))
        for name, parameters, results in (exports * rounds)[:CALLS]:
            if name.decode() not in self.spins:
                self.calls.append([name, parameters, results, generate.arguments(
                    self.random, parameters)])
        # Last, for node does not return from those.
        self.endless = [e for e in exports if e[0].decode() in self.spins]

    def input(self):
        lines = []
        for verb, calls in (("call", self.calls), ("spin", [
                [*e, [0] * len(e[1])] for e in self.endless])):
            for name, parameters, results, cells in calls:
                lines.append(" ".join([
                    verb, name.hex() or "-", f"{parameters}:{results}",
                    *(f"{c:x}" for c in cells)]))
        return "\n".join(lines) + "\n"

    def run_ours(self, libexec):
        """Its lines; or a text: what went wrong."""
        try:
            done = subprocess.run(
                [self.options.runner, self.wasm, libexec], input=self.input(),
                capture_output=True, text=True, timeout=MODULE_S)
        except subprocess.TimeoutExpired:
            return "it did not end"
        self.ours = done.stdout
        lines = done.stdout.splitlines()
        if done.returncode != 0:
            return (f"the runner ended with {done.returncode}: "
                    f"{lines[-1:]} {done.stderr[-2000:]}")
        return lines

    def compare(self, lines, theirs):
        """None, or what differs."""
        called = iter(self.calls)
        started, results, what = False, "", "its start"
        for ours, their in zip(lines, theirs):
            results, what = "", "its start"
            if started:
                name, _, results, cells = next(called)
                what = f"{name} of {cells}"
            if not same(ours, their, results):
                return f"{what}: {ours}, node: {their}"
            if ours[0] != their[0]:
                return None  # one had the stack for it: they part here
            self.ends[kind_of(ours.split(" ", 2)[2]) if ours[0] == "t"
                      else "returned"] += started
            started = ours[0] == "="
        spun = lines[len(theirs):]
        if len(lines) < len(theirs) or (spun and not self.endless):
            return f"{len(lines)} lines, node: {len(theirs)}"
        if self.endless and theirs[0][0] == "=" and "trap - time" not in spun:
            return f"what does not end: {spun}"
        return None

    def run(self, node, libexec):
        """None, or what is wrong; "skip: ...": no comparison was possible."""
        if not self.make():
            return "skip: not made"
        self.plan()
        lines = self.run_ours(libexec)
        if isinstance(lines, str):
            return lines
        if lines[0].startswith("refused"):
            for known in REFUSED:
                if known in lines[0]:
                    return "skip: " + known
            return lines[0]
        theirs = node.ask(self.wasm, [
            [c[0].decode(), c[1], c[2], [f"{v:x}" for v in c[3]]]
            for c in self.calls])
        if theirs is None:
            return "skip: node did not end"
        self.theirs = "\n".join(theirs) if isinstance(theirs, list) else ""
        if isinstance(theirs, dict):
            return "node: " + theirs["failed"]
        return self.compare(lines, theirs)


class Campaign:
    def __init__(self, options):
        self.options, self.lock = options, threading.Lock()
        self.next, self.until = options.first, None
        self.modules = self.wrong = 0
        self.ends, self.skipped = collections.Counter(), collections.Counter()
        if options.seconds is not None:
            self.until = time.monotonic() + options.seconds

    def take(self):
        with self.lock:
            seed = self.next
            if (self.until is not None and time.monotonic() > self.until) or \
                    (self.options.count is not None and
                     seed >= self.options.first + self.options.count):
                return None
            self.next += 1
            return seed

    def note(self, case, said):
        with self.lock:
            self.modules += 1
            self.ends += case.ends
            if said is None:
                return
            if said.startswith("skip: "):
                self.skipped[said[:60]] += 1
                return
            self.wrong += 1
        print(f"seed {case.seed}: {said}", flush=True)
        keep = self.options.keep
        keep.mkdir(parents=True, exist_ok=True)
        if case.wasm.exists():
            shutil.copy(case.wasm, keep / f"{case.seed}.wasm")
        (keep / f"{case.seed}.txt").write_text(
            f"{said}\n\n{case.input()}\n{case.ours}\nnode:\n{case.theirs}\n")

    def work(self, folder):
        node = Node(self.options.node)
        while (seed := self.take()) is not None:
            case = Case(seed, self.options, folder)
            compilers = self.options.libexec
            libexec = compilers[seed // BINARYEN_EACH % len(compilers)]
            self.note(case, case.run(node, libexec))
            case.wasm.unlink(missing_ok=True)
        node.stop()

    def run(self):
        with tempfile.TemporaryDirectory() as folder, \
                concurrent.futures.ThreadPoolExecutor() as pool:
            for job in [pool.submit(self.work, pathlib.Path(folder))
                        for _ in range(self.options.jobs)]:
                job.result()
        print(f"{self.modules} modules, {self.ends.total()} calls compared, "
              f"{self.wrong} otherwise than node")
        print("  " + ", ".join(f"{n} {k}" for k, n in self.ends.most_common()))
        for why, count in self.skipped.items():
            print(f"  {count} times {why}")
        return 1 if self.wrong or not self.ends else 0


def read_options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runner", type=pathlib.Path)
    parser.add_argument("libexec", nargs="+", help="in turn: compilers")
    parser.add_argument("--first", type=int, default=None, metavar="SEED")
    parser.add_argument("--count", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path,
                        default=pathlib.Path("wasm-broken"))
    options = parser.parse_args()
    if options.first is None:
        options.first = random.SystemRandom().randrange(2**40)
    options.node = shutil.which("node") or shutil.which("nodejs")
    binaryen = ROOT / "guest/js/node_modules/.bin/wasm-opt"
    options.binaryen = binaryen if binaryen.exists() else None
    return options


def main():
    options = read_options()
    if options.node is None:
        print("skipped: there is no node here")
        return 77
    return Campaign(options).run()


sys.exit(main())
