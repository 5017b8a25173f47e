// SPDX-License-Identifier: Apache-2.0
// setTimeout and its relatives.  They run while a call waits for its answer;
// between calls they stand still, and the next call runs those that are due.
import { native } from "./native.js";

const timers = new Map(); // number -> timer
let last = 0, first = null; // the next one, or null: look

function start(callback, delay, values, isRepeated) {
    if (typeof callback !== "function")
        throw new TypeError("a timer needs a function");
    const every = Math.max(isRepeated ? 1 : 0, Number(delay) || 0);
    timers.set(++last, { number: last, callback, values,
                         due: native.now() + every,
                         every: isRepeated ? every : -1 });
    first = null;
    return last;
}

export const setTimeout = (callback, delay, ...values) =>
    start(callback, delay, values, false);
export const setInterval = (callback, delay, ...values) =>
    start(callback, delay, values, true);
export const setImmediate = (callback, ...values) =>
    start(callback, 0, values, false);
export function clearTimeout(number) {
    if (timers.delete(number))
        first = null;
}

function next() {
    let found = null;
    for (const timer of timers.values())
        if (found === null || timer.due < found.due)
            found = timer;
    return found;
}

// Run one that is due.  Milliseconds until the next: 0 look again, -1 none.
export function fire() {
    first ??= next();
    if (first === null)
        return -1;
    const timer = first, wait = timer.due - native.now();
    if (wait > 0)
        return wait;
    first = null;
    if (timer.every < 0)
        timers.delete(timer.number);
    else
        timer.due = Math.max(timer.due + timer.every, native.now());
    timer.callback(...timer.values);
    return 0;
}
