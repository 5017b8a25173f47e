#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""patch.py ENGINE.wasm OUT.wasm - a place more in the engine's table, which is
exported as "table", so that hooks.wat can fill it; and the memory that it
imports has the name that our own module's has.

Format: WebAssembly Core Specification 2.0, chapter 5.
"""
import sys

IMPORT, TABLE, EXPORT = 2, 4, 7
MEMORY = b"\x01a\x01a\x02"  # a.a


def read_number(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def number(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def longer_table(body):
    count, at = read_number(body, 0)
    kind, flags = body[at], body[at + 1]
    first, at = read_number(body, at + 2)
    if count != 1 or kind != 0x70:
        sys.exit("patch.py: not the one table of functions that is known")
    most = b""
    if flags & 1:
        most, at = read_number(body, at)
        most = number(most + 1)
    return number(1) + bytes((kind, flags)) + number(first + 1) + most


def our_memory(body):
    if body.count(MEMORY) != 1:
        sys.exit("patch.py: the engine does not import one memory")
    return body.replace(MEMORY, b"\x01a\x06memory\x02")


def one_more_export(body):
    count, at = read_number(body, 0)
    return number(count + 1) + body[at:] + b"\x05table" + bytes((1, 0))


def main():
    data = open(sys.argv[1], "rb").read()
    out, at = bytearray(data[:8]), 8
    while at < len(data):
        section = data[at]
        length, at = read_number(data, at + 1)
        body = data[at:at + length]
        at += length
        if section == IMPORT:
            body = our_memory(body)
        elif section == TABLE:
            body = longer_table(body)
        elif section == EXPORT:
            body = one_more_export(body)
        out += bytes((section,)) + number(len(body)) + body
    open(sys.argv[2], "wb").write(out)


main()
