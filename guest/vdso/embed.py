#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py IMAGE HEADER - an image as bytes in C, for vdso.c of the host."""
import pathlib
import sys


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: embed.py IMAGE HEADER")
    image = pathlib.Path(sys.argv[1]).read_bytes()
    lines = [", ".join(f"{byte:#04x}" for byte in image[at:at + 12])
             for at in range(0, len(image), 12)]
    pathlib.Path(sys.argv[2]).write_text(
        "static const unsigned char vdso_image[] = {\n    "
        + ",\n    ".join(lines) + "};\n")


if __name__ == "__main__":
    main()
