# SPDX-License-Identifier: Apache-2.0
"""generate.py - a random module that tries what our checks are for: accesses at
the edges of its memory and of 4 GiB, tables, recursion, loops without an end.

  Maker(seed, size).text()   the module as text
  Maker(seed, size).spins    names of exports that do not return by themselves

A module ends by itself, but for those: each function and each round of a loop
takes from the fuel that each call from outside fills anew.  What a NaN's bits
are is open, so none gets where they would show."""
import random
import struct

TYPES = ("i32", "i64", "f32", "f64")
PAGES_MAX = 40
FUEL = 3000
NAMES = ["*/", "/*", "a*/ }; int x; /*", "??/", '"', "\\", "\n", "\u00e9\u4e2d",
         "", "main", "int", "memory_fill", "Z_m_init_module", "_start ", "%s%n",
         "w2c_f", "call0\0", "call1\0x", "x" * 2000, "e0", "glovebox_module", "\x7f", "\u202e", "a b"]

INTEGER = {
    "2": "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl "
         "rotr".split(),
    "1": "clz ctz popcnt extend8_s extend16_s".split(),
    "c": "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u".split()}
FLOAT = {"2": "add sub mul div min max copysign".split(),
         "1": "abs neg ceil floor trunc nearest sqrt".split(),
         "c": "eq ne lt gt le ge".split()}
LOADS = {"i32": "load load8_s load8_u load16_s load16_u".split(),
         "i64": "load load8_s load8_u load16_s load16_u load32_s "
                "load32_u".split(), "f32": ["load"], "f64": ["load"]}
STORES = {"i32": "store store8 store16".split(),
          "i64": "store store8 store16 store32".split(),
          "f32": ["store"], "f64": ["store"]}
CONVERSIONS = {
    "i32": ["i64 i32.wrap_i64", "f32 i32.trunc_f32_s", "f64 i32.trunc_f64_u",
            "f32 i32.trunc_sat_f32_u", "f64 i32.trunc_sat_f64_s",
            "f32 i32.reinterpret_f32", "i64 i64.eqz", "i32 i32.eqz"],
    "i64": ["i32 i64.extend_i32_s", "i32 i64.extend_i32_u",
            "f32 i64.trunc_f32_u", "f64 i64.trunc_f64_s",
            "f32 i64.trunc_sat_f32_s", "f64 i64.trunc_sat_f64_u",
            "f64 i64.reinterpret_f64", "i64 i64.extend32_s"],
    "f32": ["i32 f32.convert_i32_s", "i64 f32.convert_i64_u",
            "f64 f32.demote_f64", "i32 f32.reinterpret_i32"],
    "f64": ["i32 f64.convert_i32_u", "i64 f64.convert_i64_s",
            "f32 f64.promote_f32", "i64 f64.reinterpret_i64"]}
EDGES = [0, 1, 2, 3, 7, 8, 31, 32, 63, 127, 128, 255, 256, 32767, 32768, 65535,
         65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63]
PLACES = [0, 1, 2, 3, 4, 8, 100, 65528, 65532, 65535, 65536, 131064, 131072,
          2**32 - 1, 2**32 - 8, 2**32 - 65536]
FLOATS = ["0", "-0", "1", "-1", "0.5", "1.5", "-2.5", "1e10", "-1e10", "1e30",
          "2147483647", "2147483648", "-2147483649", "4294967296", "inf", "-inf",
          "9223372036854775807", "18446744073709551616", "1e-40", "3.4e38"]


def text_of(name):
    return '"' + "".join(f"\\{b:02x}" for b in name.encode()) + '"'


