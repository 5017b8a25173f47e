#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""oracle_test.py ORACLE - each numeric instruction and each access to memory,
with values at their edges, against node's WebAssembly.

Beside the specification's own suite (spec_test.py), which has few values, another
engine is asked.  What a result's bits are is compared, but of a NaN only that it
is one: the specification leaves its payload open."""
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

ORACLE = sys.argv[1]

INTEGER = {"binary": "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s "
                     "shr_u rotl rotr".split(),
           "compare": "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u".split(),
           "unary": "clz ctz popcnt extend8_s extend16_s".split()}
FLOAT = {"binary": "add sub mul div min max copysign".split(),
         "compare": "eq ne lt gt le ge".split(),
         "unary": "abs neg ceil floor trunc nearest sqrt".split()}
CONVERT = [("i32", "i64", "wrap_i64"), ("i64", "i32", "extend_i32_s"),
           ("i64", "i32", "extend_i32_u"), ("i64", "i64", "extend32_s"),
           ("f32", "f64", "demote_f64"), ("f64", "f32", "promote_f32"),
           ("i32", "f32", "reinterpret_f32"), ("i64", "f64", "reinterpret_f64"),
           ("f32", "i32", "reinterpret_i32"), ("f64", "i64", "reinterpret_i64")]
CONVERT += [(i, f, f"trunc{sat}_{f}_{sign}") for i in ("i32", "i64")
            for f in ("f32", "f64") for sat in ("", "_sat") for sign in "su"]
CONVERT += [(f, i, f"convert_{i}_{sign}") for i in ("i32", "i64")
            for f in ("f32", "f64") for sign in "su"]
LOADS = ["i32.load", "i64.load", "f32.load", "f64.load"] + [
    f"{t}.load{bits}_{sign}" for t, sizes in (("i32", (8, 16)),
                                              ("i64", (8, 16, 32)))
    for bits in sizes for sign in "su"]
STORES = ["i32.store", "i64.store", "f32.store", "f64.store", "i32.store8",
          "i32.store16", "i64.store8", "i64.store16", "i64.store32"]

EDGES = [0, 1, 2, 7, 8, 31, 32, 63, 64, 127, 128, 255, 256, 32767, 32768, 65535]
I32 = sorted({v & 0xffffffff for e in EDGES + [2**31 - 1, 2**31, 0x12345678]
              for v in (e, -e)})
I64 = sorted({v & (2**64 - 1) for e in EDGES + [
    2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 0x123456789abcdef0]
    for v in (e, -e)})
NUMBERS = [0.0, 0.5, 1.0, 1.5, 2.5, 1e-45, 1e-310, 127.9, 32768.0, 2147483647.0,
           2147483648.0, 2147483648.5, 4294967295.0, 4294967296.0,
           9.2233720368547748e18, 9.2233720368547758e18, 1.8446744073709552e19,
           1e30, 3.4e38, 1e300, float("inf"), float("nan")]
F64 = [struct.unpack("<Q", struct.pack("<d", v))[0]
       for n in NUMBERS for v in (n, -n)]


def f32(value):
    try:
        return struct.unpack("<I", struct.pack("<f", value))[0]
    except OverflowError:
        return 0x7f7fffff


F32 = sorted({f32(v) for n in NUMBERS for v in (n, -n)})
VALUES = {"i32": I32, "i64": I64, "f32": F32, "f64": F64}

functions, calls = [], []


def add(parameters, result, body, values):
    name = f"f{len(functions)}"
    functions.append((name, parameters, result, body))
    calls.extend((name, *v) for v in values)


def add_numbers():
    for t in ("i32", "i64", "f32", "f64"):
        kinds = INTEGER if t[0] == "i" else FLOAT
        for kind, names in kinds.items():
            for op in names:
                two = kind != "unary"
                values = [(a, b) for a in VALUES[t] for b in VALUES[t][::3]] \
                    if two else [(a,) for a in VALUES[t]]
                add([t] * (1 + two), "i32" if kind == "compare" else t,
                    f"({t}.{op} (local.get 0)"
                    f"{' (local.get 1)' if two else ''})", values)
        if t[0] == "i":
            add([t], "i32", f"({t}.eqz (local.get 0))", [(a,) for a in VALUES[t]])
    for to, of, op in CONVERT:
        add([of], to, f"({to}.{op} (local.get 0))", [(a,) for a in VALUES[of]])


PLACES = [0, 1, 7, 100, 65527, 65528, 65529, 65532, 65533, 65534, 65535, 65536,
          2**31, 2**32 - 8, 2**32 - 4, 2**32 - 1]


def add_memory():
    for off in (0, 5, 65530, 2**32 - 1):
        for op in LOADS:
            add(["i32"], op[:3], f"({op} offset={off} (local.get 0))",
                [(p,) for p in PLACES])
        for op in STORES:
            t = op[:3]
            add(["i32", t], "i64",
                f"({op} offset={off} (local.get 0) (local.get 1))"
                f"(i64.xor (i64.load offset={min(off, 65528)} (i32.const 0))"
                f" (i64.load (i32.const 65528)))",
                [(p, VALUES[t][-3]) for p in PLACES])
    for op in ("memory.copy", "memory.fill"):
        for length in (0, 1, 9, 65536, 2**32 - 1):
            add(["i32", "i32"], "i64",
                f"({op} (local.get 0) (local.get 1) (i32.const {length}))"
                "(i64.xor (i64.load (i32.const 8)) (i64.load (i32.const 65528)))",
                [(p, q) for p in PLACES[:12] for q in PLACES[:12]])


def module():
    text = ["(module (memory 1)", '(data (i32.const 0) "' + "".join(
        f"\\{(i * 37 + 129) & 255:02x}" for i in range(300)) + '")',
        '(data (i32.const 65500) "' + "".join(
            f"\\{(i * 91 + 200) & 255:02x}" for i in range(36)) + '")']
    for name, parameters, result, body in functions:
        text.append(f'(func (export "{name}") (param {" ".join(parameters)}) '
                    f"(result {result}) {body})")
    return "\n".join(text) + ")"


# Values cross as bits: a number of JavaScript's would lose those of a NaN.
NODE = """
const fs = require('fs');
const [wasm, list] = process.argv.slice(2);
const compiled = new WebAssembly.Module(fs.readFileSync(wasm));
const {types, calls} = JSON.parse(fs.readFileSync(list));
const view = new DataView(new ArrayBuffer(8));
const read = {i32: v => Number(BigInt.asIntN(32, v)), i64: v => BigInt.asIntN(64, v),
  f32: v => (view.setUint32(0, Number(v)), view.getFloat32(0)),
  f64: v => (view.setBigUint64(0, v), view.getFloat64(0))};
