// SPDX-License-Identifier: Apache-2.0
// console: to the caller's standard output and error, as Node prints it.
import inspect from "object-inspect";
import { native } from "./native.js";

const OUT = 1, ERR = 2;

function show(value, isTop) {
    if (typeof value === "string")
        return isTop ? value : inspect(value);
    if (value instanceof Error)
        return `${value.name}: ${value.message}\n${value.stack ?? ""}`.trimEnd();
    return inspect(value, { depth: 4 });
}

function format(values) {
    if (typeof values[0] !== "string" || values.length === 1
        || !values[0].includes("%"))
        return values.map(value => show(value, true)).join(" ");
    let at = 1;
    const text = values[0].replace(/%[sdifjoOc%]/g, directive => {
        if (directive === "%%")
            return "%";
        if (at >= values.length)
            return directive;
        const value = values[at++];
        switch (directive) {
        case "%s": return typeof value === "string" ? value : show(value, true);
        case "%d": return String(typeof value === "bigint" ? value : Number(value));
        case "%i": return String(Math.trunc(Number(value)));
        case "%f": return String(Number(value));
        case "%j": return JSON.stringify(value);
        case "%c": return "";
        default: return show(value, false);
        }
    });
    return [text, ...values.slice(at).map(value => show(value, true))].join(" ");
}

let indent = "";
const counts = new Map(), times = new Map();

function print(stream, values) {
    const text = format(values);
    native.print(stream, indent === "" ? text + "\n"
        : text.split("\n").map(line => indent + line + "\n").join(""));
}

export const console = {
    log: (...values) => print(OUT, values),
    info: (...values) => print(OUT, values),
    debug: (...values) => print(OUT, values),
    dir: value => print(OUT, [value]),
    warn: (...values) => print(ERR, values),
    error: (...values) => print(ERR, values),
    trace: (...values) =>
        print(ERR, ["Trace:", ...values, "\n" + new Error().stack]),
    assert(condition, ...values) {
        if (!condition)
            print(ERR, ["Assertion failed", ...values]);
    },
    group(...values) {
        if (values.length > 0)
            print(OUT, values);
        indent += "  ";
    },
    groupEnd() { indent = indent.slice(2); },
    count(label = "default") {
        counts.set(label, (counts.get(label) ?? 0) + 1);
        print(OUT, [`${label}: ${counts.get(label)}`]);
    },
    countReset(label = "default") { counts.delete(label); },
    time(label = "default") { times.set(label, native.now()); },
    timeEnd(label = "default") {
        if (times.has(label))
            print(OUT, [`${label}: ${(native.now() - times.get(label)).toFixed(3)} ms`]);
        times.delete(label);
    },
    table: value => print(OUT, [value]),
};
