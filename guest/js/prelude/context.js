// SPDX-License-Identifier: Apache-2.0
// ActorContext: what a handler is given.
import { Message } from "./message.js";
import { native } from "./native.js";
import { state } from "./state.js";
import { arrayOver, names } from "./values.js";

// Sends what may be a Message.
export function send(port, value) {
    const type = Message.typeOf(value);
    native.send(port, type < 0 ? value : value.value, type);
}

const done = Promise.resolve();

export class ActorContext {
    #types;
    #outputs = {};

    constructor(payload, types, config, actorId) {
        this.payload = payload;
        this.input = payload;
        this.config = config;
        this.actorId = actorId;
        this.timestamp = Date.now();
        this.#types = types;
    }

    get actor_id() { return this.actorId; }
    get state() { return state; }

    getInput(port, absent = null) {
        const value = this.payload[port];
        return value !== undefined ? value : absent;
    }

    hasInput(port) { return this.payload[port] !== undefined; }

    // A Map, so that a port may have any name.
    getPayload() {
        return new Map(Object.entries(this.payload).map(([port, value]) =>
            [port, new Message(this.#types[port], value)]));
    }

    getConfig() { return this.config; }
    getState(key, absent = null) {
        return key === undefined ? state : state.get(key, absent);
    }
    setState(key, value) { return state.set(key, value); }

    sendOutput(port, value) {
        send(port, value);
        this.#outputs[port] = value;
        return done;
    }

    sendOutputSync(port, value) { this.sendOutput(port, value); }

    // (port, value) or ({port: value, ...})
    send(port, value) {
        if (typeof port === "string")
            return this.sendOutput(port, value);
        for (const [name, one] of Object.entries(port))
            this.sendOutput(name, one);
        return done;
    }

    getOutputs() { return { ...this.#outputs }; }

    // Memory that the caller reads; what is written there is sent uncopied.
    outputBuffer(port, bytes) { return new Uint8Array(native.buffer(bytes, 0)); }

    outputArray(port, dtype, shape) {
        const tag = names.get(dtype) ?? names.get(dtype?.BYTES_PER_ELEMENT
            && dtype.name.replace("Array", "").replace("Big", "").toLowerCase());
        const dims = typeof shape === "number" ? [shape] : [...shape];
        if (tag === undefined || dims.length < 1 || dims.length > 8
            || !dims.every(n => Number.isSafeInteger(n) && n >= 0))
            throw new RangeError(`output "${port}": no such array`);
        const bytes = { 64: 1, 72: 1, 69: 2, 77: 2, 84: 2, 70: 4, 78: 4, 85: 4,
                        71: 8, 79: 8, 86: 8 }[tag];
        const count = dims.reduce((all, n) => all * n, 1);
        return arrayOver(native.buffer(count * bytes, tag), tag, dims);
    }

    host(name, ...values) { return native.ask(name, values); }
    secret(name) { return native.ask("secret.get", [name]); }
}

for (const [snake, camel] of Object.entries({
    get_input: "getInput", has_input: "hasInput", send_output: "sendOutput",
    send_output_sync: "sendOutputSync", get_outputs: "getOutputs",
    get_payload: "getPayload", get_state: "getState", set_state: "setState",
    get_config: "getConfig", output_buffer: "outputBuffer",
    output_array: "outputArray" }))
    Object.defineProperty(ActorContext.prototype, snake,
        { value: ActorContext.prototype[camel], configurable: true,
          writable: true });
