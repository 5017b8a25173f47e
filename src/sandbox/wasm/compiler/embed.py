#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py OUT NAME FILE... - files as one array of bytes in a C header."""
import sys


def main():
    data = b"".join(open(path, "rb").read() for path in sys.argv[3:])
    name = sys.argv[2]
    with open(sys.argv[1], "w", encoding="ascii") as out:
        out.write("/* Made by embed.py. */\n")
        out.write(f"static const unsigned char {name}[] = {{\n")
        for at in range(0, len(data), 20):
            row = ",".join(str(b) for b in data[at:at + 20])
            out.write(row + ",\n")
        out.write(f"}};\nstatic const unsigned long {name}_bytes = "
                  f"{len(data)};\n")


main()
