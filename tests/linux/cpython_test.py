#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""CPython's own tests in a micro-VM: the modules of cpython_modules.txt pass.

usage: cpython_test.py GLOVEBOX [--quick | --all]

--quick runs those that are marked with "+" alone; --all tries every module
there is, and says which pass that are not listed yet.  The list may only grow.
"""
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3.11"
TESTS = pathlib.Path("/usr/lib/python3.11/test")
LIST = HERE / "cpython_modules.txt"
MODULES_AT_LEAST = 360


def listed():
    """{module: (is it quick, patterns of tests in it that are left out)}"""
    found, without = {}, []
    for line in LIST.read_text().splitlines():
        words = line.split("#")[0].split()
        if words and not line[0].isspace():
            name, without = words.pop(0), []
            found[name.lstrip("+")] = (name[0] == "+", without)
        without += words
    return found


def there():
    names = {path.stem for path in TESTS.glob("test_*")
             if path.suffix == ".py" or path.is_dir()}
    return sorted(names - {"test_support"})


def run(glovebox, module, without=()):
    """None when it passes; else how it went."""
    leave_out = [word for pattern in without for word in ("-i", pattern)]
    words = [glovebox, "exec", "--timeout", "120s", "--memory", "1G",
             "--threads", "256", "--folder", HERE, PYTHON, "cpython_run.py", "-v", *leave_out,
             module]
    done = subprocess.run(list(map(str, words)), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = done.stdout.decode(errors="replace")
    if done.returncode == 0 and "1 test OK." in text:
        return None
    return "skipped itself" if done.returncode == 0 else text[-3000:]


def main():
    glovebox = os.path.abspath(sys.argv[1])
    quick, every = "--quick" in sys.argv, "--all" in sys.argv
    known = listed()
    failed = 0

    if subprocess.run([glovebox, "exec", "true"],
                      capture_output=True).returncode == 125:
        print("no micro-VM here: glovebox doctor says why")
        sys.exit(77)
    if not (TESTS / "test_abc.py").exists():
        print("CPython's tests are not installed (libpython3.11-testsuite)")
        sys.exit(77)
    for module in there() if every else known:
        is_quick, without = known.get(module, (False, ()))
        if quick and not is_quick:
            continue
        began = time.monotonic()
        said = run(glovebox, module, without)
        took = time.monotonic() - began
        if module not in known:
            if not said:
                print(f"# {module} passes, and is not listed", flush=True)
            continue
        print(f"{'not ok' if said else 'ok'} - {module} ({took:.1f} s)",
              flush=True)
        if said:
            failed += 1
            print(said, file=sys.stderr)
    if len(known) < MODULES_AT_LEAST:
        print(f"not ok - {len(known)} modules are listed, and "
              f"{MODULES_AT_LEAST} were")
        failed += 1
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
