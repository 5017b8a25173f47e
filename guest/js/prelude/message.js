// SPDX-License-Identifier: Apache-2.0
// Message: a value with one of Reflow's fifteen types.

export const TYPES = ["Flow", "Event", "Boolean", "Integer", "Float", "String",
                      "Object", "Array", "Stream", "Encoded", "Optional", "Any",
                      "Error", "RemoteReference", "NetworkEvent"];

const numbers = new Map(TYPES.map((name, number) => [name, number]));

// Not a plain object for the engine, so that one within an array or an object
// is sent as its value (values.js).
export class Message extends Number {
    #type;

    constructor(type, value = null, code = undefined) {
        super(0);
        this.#type = typeof type === "number" ? type : numbers.get(type);
        if (TYPES[this.#type] === undefined)
            throw new RangeError(`no message type ${String(type)}`);
        this.value = value;
        if (code !== undefined)
            this.code = code;
    }

    get type() { return TYPES[this.#type]; }
    get data() { return this.value; }
    unwrap() { return this.value; }
    isError() { return this.#type === 12; }
    is_error() { return this.#type === 12; }
    valueOf() { return this.value; }
    toString() { return String(this.value); }
    inspect(depth, options, inspect) {
        return `Message(${this.type}, ${inspect(this.value, options)})`;
    }
    toJSON() { return { type: this.type, data: this.value }; }

    // Its number, where it is a Message; else -1.
    static typeOf(value) {
        return typeof value === "object" && value !== null && #type in value
            ? value.#type : -1;
    }

    static flow() { return new Message(0, "flow"); }
    static event(value) { return new Message(1, value); }
    static boolean(value) { return new Message(2, value); }
    static integer(value) { return new Message(3, value); }
    static float(value) { return new Message(4, value); }
    static string(value) { return new Message(5, value); }
    static object(value) { return new Message(6, value); }
    static array(value) { return new Message(7, value); }
    static stream(value) { return new Message(8, value); }
    static encoded(value) { return new Message(9, value); }
    static optional(value = null) { return new Message(10, value); }
    static any(value) { return new Message(11, value); }

    static error(message, code = undefined) {
        const text = code === undefined ? String(message) : `${code}: ${message}`;
        return new Message(12, text, code);
    }

    static remoteReference(network_id, actor_id, port) {
        return new Message(13, { network_id, actor_id, port });
    }

    static networkEvent(event_type, data = null) {
        return new Message(14, { event_type, data });
    }
}
