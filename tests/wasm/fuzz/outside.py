# SPDX-License-Identifier: Apache-2.0
"""outside.py - what a module of WebAssembly exports, and a module without the
imports that binaryen's fuzzer gives it.

Only what such modules have is read here; what else there may be is refused by
an exception, and the module is left out."""

I32, I64, F32, F64, FUNCREF, EXTERNREF = 0x7f, 0x7e, 0x7d, 0x7c, 0x70, 0x6f
LETTERS = {I32: "i", I64: "I", F32: "f", F64: "F"}
TYPE, IMPORT, FUNCTION, GLOBAL, EXPORT, CODE = 1, 2, 3, 6, 7, 10
END = b"\x0b"


def leb(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def number(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7f) << shift
            if byte < 0x80:
                return value
            shift += 7

    def bytes(self, count):
        self.at += count
        return self.data[self.at - count:self.at]

    def rest(self):
        return self.data[self.at:]


def read_sections(module):
    """[[id, bytes]] in their order."""
    cursor, sections = Cursor(module), []
    assert cursor.bytes(8) == b"\0asm\1\0\0\0"
    while cursor.at < len(module):
        number = cursor.byte()
        sections.append([number, cursor.bytes(cursor.number())])
    return sections


def write_sections(sections):
    return b"\0asm\1\0\0\0" + b"".join(
        bytes([number]) + leb(len(data)) + data for number, data in sections)


def section(sections, number):
    return next((data for n, data in sections if n == number), b"\0")


def put_section(sections, number, data):
    for entry in sections:
        if entry[0] == number:
            entry[1] = data
            return
    at = next((i for i, (n, _) in enumerate(sections)
               if n != 0 and n > number), len(sections))
    sections.insert(at, [number, data])


def read_types(sections):
    cursor, types = Cursor(section(sections, TYPE)), []
    for _ in range(cursor.number()):
        assert cursor.byte() == 0x60
        parameters = cursor.bytes(cursor.number())
        types.append((parameters, cursor.bytes(cursor.number())))
    return types


def read_imports(sections):
    """[(module, name, type)]; all are functions."""
    cursor, imports = Cursor(section(sections, IMPORT)), []
    for _ in range(cursor.number()):
        module = cursor.bytes(cursor.number())
        name = cursor.bytes(cursor.number())
        assert cursor.byte() == 0, "an import that is no function"
        imports.append((module, name, cursor.number()))
    return imports


def read_exports(module):
    """[(name, parameters, results)] of functions whose types are numbers."""
    sections = read_sections(module)
    types = read_types(sections)
    cursor = Cursor(section(sections, FUNCTION))
    functions = [i[2] for i in read_imports(sections)]
    functions += [cursor.number() for _ in range(cursor.number())]
    cursor, exports = Cursor(section(sections, EXPORT)), []
    for _ in range(cursor.number()):
        name = cursor.bytes(cursor.number())
        kind, index = cursor.byte(), cursor.number()
        if kind != 0:
            continue
        parameters, results = types[functions[index]]
        if all(t in LETTERS for t in parameters + results):
            exports.append((name, "".join(LETTERS[t] for t in parameters),
                            "".join(LETTERS[t] for t in results)))
    return exports


def fold(number, parameters, results, hash_global):
    """A body in the place of an import: numbers go into a hash, and zeros or
    nulls are what comes back."""
    to_i32 = {I32: b"", I64: b"\xa7", F32: b"\xbc", F64: b"\xbd\xa7"}
    zero = {I32: b"\x41\0", I64: b"\x42\0", F32: b"\x43" + bytes(4),
            F64: b"\x44" + bytes(8), FUNCREF: b"\xd0\x70",
            EXTERNREF: b"\xd0\x6f"}
    glob, code = leb(hash_global), b"\0"
    for i, t in enumerate([None, *parameters]):
        code += b"\x23" + glob + b"\x41\5\x77"  # global.get, rotl 5
        code += b"\x41" + leb(number + 1 & 63) if t is None or t not in to_i32 \
            else b"\x20" + leb(i - 1) + to_i32[t]
        code += b"\x73\x24" + glob  # xor, global.set
    code += b"".join(zero[t] for t in results) + END
    return leb(len(code)) + code


def close(module):
    """The module with its imports as functions of its own, and a function
    `logged` that tells a hash of what they were given."""
    sections = read_sections(module)
    sections = [s for s in sections if s[0] != 0]
    imports, types = read_imports(sections), read_types(sections)
    if not imports:
        return module
    sections = [s for s in sections if s[0] != IMPORT]

    def longer(number, first, last, more):
        cursor = Cursor(section(sections, number))
        count = cursor.number()
        put_section(sections, number, leb(count + more) + first +
                    cursor.rest() + last)
        return count

    own = Cursor(section(sections, FUNCTION)).number()
    globals_before = longer(GLOBAL, b"", b"\x7f\1\x41\0" + END, 1)
    longer(TYPE, b"", b"\x60\0\1\x7f", 1)
    longer(FUNCTION, b"".join(leb(t) for _, _, t in imports),
           leb(len(types)), len(imports) + 1)
    bodies = b"".join(fold(i, *types[t], globals_before)
                      for i, (_, _, t) in enumerate(imports))
    read = b"\0\x23" + leb(globals_before) + END
    longer(CODE, bodies, leb(len(read)) + read, len(imports) + 1)
    longer(EXPORT, b"", b"\6logged\0" + leb(len(imports) + own), 1)
    return write_sections(sections)
