// SPDX-License-Identifier: Apache-2.0
// actor(): marks a handler.  And atCopy(): what is to be done anew in a copy.
import { reseed } from "./crypto.js";

export const marked = []; // in the order of the script

function mark(handler, metadata) {
    if (typeof handler !== "function")
        throw new TypeError("actor() marks a function or a class");
    marked.push({ handler, metadata });
    return handler;
}

// actor({...}, fn), actor(fn) or actor({...})(fn)
export function actor(metadata, handler) {
    if (typeof metadata === "function")
        return mark(metadata, {});
    if (typeof metadata !== "object" || metadata === null)
        throw new TypeError("actor() takes an object and a function");
    return handler === undefined ? later => mark(later, metadata)
                                 : mark(handler, metadata);
}

const hooks = [];

// Sandboxes begin as copies of one that has loaded the script: what it had
// drawn by chance, all of them have.  hook() is called in each, before anything.
export function atCopy(hook) {
    hooks.push(hook);
    return hook;
}

export function renewed() {
    reseed();
    for (const hook of hooks)
        hook();
}
