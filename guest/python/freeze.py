# SPDX-License-Identifier: Apache-2.0
"""Compile modules into a C header: what glovebox-python imports without a file.

usage: freeze.py OUTPUT FOLDER
"""
import marshal
import sys
from pathlib import Path

LIBRARY = Path("/usr/lib/python3.11")

# What CPython imports before it can run anything, as far as it is not frozen
# into it already.
STANDARD = "encodings", "encodings.aliases", "encodings.utf_8"


def sources(folder):
    for name in STANDARD:
        path = LIBRARY / name.replace(".", "/")
        package = path.is_dir()
        yield (name, path / "__init__.py" if package
               else path.with_suffix(".py"), package)
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        package = parts[-1] == "__init__"
        yield ".".join(parts[:-1] if package else parts), path, package


def main(output, folder):
    rows, arrays = [], []
    for number, (name, path, package) in enumerate(sources(Path(folder))):
        code = compile(path.read_text("utf-8"), f"<frozen {name}>", "exec",
                       dont_inherit=True, optimize=0)
        data = marshal.dumps(code)
        lines = [",".join(map(str, data[at:at + 20])) + ","
                 for at in range(0, len(data), 20)]
        arrays.append(f"static const unsigned char frozen_{number}[] = {{\n"
                      + "\n".join(lines) + "\n};\n")
        rows.append(f'    {{"{name}", frozen_{number}, {len(data)}, '
                    f"{int(package)}, NULL}},\n")
    Path(output).write_text(
        "/* Made by freeze.py. */\n" + "".join(arrays)
        + "static const struct _frozen frozen[] = {\n" + "".join(rows)
        + "    {NULL, NULL, 0, 0, NULL},\n};\n")


main(*sys.argv[1:])
