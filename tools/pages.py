#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""pages - what the documents promise is there.

The C programs in README.md compile against the public headers, without a
warning; links between documents lead to files; each decision is in the list;
the exit codes of the two manual pages agree; and the options of the program,
its manual and its completion are the same.
"""
import os
import pathlib
import re
import subprocess

import tree

FLAGS = ("-std=c11 -Wall -Wextra -Werror -pedantic -fsyntax-only -isystem "
         "include -x c -").split()
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def check_programs(path, text, faults):
    """Compile each fenced block of C that has a main."""
    for block in re.finditer(r"^```c\n(.*?)^```", text, re.M | re.S):
        first = text[:block.start(1)].count("\n") + 1
        if "int main" not in block[1]:
            continue
        run = subprocess.run(
            [os.environ.get("CC", "gcc"), *FLAGS], text=True, check=False,
            capture_output=True, input=f'#line {first} "{path}"\n{block[1]}')
        for line in run.stderr.splitlines():
            if match := re.match(r"[^:]*:(\d+):.*(?:error|fatal).*?: (.*)",
                                 line):
                faults.add(path, match[1], f"the program does not compile: "
                           f"{match[2]}: mend one of the two")


def check_links(path, text, faults):
    for number, line in enumerate(text.splitlines(), 1):
        for target in LINK.findall(line):
            if re.match(r"\w+:", target):
                continue
            if not (path.parent / target).exists():
                faults.add(path, number, f"{target} is not there: write it, "
                           "or mend the link")


def check_decisions(faults):
    folder = pathlib.Path("docs/decisions")
    pages = folder / "README.md"
    listed = pages.read_text() if pages.is_file() else ""
    for page in sorted(folder.glob("[0-9]*.md")):
        if f"({page.name})" not in listed:
            faults.add(page, 1, f"is not listed in {pages}: add it")


def check_exit_codes(faults):
    """glovebox.1 has the full list, glovebox-run.1 the short one."""
    full = pathlib.Path("docs/man/glovebox.1.scd")
    short = pathlib.Path("docs/man/glovebox-run.1.scd")
    if not full.is_file() or not short.is_file():
        return
    codes = set(re.findall(r"^\*(\d+)\*$", full.read_text(), re.M))
    text = short.read_text().partition("# EXIT STATUS")[2]
    said = set(re.findall(r"\b(\d+) [a-zA-Z]", text.partition("# EX")[0]))
    if codes != said:
        faults.add(short, 1, "exit codes differ from glovebox.1: "
                   + " ".join(sorted(codes ^ said, key=int)))
    source = pathlib.Path("cli/cli.h")
    if source.is_file():
        real = set(re.findall(r"\bCLI_\w+ = (\d+)", source.read_text()))
        if real != codes:
            faults.add(full, 1, f"exit codes differ from {source}: "
                       + " ".join(sorted(codes ^ real, key=int)))


def lent_to(sources):
    """Files whose options these have by argp's children, from elsewhere."""
    wanted = {name for file in sources
              for name in re.findall(r"&(\w+_argp)\b", file.read_text())}
    return [file for file in sorted(pathlib.Path("cli").rglob("*.c"))
            if file not in sources
            and wanted & set(re.findall(r"^const struct argp (\w+)",
                                        file.read_text(), re.M))]


def check_options(command, faults):
    """Each option of a command is in its manual, and the other way."""
    source = pathlib.Path(f"cli/{command}.c")
    sources = [source]
    if not source.is_file():
        source = pathlib.Path(f"cli/{command}")
        sources = sorted(source.rglob("*.c"))
    manual = pathlib.Path(f"docs/man/glovebox-{command}.1.scd")
    completion = pathlib.Path("cli/completion/glovebox.bash")
    if not sources or not manual.is_file():
        return
    real = set()
    for file in sources + lent_to(sources):
        real |= set(re.findall(r'^ *\{"([a-z-]+)", *[\'O]', file.read_text(),
                               re.M))
    told = set(re.findall(r"^(?:\*-\w\*, )?\*--([a-z-]+)\*",
                          manual.read_text(), re.M))
    for name in sorted(real - told):
        faults.add(manual, 1, f"--{name} of {source} is not explained")
    for name in sorted(told - real):
        faults.add(manual, 1, f"--{name} is not an option of {source}")
    text = completion.read_text() if completion.is_file() else ""
    for name in sorted(real):
        if not re.search(rf"--{name}\b", text):
            faults.add(completion, 1, f"--{name} of {source} is missing")


def main():
    tree.arguments(__doc__)
    faults = tree.Faults("pages")
    paths = [p for p in sorted(pathlib.Path(".").glob("*.md"))]
    paths += list(tree.files(".md", folders=("docs", "examples", "bench")))
    for path in paths:
        text = path.read_text()
        check_links(path, text, faults)
        if path.name == "README.md":
            check_programs(path, text, faults)
    check_decisions(faults)
    check_exit_codes(faults)
    for command in ("run", "cache", "doctor", "flow"):
        check_options(command, faults)
    faults.leave(len(paths))


if __name__ == "__main__":
    main()
