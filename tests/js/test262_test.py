#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""test262, ECMAScript's own suite: what passes is recorded, and only grows.

usage: test262_test.py DRIVER SUITE [--quick] [--record] [--skipped]
                       [--isolation NAME] [PATTERN...]

SUITE is test262 as Mozilla keeps it (tools/suites test262 fetches it), of 2020.
DRIVER is test262.c, which gives each test to test262.js, a script like any, in
a sandbox that has run nothing else: of wasm (or process, microvm).  A test
counts once, and passes when it does in each mode that it is for, sloppy and
strict.  test262.txt beside this file says what passed when it was last
recorded, and which fail, and why; one that fails and is not in it is an error,
with --record, too.

Scripts here are functions or modules.  So a test that is neither is evaluated
by an indirect eval, where variables are not those of a global script; "eval" in
the record tells those that see the difference.  What needs more of a host, or
of an engine, than there is, is not asked: --skipped tells each, and the reason.

--quick takes one test in ten; a PATTERN is a part of a path, or a glob, and
tells each failure.
"""
import argparse
import collections
import fnmatch
import json
import multiprocessing
import os
import pathlib
import subprocess
import sys
import tempfile
import zlib

import test262_record
import test262_suite

HERE = pathlib.Path(__file__).resolve().parent
SCRIPT = HERE / "test262.js"
QUICK = 10  # one in so many


class Driver:
    """The script, as it is opened from one folder."""

    def __init__(self, options, script):
        self.words = [options.driver, str(script), options.isolation]
        self.process = None

    def ask(self, request):
        if self.process is None:
            self.process = subprocess.Popen(
                self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                text=True, errors="replace")
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = self.process.stdout.readline()
        if answer:
            return answer.rstrip("\n")
        code, self.process = self.process.wait(), None
        return f"! the driver ended with {code}"

    def close(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()


def ask(driver, test, harness):
    """How it failed, by mode; nothing where it passed."""
    missing = [name for name in test.includes if name not in harness]
    if missing:
        return [f"the suite has no {missing[0]}"]
    failed = []
    for mode in test.modes():
        said = driver.ask(test.request(harness, mode))
        if said != "pass":
            failed.append(f"{mode}: {said}")
    return failed


class Worker:
    """One for each process of the pool: its driver stays for all folders."""
    options = harness = driver = None

    @classmethod
    def begin(cls, options, harness):
        cls.options, cls.harness = options, harness
        cls.driver = Driver(options, SCRIPT)

    @classmethod
    def run(cls, folder):
        root = pathlib.Path(cls.options.suite)
        tests = test262_suite.read(root, folder, cls.options.wants)
        if not test262_suite.import_files(tests):
            return cls.run_tests(tests, cls.driver)
        with tempfile.TemporaryDirectory() as copies:
            # What a script imports lies beside it.
            script = pathlib.Path(copies) / SCRIPT.name
            script.write_text(SCRIPT.read_text())
            test262_suite.copy_modules(root, folder, pathlib.Path(copies))
            driver = Driver(cls.options, script)
            try:
                return cls.run_tests(tests, driver)
            finally:
                driver.close()

    @classmethod
    def run_tests(cls, tests, driver):
        """[(path, [failure], reason why it was not asked)]"""
        done = []
        for test in tests:
            why = test.why_not()
            done.append((test.path, [] if why else
                         ask(driver, test, cls.harness), why))
        return done


class Options(argparse.Namespace):
    def wants(self, path):
        if self.quick and zlib.crc32(path.encode()) % QUICK:
            return False
        return not self.patterns or any(
            pattern in path or fnmatch.fnmatch(path, pattern)
            for pattern in self.patterns)

    def is_whole(self):
        return not self.quick and not self.patterns


def does_not_run(options):
    """Why there is no use in asking for more."""
    driver = Driver(options, SCRIPT)
    said = driver.ask(test262_suite.Test("empty.js", "").request({}, "raw"))
    driver.close()
    return None if said == "pass" else said


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("driver")
    parser.add_argument("suite")
    parser.add_argument("patterns", nargs="*")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--skipped", action="store_true")
    parser.add_argument("--isolation", default="wasm",
                        choices=["wasm", "process", "microvm"])
    return parser.parse_args(namespace=Options())


def run_all(options, root):
    harness = test262_suite.harness(root)
    result = test262_record.Result()
    with multiprocessing.Pool(os.cpu_count(), Worker.begin,
                              (options, harness)) as pool:
        for done in pool.imap_unordered(Worker.run, test262_suite.folders(root)):
            for path, failed, why in done:
                result.add(path, failed, why)
    return result


def main():
    options = read_options()
    root = pathlib.Path(options.suite)
    if not (root / "built-ins").is_dir():
        print(f"skipped: {root} is not there; tools/suites test262 fetches it")
        return 77
    why = does_not_run(options)
    if why:
        print(f"not ok - an empty test in {options.isolation}: {why}")
        return 1
    result = run_all(options, root)
    record = test262_record.Record(HERE / "test262.txt")
    faults = record.compare(result, options.is_whole())
    told = result.failed if options.patterns else {
        path: result.failed[path] for path in faults if path in result.failed}
    for path, failed in sorted(told.items()):
        for line in failed:
            print(f"  {path}: {line}")
    if options.skipped:
        for path, why in sorted(result.skipped.items()):
            print(f"  {path}: {why}")
    for line in faults.values():
        print(line)
    reasons = collections.Counter(result.skipped.values())
    print(f"{result.passed()} of {result.ran()} tests pass; not asked:",
          ", ".join(f"{n} {why}" for why, n in sorted(reasons.items())))
    if faults or result.passed() == 0:
        return 1
    if options.record and options.is_whole():
        record.write(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
