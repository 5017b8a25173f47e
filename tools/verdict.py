# SPDX-License-Identifier: Apache-2.0
"""verdict - how many test functions of a program passed, failed, were skipped.

A program's functions are counted in whichever way it tells of them: cmocka,
unittest -v, or TAP; a program that tells nothing counts as one.  What is not
told to have ended well has failed: a crash, a time-out, a sanitizer's report.
"""
import collections
import re

Count = collections.namedtuple("Count", "passed failed skipped")

CMOCKA = re.compile(r"^\[ +(RUN|OK|SKIPPED) +\] (.+?)$", re.M)
UNITTEST = re.compile(r"^test\w* \(.*\)(?:\n.*)? \.\.\. (ok|skipped|\w+)", re.M)
TAP = re.compile(r"^(not ok|ok)\b(.*)$", re.M)


def cmocka(out):
    """The same of cmocka, whose closing list names functions once more."""
    told = collections.Counter()
    running = None
    for kind, name in CMOCKA.findall(out):
        if kind == "RUN":
            told["run"] += 1
            running = name
        elif name == running:
            told[kind] += 1
            running = None
    bad = told["run"] - told["OK"] - told["SKIPPED"]
    return Count(told["OK"], bad, told["SKIPPED"])


def functions(out, err):
    """How many test functions passed, failed and were skipped, as told."""
    told = cmocka(out)
    if sum(told):
        return told
    told = collections.Counter()
    for word in UNITTEST.findall(err):
        told[{"ok": "passed", "skipped": "skipped"}.get(word, "failed")] += 1
    if told:
        return Count(told["passed"], told["failed"], told["skipped"])
    for word, rest in TAP.findall(out):
        if "# skip" in rest.lower():
            told["skipped"] += 1
        else:
            told["passed" if word == "ok" else "failed"] += 1
    return Count(told["passed"], told["failed"], told["skipped"])


def count(test):
    """The same for one record like those of Meson's log, whose result has the
    last word."""
    told = functions(test.get("stdout", ""), test.get("stderr", ""))
    if test["result"] == "SKIP":
        return Count(told.passed, told.failed, max(told.skipped, 1))
    if test["result"] in ("OK", "EXPECTEDFAIL"):
        return told if sum(told) else Count(1, 0, 0)
    return told._replace(failed=max(told.failed, 1))


def closing(total):
    """The last line of a run of tests."""
    return (f"{total.passed} passed, {total.failed} failed"
            + (f", {total.skipped} skipped" if total.skipped else ""))
