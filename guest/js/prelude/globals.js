// SPDX-License-Identifier: Apache-2.0
// The global scope: what scripts know from Node and browsers.
import "core-js/actual/url";
import "core-js/actual/url-search-params";
import "core-js/actual/structured-clone";
import "core-js/actual/atob";
import "core-js/actual/btoa";
import { console } from "./console.js";
import { crypto, random } from "./crypto.js";
import { native } from "./native.js";
import { TextEncoder, TextDecoder } from "./text.js";
import * as timers from "./timers.js";

function define(name, value) {
    Object.defineProperty(globalThis, name, {
        value, writable: true, configurable: true, enumerable: false });
}

for (const [name, value] of Object.entries({
    console, crypto, TextEncoder, TextDecoder,
    setTimeout: timers.setTimeout, clearTimeout: timers.clearTimeout,
    setInterval: timers.setInterval, clearInterval: timers.clearTimeout,
    setImmediate: timers.setImmediate, clearImmediate: timers.clearTimeout,
    global: globalThis,
}))
    define(name, value);

Math.random = random;

// From when the script was loaded: all that stands here is older than the
// program (image/).  The engine's own object counts from its context, which was
// made with the image, and its members cannot be set.
let origin = 0, timeOrigin = 0;
export function startClock() {
    origin = native.now();
    timeOrigin = Date.now();
}
define("performance", {
    now: () => native.now() - origin,
    get timeOrigin() { return timeOrigin; },
});