class Maker:
    def __init__(self, seed, size=30):
        self.random = random.Random(seed)
        self.size, self.spins, self.lines = size, [], []
        r = self.random
        self.pages = r.choice([0, 1, 1, 1, 1, 1, 1, 2, 2, 3])
        self.pages_max = r.choice([self.pages, self.pages + 1, PAGES_MAX])
        self.tables = [r.choice([0, 1, 5, 10, 300]) for _ in
                       range(r.choice([1, 1, 2]))]
        self.tables_max = [t + r.choice([0, 1, 50]) for t in self.tables]
        self.globals = [(r.choice(TYPES)) for _ in range(r.randrange(1, 8))]
        self.data = [r.randrange(0, 80) for _ in range(r.randrange(1, 4))]
        self.elements = [r.randrange(0, 6) for _ in range(r.randrange(1, 3))]
        self.types = [self.type() for _ in range(r.randrange(2, 7))]
        self.functions = [r.randrange(len(self.types)) for _ in
                          range(r.randrange(2, 9))]
        self.tables[0] = max(self.tables[0], len(self.functions))
        self.tables_max[0] += len(self.functions)
        self.slots = [r.randrange(len(self.functions)) if self.chance(80)
                      else None for _ in range(len(self.functions))]
        self.depth = self.labels = self.budget = 0
        self.locals, self.results = [], []

    def chance(self, percent):
        return self.random.random() * 100 < percent

    def pick(self, *choices):
        return self.random.choice(choices)

    def type(self):
        r = self.random
        parameters = r.randrange(0, 6) if self.chance(95) else r.choice([40, 90])
        results = r.choice([0, 1, 1, 1, 2, 3]) if self.chance(96) else 30
        return ([r.choice(TYPES) for _ in range(parameters)],
                [r.choice(TYPES) for _ in range(results)])

    # ---- expressions ----

    def constant(self, t):
        if t[0] == "f":
            return f"({t}.const {self.random.choice(FLOATS)})"
        value = self.random.choice(EDGES) + self.pick(0, 0, 0, 1, -1)
        value = self.pick(value, -value, self.random.getrandbits(64))
        bits = int(t[1:])
        return f"({t}.const {value % 2**bits})"

    def sane(self, t, expression):
        """A float without a NaN in it."""
        return f"(call $sane_{t} {expression})" if t[0] == "f" else expression

    def place(self):
        """An address, and the offset that an access has beside it."""
        edge = max(self.pages, 1) * 65536
        hostile = [edge, edge - 1, edge - 4, edge - 8, 2**31, 2**32 - 1,
                   2**32 - 8, 2**32 - edge, 2**32 - 65536]
        r = self.random
        if self.chance(97):
            return (f"(i32.and {self.expression('i32')} (i32.const "
                    f"{r.choice([255, 4095, 65528])}))", r.choice([0, 0, 1, 7]))
        if self.chance(30):
            return self.expression("i32"), r.choice([0, *hostile])
        address = r.choice([0, 1, r.choice(hostile)])
        return (f"(i32.const {address})",
                r.choice([0, 1, 8, r.choice(hostile),
                          (2**32 - address) % 2**32,
                          (2**32 + edge - address - r.randrange(9)) % 2**32]))

    def length(self):
        if self.chance(93):
            return f"(i32.const {self.random.randrange(0, 300)})"
        return self.pick(self.expression("i32"), "(i32.const -1)",
                         f"(i32.const {self.pages * 65536})",
                         "(i32.const 0x7fffffff)", "(i32.const 65537)")

    def leaf(self, t):
        mine = [i for i, have in enumerate(self.locals) if have == t]
        theirs = [i for i, have in enumerate(self.globals) if have == t]
        what = self.random.randrange(4)
        if what < 2 and mine:
            return f"(local.get {self.random.choice(mine)})"
        if what == 2 and theirs:
            return f"(global.get $g{self.random.choice(theirs)})"
        return self.constant(t)

    def number(self, t):
        kinds = INTEGER if t[0] == "i" else FLOAT
        kind = self.pick("2", "2", "1", "c")
        if kind == "c":
            if t != "i32":
                kind = "2"
            else:
                of = self.random.choice(TYPES)
                names = INTEGER if of[0] == "i" else FLOAT
                return (f"({of}.{self.random.choice(names['c'])} "
                        f"{self.expression(of)} {self.expression(of)})")
        op = self.random.choice(kinds[kind])
        right = self.expression(t) if kind == "2" else ""
        if kind == "2" and op[:3] in ("div", "rem") and t[0] == "i" and \
                self.chance(85):
            right = f"({t}.or {right} ({t}.const 3))"
        return self.sane(t, f"({t}.{op} {self.expression(t)} {right})")

    def convert(self, t):
        of, op = self.random.choice(CONVERSIONS[t]).split()
        if ".trunc_f" in op and self.chance(85):
            op = op.replace(".trunc_f", ".trunc_sat_f")
        return self.sane(t, f"({op} {self.expression(of)})")

    def arguments(self, parameters):
        return " ".join(self.expression(p) for p in parameters)

    def call(self, index):
        parameters = self.types[self.functions[index]][0]
        return f"(call $f{index} {self.arguments(parameters)})"

    def call_indirect(self, number):
        table = self.random.randrange(len(self.tables))
        index = f"(i32.const {self.random.randrange(0, 8)})" \
            if self.chance(80) else self.expression("i32")
        fit = [i for i, f in enumerate(self.slots) if f is not None
               and self.types[self.functions[f]] == self.types[number]]
        if fit and self.chance(90):
            table, index = 0, f"(i32.const {self.random.choice(fit)})"
        return (f"(call_indirect $t{table} (type $y{number}) "
                f"{self.arguments(self.types[number][0])} {index})")

    def expression(self, t):
        self.depth += 1
        self.budget -= 1
        try:
            if self.depth > 5 or self.budget < 0 or self.chance(25):
                return self.leaf(t)
            what = self.random.randrange(12)
            if what < 4:
                return self.number(t)
            if what < 6:
                return self.convert(t)
            if what < 8:
                address, off = self.place()
                op = self.random.choice(LOADS[t])
                return self.sane(t, f"({t}.{op} offset={off} {address})")
            return self.larger(t, what)
        finally:
            self.depth -= 1

    def larger(self, t, what):
        if what == 8:
            return (f"(select {self.expression(t)} {self.expression(t)} "
                    f"{self.expression('i32')})")
        if what == 9:
            return (f"(if (result {t}) {self.expression('i32')} (then "
                    f"{self.expression(t)}) (else {self.expression(t)}))")
        if what == 10 and t == "i32":
            table = f"$t{self.random.randrange(len(self.tables))}"
            more = self.pick("(i32.const 1)", self.expression("i32"))
            return self.pick(
                "(memory.size)", f"(memory.grow {more})",
                f"(table.size {table})",
                f"(table.grow {table} (ref.null func) {self.length()})",
                f"(ref.is_null (table.get {table} (i32.const "
                f"{self.random.randrange(7)})))")
        mine = [i for i, f in enumerate(self.functions)
                if self.types[f][1] == [t]]
        types = [i for i, y in enumerate(self.types) if y[1] == [t]]
        if mine and self.chance(60):
            return self.call(self.random.choice(mine))
        if types:
            return self.call_indirect(self.random.choice(types))
        mine = [i for i, have in enumerate(self.locals) if have == t]
        if mine:
            return (f"(local.tee {self.random.choice(mine)} "
                    f"{self.expression(t)})")
        return self.leaf(t)

    # ---- statements ----

    def bulk(self):
        table = f"$t{self.random.randrange(len(self.tables))}"
        index = self.expression("i32") if self.chance(8) else \
            f"(i32.const {self.random.randrange(6)})"
        few = self.length() if self.chance(8) else \
            f"(i32.const {self.random.randrange(5)})"
        to, source = self.place()[0], self.place()[0]
        data = self.random.randrange(len(self.data))
        element = self.random.randrange(len(self.elements))
        entry = self.pick("(ref.func $f1)", "(ref.null func)")
        return self.pick(
            f"(memory.fill {to} {self.expression('i32')} {self.length()})",
            f"(memory.copy {to} {source} {self.length()})",
            f"(memory.init $d{data} {to} {index} "
            f"{few})",
            f"(table.init {table} $e{element} {index} {index} {few})",
            f"(table.copy {table} $t0 {index} (i32.const 0) {few})",
            f"(table.fill {table} {index} (ref.func $f0) {few})",
            f"(table.set {table} {index} {entry})",
            f"(data.drop $d{data})" if self.chance(20) else "(nop)",
            f"(elem.drop $e{element})" if self.chance(20) else "(nop)")

    def block(self, room):
        """A label of its own around some statements."""
        self.labels += 1
        label = f"$l{self.labels}"
        what = self.random.randrange(4)
        inside = self.statements(room // 2, label if what < 2 else None)
        if what == 0:
            return f"(block {label} {inside})"
        if what == 1:
            return (f"(block {label} (block $in{label[1:]} (block $on{label[1:]} "
                    f"(br_table {label} $in{label[1:]} $on{label[1:]} {label} "
                    f"$in{label[1:]} {self.expression('i32')})) {inside}) "
                    f"{self.statements(room // 4)})")
        if what == 2:
            return (f"(if {self.expression('i32')} (then {inside}) (else "
                    f"{self.statements(room // 3)}))")
        return (f"(loop {label} (global.set $fuel (i32.sub (global.get $fuel) "
                f"(i32.const 1))) {inside} (br_if {label} (i32.and (i32.gt_s "
                f"(global.get $fuel) (i32.const 0)) {self.expression('i32')})))")

    def statement(self, room, label):
        r = self.random
        what = r.randrange(20)
        if what < 5:
            t = r.choice(TYPES)
            address, off = self.place()
            return (f"({t}.{r.choice(STORES[t])} offset={off} {address} "
                    f"{self.expression(t)})")
        if what < 8 and self.locals:
            i = r.randrange(len(self.locals))
            return f"(local.set {i} {self.expression(self.locals[i])})"
        if what < 10:
            i = r.randrange(len(self.globals))
            return f"(global.set $g{i} {self.expression(self.globals[i])})"
        if what < 12:
            return self.bulk()
        if what < 14:
            index = r.randrange(len(self.functions))
            results = self.types[self.functions[index]][1]
            return self.call(index) + " (drop)" * len(results)
        if what == 14:
            number = r.randrange(len(self.types))
            return self.call_indirect(number) + \
                " (drop)" * len(self.types[number][1])
        if what == 15 and label:
            return f"(br_if {label} {self.expression('i32')})"
        if what == 16 and self.chance(30):
            return (f"(if {self.expression('i32')} (then "
                    f"{self.pick('(unreachable)', self.give_back())}))")
        return self.block(room) if room > 2 and self.budget > 0 else "(nop)"

    def statements(self, room, label=None):
        count = self.random.randrange(1, max(2, min(room, 5)))
        return " ".join(self.statement(room // count, label)
                        for _ in range(count))

    def give_back(self):
        return f"(return {' '.join(self.leaf(t) for t in self.results)})"

    # ---- the module ----

    def function(self, index):
        parameters, self.results = self.types[self.functions[index]]
        many = self.random.choice([0, 1, 3, 8]) if self.chance(93) else 400
        own = [self.random.choice(TYPES) for _ in range(many)]
        self.locals, self.budget = parameters + own, self.size * 10
        body = self.statements(self.size)
        results = " ".join(self.expression(t) for t in self.results)
        self.lines.append(
            f"(func $f{index} (type $y{self.functions[index]})" +
            (f" (local {' '.join(own)})" if own else "") +
            " (if (i32.lt_s (global.get $fuel) (i32.const 0)) (then "
            f"(return {' '.join(f'({t}.const 0)' for t in self.results)})))"
            "(global.set $fuel (i32.sub (global.get $fuel) (i32.const 1)))"
            f"\n{body}\n{results})")

    def export(self, index, name):
        parameters, results = self.types[self.functions[index]]
        gets = " ".join(
            self.sane(t, f"(local.get {i})") for i, t in enumerate(parameters))
        self.lines.append(
            f"(func (export {text_of(name)}) (type $y{self.functions[index]}) "
            f"(global.set $fuel (i32.const {FUEL})) (call $f{index} {gets}))")

    def endless(self):
        """Of each kind that there is: loops, and recursions."""
        self.locals, self.results = ["i32", "i64", "f64"], []
        keep = "(global.set $fuel (i32.const 50))"
        loops = [
            "(loop (br 0))",
            f"(loop $x {keep} (i32.store (i32.const 0) (local.get 0)) (br $x))",
            "(loop $x (block $y (br_table $x $y $x (local.get 0))) (br $x))",
            "(loop $x (loop $y (br_if $y (i32.const 1))) (br $x))",
            f"(loop $x {keep} (if (i32.const 1) (then (br $x))) (br $x))",
            f"(loop $x {keep} (memory.fill (i32.const 0) (i32.const 1) "
            f"(i32.const {self.pages * 65536})) (br $x))",
            f"(block $out (loop $x (result i32) {keep} (br_if $out (i32.const 0))"
            " (br $x)) (drop))",
            "(loop $x (br_if $x (i32.eqz (i32.const 0))))"]
        if self.pages == 0:
            del loops[1]  # it would end in a trap
        self.lines.append(
            f'(func (export "spin") (local i32 i64 f64) {keep} '
            f"{self.random.choice(loops)})")
        self.spins.append("spin")
        deep = self.random.choice([
            "(drop (i32.add (call $deep (local.get 0)) (i32.const 1)))",
            "(drop (call $other (local.get 0)))",
            "(return (call $other (local.get 0)))",
            "(return_call_in)"]).replace(
                "(return_call_in)", "(return (call_indirect $deep_table (param "
                "i32) (result i32) (local.get 0) (i32.const 0)))")
        self.lines += [
            "(table $deep_table funcref (elem $deep))",
            '(func $deep (export "deep") (param i32) (result i32) '
            f"(local {'i64 ' * self.pick(0, 50)}) {deep} (local.get 0))",
            f"(func $other (param i32) (result i32) {keep} "
            "(return (call $deep (i32.add (local.get 0) (i32.const 1)))))"]

    def probes(self):
        """Functions of one act each, of what the caller says."""
        r = self.random
        table = f"$t{r.randrange(len(self.tables))}"
        three = "(local.get 0) (local.get 1) (local.get 2)"
        data, element = r.randrange(len(self.data)), r.randrange(
            len(self.elements))
        acts = [f"(memory.fill {three})", f"(memory.copy {three})",
                f"(memory.init $d{data} {three})",
                f"(table.init {table} $e{element} {three})",
                f"(table.copy {table} $t0 {three})",
                f"(table.fill {table} (local.get 0) (ref.func $f0) "
                "(local.get 2))", f"(table.set {table} (local.get 0) "
                "(table.get $t0 (local.get 1)))"]
        for t in TYPES:
            off = self.place()[1]
            acts += [
                f"({t}.{r.choice(STORES[t])} offset={off} (local.get 0) "
                f"({t}.const 1))",
                f"(drop ({t}.{r.choice(LOADS[t])} offset={off} "
                "(local.get 0)))"]
        number = self.pick(0, r.randrange(len(self.types)))
        acts += [
            f"(call_indirect {self.pick('$t0', table)} (type $y{number}) "
            f"{' '.join(f'({t}.const 1)' for t in self.types[number][0])} "
            f"(local.get 0)) {'(drop)' * len(self.types[number][1])}"] * 4
        for i, act in enumerate(r.sample(acts, 7)):
            self.lines.append(
                f'(func (export "probe{i}") (param i32 i32 i32) '
                f"(result i32 i32) {act} (memory.size) (table.size {table}))")

    def segments(self):
        r = self.random
        for i, count in enumerate(self.data):
            some = "".join(f"\\{r.randrange(256):02x}" for _ in range(count))
            at = self.pick(0, 100, 65500, self.pages * 65536 - count)
            active = self.chance(50) and (
                0 <= at <= self.pages * 65536 - count or self.chance(10))
            where = f"(i32.const {at})" if active else ""
            self.lines.append(f'(data $d{i} {where} "{some}")')
        for i, count in enumerate(self.elements):
            names = " ".join(
                "(ref.null func)" if self.chance(40) else
                f"(ref.func $f{r.randrange(len(self.functions))})"
                for _ in range(count))
            table = r.randrange(len(self.tables))
            fits = self.tables[table] >= count or self.chance(5)
            where = f"(table $t{table}) (i32.const 0)" \
                if fits and self.chance(70) else ""
            self.lines.append(f"(elem $e{i} {where} funcref {names})")
        slots = " ".join("(ref.null func)" if i is None else
                         f"(ref.func $f{i})" for i in self.slots)
        self.lines += [f"(elem (table $t0) (i32.const 0) funcref {slots})",
                       "(elem declare func $f0 $f1)"]

    def head(self):
        if self.chance(40):  # then accesses are compared with windows, too
            self.lines.append(
                '(import "glovebox" "region" (func (result i32)))')
        for i, (parameters, results) in enumerate(self.types):
            self.lines.append(
                f"(type $y{i} (func (param {' '.join(parameters)}) "
                f"(result {' '.join(results)})))")
        self.lines.append(
            f'(memory (export "memory") {self.pages} {self.pages_max})')
        for i, (size, most) in enumerate(zip(self.tables, self.tables_max)):
            self.lines.append(f"(table $t{i} {size} {most} funcref)")
        self.lines.append(f"(global $fuel (mut i32) (i32.const {FUEL}))")
        for i, t in enumerate(self.globals):
            self.lines.append(
                f"(global $g{i} (mut {t}) {self.constant(t)})")
        for t in ("f32", "f64"):
            self.lines.append(
                f"(func $sane_{t} (param {t}) (result {t}) (select (local.get 0)"
                f" ({t}.const 0) ({t}.eq (local.get 0) (local.get 0))))")

    def text(self):
        self.lines = []
        self.head()
        for i in range(len(self.functions)):
            self.function(i)
        odd = self.random.sample(NAMES, min(len(NAMES), len(self.functions)))
        for i in range(len(self.functions)):
            self.export(i, odd[i] if self.chance(40) else f"call{i}")
        if self.chance(60):
            self.endless()
        if self.chance(20):
            plain = [i for i, f in enumerate(self.functions)
                     if self.types[f] == ([], [])]
            if plain:
                self.lines.append(f"(start $f{self.random.choice(plain)})")
        self.probes()
        self.segments()
        return "(module\n" + "\n".join(self.lines) + ")\n"


def arguments(random_, parameters):
    """Cells for a call, by the letters of its parameters."""
    edges = random_.choice([EDGES, EDGES[:9], PLACES])
    cells = []
    for t in parameters:
        if t in "fF":
            value = float(random_.choice(FLOATS)) if random_.random() < 0.9 \
                else float("nan")
            cells.append(bits_of(t, value))
        else:
            value = random_.choice(edges + [random_.getrandbits(64)])
            value = random_.choice([value, -value])
            if cells and random_.random() < 0.3:  # their sum may wrap
                value = random_.randrange(3) - cells[-1]
            cells.append(value % 2**(64 if t == "I" else 32))
    return cells


def bits_of(t, value):
    if t == "F":
        return struct.unpack("<Q", struct.pack("<d", value))[0]
    try:
        return struct.unpack("<I", struct.pack("<f", value))[0]
    except OverflowError:
        return 0x7f800000
