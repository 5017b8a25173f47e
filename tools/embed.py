#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py NAME FILE HEADER - a text as the bytes of an array in C."""
import sys

name, path, header = sys.argv[1:]
with open(path, "rb") as file:
    text = file.read() + b"\0"
with open(header, "w", encoding="ascii") as out:
    out.write(f"/* Made by embed.py. */\nstatic const unsigned char {name}[] = "
              "{\n")
    for at in range(0, len(text), 20):
        out.write(",".join(map(str, text[at:at + 20])) + ",\n")
    out.write("};\n")
