#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""names.py MODULE.mjs HEADER [QUICKJS.h] - give the engine's functions their
names back.

The module of the package exports functions under names of one or two letters;
the JavaScript that comes with it knows which is which.  Out comes a header with
a macro for each, QTS_Eval for what wasm2c calls Z_quickjsZ_qa.  With wasm2c's
header, from which the types are read: QTS_Eval is an import of WebAssembly, qa
of the module "engine".
"""
import re
import sys

PAIRS = re.compile(r"\bd\._(\w+)=b\.([\w$]+)")
NEEDED = ("malloc", "free", "QTS_Eval", "QTS_Call")


def mangled(name):
    """As wasm2c writes names: what is no plain letter becomes its number."""
    return "".join(c if (c.isalnum() and c != "Z") or c == "_"
                   else f"Z{ord(c):02X}" for c in name)


def write_macros(out, names):
    for name, letter in names:
        out.write(f"#define {name} Z_quickjsZ_{mangled(letter)}\n")


def write_imports(out, names, header):
    out.write("#include <stdint.h>\n"
              "typedef uint32_t u32;\ntypedef uint64_t u64;\n"
              "typedef double f64;\n")
    text = open(header, encoding="utf-8").read()
    for name, letter in names:
        found = re.search(r"^(\w+) Z_quickjsZ_" + mangled(letter) +
                          r"\(Z_quickjs_instance_t\*(?:, )?(.*)\);", text, re.M)
        if not found:
            continue  # a memory or a table
        out.write(f"__attribute__((import_module(\"engine\"), "
                  f"import_name(\"{letter}\")))\n"
                  f"{found[1]} import_{name}({found[2] or 'void'});\n"
                  f"#define {name}(instance, ...) "
                  f"import_{name}(__VA_ARGS__)\n")


def main():
    text = open(sys.argv[1], encoding="utf-8").read().replace("\n", "")
    pairs = dict(PAIRS.findall(text))
    start = re.search(r"\bZ\.(\w+)\(\);H\?\.", text)
    missing = [name for name in NEEDED if name not in pairs]
    if missing or not start:
        sys.exit(f"{sys.argv[1]}: another version? no {missing or 'start'}")
    pairs["start"] = start[1]
    names = [(name if name.startswith("QTS_") else f"engine_{name}", letter)
             for name, letter in sorted(pairs.items())]
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        out.write("/* Made by names.py. */\n")
        if len(sys.argv) > 3:
            write_imports(out, names, sys.argv[3])
        else:
            write_macros(out, names)


main()
