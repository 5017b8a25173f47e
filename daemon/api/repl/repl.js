// SPDX-License-Identifier: Apache-2.0
// What a person types at Node's prompt, run where the last of it was.
"use strict";

let said = [];

function show(value) {
    if (typeof value === "string")
        return value;
    if (value instanceof Error)
        return String(value.stack || value);
    try {
        return JSON.stringify(value) ?? String(value);
    } catch {
        return String(value);
    }
}

function put(stream, text) {
    for (const line of text.split("\n"))
        said.push({ stream, text: line });
}

const to = stream => (...values) => put(stream, values.map(show).join(" "));
for (const name of ["log", "info", "debug"])
    console[name] = to("stdout");
for (const name of ["error", "warn", "trace"])
    console[name] = to("stderr");

// What a line of its own declares is there for the next call.
const keep = code => code.replace(/^(?:const|let)(?=\s)/gm, "var");

function process(context) {
    said = [];
    try {
        const value = (0, eval)(keep(context.input.code));
        if (value !== undefined)
            put("stdout", typeof value === "string" ? `'${value}'`
                : show(value));
    } catch (error) {
        put("stderr", `Uncaught ${error}\n${error?.stack ?? ""}`.trimEnd());
    }
    return { output: said };
}
