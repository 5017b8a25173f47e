#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py BUNDLE HEADER - a text as the bytes of an array in C."""
import sys

text = open(sys.argv[1], "rb").read() + b"\0"
with open(sys.argv[2], "w", encoding="ascii") as out:
    out.write("/* Made by embed.py. */\n"
              "static const unsigned char prelude[] = {\n")
    for at in range(0, len(text), 20):
        out.write(",".join(map(str, text[at:at + 20])) + ",\n")
    out.write("};\n")
