// SPDX-License-Identifier: Apache-2.0
// What a script finds in its global scope, and what the program calls
// (guest_js.h).  It lives in the script's own realm: a script that breaks arrays
// or maps for itself breaks its own calls, and nobody else's.
import { startClock } from "./globals.js";
import { load, call, input, finish, explain } from "./script.js";
import { resolveImport, provide } from "./modules.js";
import { fire } from "./timers.js";
import { open, view } from "./values.js";
import { renewed } from "./actor.js";
import { HostError } from "./errors.js";

const errors = { TypeError, RangeError, Error, SyntaxError, InternalError,
                 HostError };

export default {
    error: (name, message) => new (errors[name] ?? Error)(message),
    bigint: (hex, isNegative) =>
        isNegative ? -1n - BigInt("0x" + hex) : BigInt("0x" + hex),
    // Of a negative one what CBOR writes of it: -1 - n.
    digits: n => n < 0n ? "-" + (-1n - n).toString(16) : n.toString(16),
    open, view, input, call, finish, explain, fire, provide,
    resolve: resolveImport,
    renew: renewed,
    load(about) {
        startClock();
        return load(about);
    },
};
