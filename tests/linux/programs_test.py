#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Real programs, once natively and once by `glovebox exec`: the same output,
the same errors, the same status.

usage: programs_test.py GLOVEBOX FOLDER (of the programs in programs/) [--write]

cases.py lists them.  docs/linux.md has a row for each; --write makes it anew.
A row that once said that a program works may not be lost.  Programs that are
not installed are skipped, by name.
"""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cases  # noqa: E402
import table  # noqa: E402

OURS = re.compile(rb"^glovebox: signal .*\n", re.M)
PAGE = pathlib.Path(__file__).parents[2] / "docs" / "linux.md"
ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp",
       "TMPDIR": "/tmp", "LANG": "C.UTF-8"}


def run(words, folder, stdin):
    """Status, output and errors."""
    with open(folder / stdin, "rb") as file:
        done = subprocess.run(words, cwd=folder, env=ENV, stdin=file,
                              capture_output=True, timeout=120)
    # Killed is 128 + the signal, as a shell has it.
    code = done.returncode
    return code if code >= 0 else 128 - code, done.stdout, done.stderr


class Runner:
    def __init__(self, glovebox, programs, folder):
        self.glovebox, self.programs, self.folder = glovebox, programs, folder

    def place(self, case):
        """The program's path, or None where it is not installed."""
        if case.ours:
            return f"./{case.words[0]}"
        return shutil.which(case.words[0], path=ENV["PATH"])

    def sealed(self, words, stdin):
        words = [self.glovebox, "exec", "--folder", self.folder, "--timeout",
                 "100s", "--memory", "1G", *words]
        return run(words, self.folder, stdin)

    def compare(self, case):
        """None: works; or what differs."""
        path = self.place(case)
        words = [path if case.ours else case.words[0], *case.words[1:]]
        with tempfile.TemporaryDirectory() as tmp:
            status, out, err = run([w.replace("{tmp}", tmp) for w in words],
                                   self.folder, case.stdin)
        native = status, *(text.replace(bytes(self.folder), b"/script")
                           for text in (out, err))
        sealed = self.sealed([word.replace("{tmp}", "/tmp") for word in words],
                             case.stdin)
        for what, one, other in zip(("status", "output", "errors"), native,
                                    sealed):
            if what == "errors" and native[0] > 128: # it says which signal
                other = OURS.sub(b"", other)
            if one != other:
                return (f"{case.line()}\n  {what} natively: {one!r:.300}\n"
                        f"  {what} in a micro-VM: {other!r:.300}\n"
                        f"  errors in a micro-VM: {sealed[2]!r:.300}")
        return None

    def refuse(self, case):
        """None: what it lacks is told; or how it went."""
        status, out, err = self.sealed(case.words, case.stdin)
        if b"in vain: " + case.said.encode() in err:
            return None
        return f"{case.line()}\n  {status} {out!r:.300} {err!r:.300}"


def check_page(rows, ran):
    """What is wrong with the page, as lines."""
    there = table.read(PAGE)
    wrong = [f"docs/linux.md has a row of {name}, and cases.py none"
             for name in there if name not in rows]
    for name, row in rows.items():
        if name not in there:
            wrong.append(f"docs/linux.md has no row of {name}: --write")
        elif name in ran and there[name] != row:
            wrong.append(f"docs/linux.md is behind for {name}: --write")
    if len(there) < cases.ROWS_AT_LEAST:
        wrong.append(f"docs/linux.md has {len(there)} rows, and had "
                     f"{cases.ROWS_AT_LEAST}")
    return wrong


def main():
    write = sys.argv[-1] == "--write"
    glovebox, programs = map(os.path.abspath, sys.argv[1:3])
    failed, skipped, passed = [], {}, 0

    if subprocess.run([glovebox, "exec", "true"],
                      capture_output=True).returncode == 125:
        print("no micro-VM here: glovebox doctor says why")
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="gbx-linux-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        runner = Runner(glovebox, programs, folder)
        cases.fill(folder, pathlib.Path(programs), ENV)
        todo = []
        for case in cases.ALL:
            if runner.place(case) is None:
                skipped[case.words[0]] = case.package
            else:
                todo.append(case)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            results = list(pool.map(
                lambda case: runner.refuse(case) if case.said
                else runner.compare(case), todo))
    for case, result in zip(todo, results):
        print(f"{'not ok' if result else 'ok'} - {case.line()[:70]}")
        passed += not result
        failed += [result] if result else []
    for program, package in skipped.items():
        print(f"ok - {program} # skip not installed (Debian's {package})")

    works, lacks = table.rows(cases.ALL)
    ran = {case.row for case in todo} - {
        case.row for case in cases.ALL if case not in todo}
    if write and not failed:
        table.write(PAGE, (works, lacks), ran)
    wrong = check_page({**works, **lacks}, ran)
    print(f"{'not ok' if wrong else 'ok'} - the page is up to date")
    print("\n".join([*failed, *wrong]), file=sys.stderr)
    sys.exit(1 if failed or wrong else 0)


if __name__ == "__main__":
    main()
