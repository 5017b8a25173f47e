// SPDX-License-Identifier: Apache-2.0
// context.state: values that the host keeps from call to call.  What these
// return may be awaited as well as used at once.
import { native } from "./native.js";

const ask = (name, ...values) => native.ask("state." + name, values);

export const state = Object.freeze({
    get(key, absent = null) {
        const found = ask("get", key);
        return found.length > 0 ? found[0] : absent;
    },
    set: (key, value) => ask("set", key, value),
    delete: key => ask("delete", key),
    remove: key => ask("delete", key),
    has: key => ask("exists", key),
    exists: key => ask("exists", key),
    increment: (key, n = 1) => ask("increment", key, n),
    incr: (key, n = 1) => ask("increment", key, n),
    decrement: (key, n = 1) => ask("decrement", key, n),
    decr: (key, n = 1) => ask("decrement", key, n),
    push: (key, ...values) => values.length === 1
        ? ask("push", key, values[0]) : ask("extend", key, values),
    pop(key, absent = null) {
        const found = ask("pop", key);
        return found.length > 0 ? found[0] : absent;
    },
    extend: (key, values) => ask("extend", key, [...values]),
    expire: (key, seconds) => ask("expire", key, seconds),
    ttl: key => ask("ttl", key),
    keys: (pattern = "*") => ask("keys", pattern),
    size: () => ask("size"),
    clear: () => ask("clear"),
    getAll: () => ask("get_all"),
    setAll: values => ask("set_all", values),
});
