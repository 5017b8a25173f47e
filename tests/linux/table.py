# SPDX-License-Identifier: Apache-2.0
"""table - docs/linux.md, between the cases that it tells of and the file."""
import re

TEXT = """# Linux programs in a micro-VM

`glovebox exec PROGRAM` runs a Linux program without a Linux: Glovebox answers
its system calls. `tests/linux/programs_test.py` makes this page: it runs all of
these programs natively and in a micro-VM, and compares what they write and how
they end. `make check` sees to it that the page is true.

## What works

| program | package | what was compared |
|---|---|---|
{works}

CPython's own tests pass for the modules in `tests/linux/cpython_modules.txt`
(`make check-linux`); of these, tests that start processes skip themselves.

## What does not, and why

A micro-VM is one process with threads. What it does not have is refused as a
kernel without it would, and named on standard error when the program has ended:
processes, other programs and the network always, the rest if it failed.

| what | for example | what is named |
|---|---|---|
{lacks}
"""

ROW = re.compile(r"^\| ([^|]*) \| .* \|$")


def cell(text):
    return text.replace("|", "\\|").replace("\n", " ")


def rows(cases):
    """{name: line} of what works, and of what does not."""
    works, lacks, found = {}, {}, {}
    for case in cases:
        found.setdefault(case.row, []).append(case)
    for name, some in found.items():
        first = some[0]
        if first.said:
            lacks[name] = f"| {name} | `{cell(first.line())}` | {first.said} |"
        else:
            told = list(dict.fromkeys(cell(case.told) for case in some))
            works[name] = f"| {name} | {first.package} | {', '.join(told)} |"
    return works, lacks


def read(page):
    """{name: line} of the page as it is."""
    if not page.exists():
        return {}
    lines = page.read_text().splitlines()
    found = {ROW.match(line)[1]: line for line in lines if ROW.match(line)}
    return {name: line for name, line in found.items()
            if name not in ("program", "what")}


def write(page, tables, ran):
    """What ran is true now; of the rest the page is believed."""
    before = read(page)
    works, lacks = (
        "\n".join(line if name in ran else before[name]
                  for name, line in rows.items()
                  if name in ran or name in before)
        for rows in tables)
    page.write_text(TEXT.format(works=works, lacks=lacks))