const show = {i32: v => BigInt.asUintN(32, BigInt(v)), i64: v => BigInt.asUintN(64, v),
  f32: v => (view.setFloat32(0, v), BigInt(view.getUint32(0))),
  f64: v => (view.setFloat64(0, v), view.getBigUint64(0))};
const out = [];
for (const [name, ...cells] of calls) {
  const {exports} = new WebAssembly.Instance(compiled);
  const [parameters, result] = types[name];
  try {
    const v = exports[name](...cells.map((c, i) => read[parameters[i]](BigInt('0x' + c))));
    out.push(show[result](v).toString(16));
  } catch (e) { out.push('trap'); }
}
fs.writeSync(1, out.join('\\n') + '\\n');
"""


def is_nan(t, bits):
    if t == "f32":
        return bits & 0x7f800000 == 0x7f800000 and bits & 0x7fffff != 0
    return (t == "f64" and bits & 0x7ff << 52 == 0x7ff << 52 and
            bits & (1 << 52) - 1 != 0)


def same(t, ours, theirs):
    if ours == theirs:
        return True
    return "trap" not in (ours, theirs) and is_nan(t, int(ours, 16)) and \
        is_nan(t, int(theirs, 16))


def main():
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None:
        print("skipped: there is no node here")
        return 77
    add_numbers()
    add_memory()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "m.wat").write_text(module())
        subprocess.run(["wat2wasm", folder / "m.wat", "-o", folder / "m.wasm"],
                       check=True)
        given = [[name, *(f"{c:x}" for c in cells)] for name, *cells in calls]
        (folder / "list.json").write_text(json.dumps(
            {"types": {n: [p, r] for n, p, r, _ in functions}, "calls": given}))
        (folder / "m.cjs").write_text(NODE)
        theirs = subprocess.run(
            [node, folder / "m.cjs", folder / "m.wasm", folder / "list.json"],
            check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        ours = subprocess.run(
            [ORACLE, folder / "m.wasm"], check=True, capture_output=True,
            text=True,
            input="".join(" ".join(c) + "\n" for c in given)).stdout.split()
    result = {name: (r, body) for name, _, r, body in functions}
    wrong = [(c, o, t) for c, o, t in zip(given, ours, theirs)
             if not same(result[c[0]][0], o, t)]
    for call, our, their in wrong[:20]:
        print(f"{result[call[0]][1]} of {call[1:]}: {our}, node: {their}")
    print(f"{len(ours)} calls of {len(functions)} functions, "
          f"{len(wrong)} otherwise than node")
    return 1 if wrong or len(ours) != len(given) or \
        len(theirs) != len(given) else 0


sys.exit(main())
