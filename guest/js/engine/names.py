#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""names.py MODULE.mjs HEADER - give the engine's functions their names back.

The module of the package exports functions under names of one or two letters;
the JavaScript that comes with it knows which is which.  Out comes a header with
a macro for each, QTS_Eval for what wasm2c calls Z_quickjsZ_qa.
"""
import re
import sys

PAIRS = re.compile(r"\bd\._(\w+)=b\.([\w$]+)")
NEEDED = ("malloc", "free", "QTS_Eval", "QTS_Call")


def mangled(name):
    """As wasm2c writes names: what is no plain letter becomes its number."""
    return "".join(c if (c.isalnum() and c != "Z") or c == "_"
                   else f"Z{ord(c):02X}" for c in name)


def main():
    text = open(sys.argv[1], encoding="utf-8").read().replace("\n", "")
    pairs = dict(PAIRS.findall(text))
    start = re.search(r"\bZ\.(\w+)\(\);H\?\.", text)
    missing = [name for name in NEEDED if name not in pairs]
    if missing or not start:
        sys.exit(f"{sys.argv[1]}: another version? no {missing or 'start'}")
    pairs["start"] = start[1]
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        out.write("/* Made by names.py. */\n")
        for name, letter in sorted(pairs.items()):
            engine = name if name.startswith("QTS_") else f"engine_{name}"
            out.write(f"#define {engine} Z_quickjsZ_{mangled(letter)}\n")


main()
