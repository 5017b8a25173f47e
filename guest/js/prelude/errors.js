// SPDX-License-Identifier: Apache-2.0
// Errors: ours, and how any of them is told to the host.

// How the columns of the script's own frames are made right; modules.js sets it.
let unwrap = stack => stack;
export function setUnwrap(how) {
    unwrap = how;
}

// The host refused a host call; its message says why.
export class HostError extends Error {
    get name() { return "HostError"; }
}

const MESSAGE_MAX = 8192;
const STACK_MAX = 40960;

function shorten(text, most) {
    if (text.length <= most)
        return text;
    const half = (most >> 1) - 32;
    return text.slice(0, half)
        + `\n  ... ${text.length - 2 * half} characters left out ...\n`
        + text.slice(-half);
}

function safely(what) {
    try {
        const text = what();
        return typeof text === "string" ? text : String(text);
    } catch {
        return "(its description failed)";
    }
}

// Frames of the prelude are none of the script's business.
function ownFrames(stack) {
    return unwrap(stack).split("\n").filter(line => line.trim() !== ""
        && !line.includes("glovebox:") && !/^\s+at .*\(native\)$/.test(line))
        .map(line => line + "\n").join("");
}

function describe(error, depth) {
    const isError = error instanceof Error
        || (typeof error === "object" && error !== null && "stack" in error);
    if (!isError)
        return "Uncaught " + safely(() => String(error)) + "\n";
    const name = safely(() => error.name), message = safely(() => error.message);
    let text = (message ? `${name}: ${message}` : name) + "\n"
        + ownFrames(safely(() => error.stack ?? ""));
    if (error.cause !== undefined && depth < 8)
        text += "Caused by: " + describe(error.cause, depth + 1);
    if (error instanceof AggregateError && depth < 8)
        for (const inner of error.errors)
            text += "Of these: " + describe(inner, depth + 1);
    return text;
}

const MEMORY = /^out of memory$/;

// The Object of FAILED (abi/message.h).
export function report(error) {
    const isError = error instanceof Error;
    const message = safely(() => isError ? error.message : String(error));
    const told = {
        type: isError ? safely(() => error.name) : "Uncaught",
        message: shorten(message, MESSAGE_MAX),
        traceback: shorten(safely(() => describe(error, 0)), STACK_MAX),
    };
    if (isError && error.name === "InternalError" && MEMORY.test(message))
        told.limit = "memory";
    return told;
}
