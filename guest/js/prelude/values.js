// SPDX-License-Identifier: Apache-2.0
// Objects that are neither plain nor arrays: how they are sent, and the typed
// arrays that messages arrive as.
import { Message } from "./message.js";

// enum open_as (guest_js.h)
const VALUE = 0, BYTES = 1, ELEMENTS = 2, ERROR = 3;

// Numbers of element types are tags of RFC 8746; 0: raw bytes.
const views = new Map([
    [0, Uint8Array], [64, Uint8Array], [69, Uint16Array], [70, Uint32Array],
    [71, BigUint64Array], [72, Int8Array], [77, Int16Array], [78, Int32Array],
    [79, BigInt64Array], [84, Float16Array], [85, Float32Array],
    [86, Float64Array],
]);
const dtypes = new Map([...views].slice(2).map(([tag, view]) => [view, tag]));

export const names = new Map([
    ["u8", 64], ["u16", 69], ["u32", 70], ["u64", 71], ["i8", 72], ["i16", 77],
    ["i32", 78], ["i64", 79], ["f16", 84], ["f32", 85], ["f64", 86],
    ["uint8", 64], ["uint16", 69], ["uint32", 70], ["uint64", 71], ["int8", 72],
    ["int16", 77], ["int32", 78], ["int64", 79], ["float16", 84],
    ["float32", 85], ["float64", 86],
]);

const prototype = Object.getPrototypeOf(Uint8Array.prototype);
const kindOf = Object.getOwnPropertyDescriptor(prototype, Symbol.toStringTag).get;
const byName = new Map([...dtypes].map(([view, tag]) => [view.name, tag]));

// Arrays that are to be sent as elements though they are made of bytes.
const asElements = new WeakSet();

const { transferToImmutable } = ArrayBuffer.prototype;
const { call } = Function.prototype;
const toFixed = call.bind(transferToImmutable);

// The host's memory is read-only.
export function view(buffer, dtype, shape, isFixed) {
    const memory = isFixed ? toFixed(buffer) : buffer;
    if (dtype === 0)
        return new Uint8Array(memory);
    const made = new (views.get(dtype))(memory);
    if (dtype === 64)
        asElements.add(made);
    return shape === undefined ? made : withShape(made, shape);
}

export function withShape(array, shape) {
    Object.defineProperty(array, "shape", { value: Object.freeze([...shape]) });
    return array;
}

export function arrayOver(buffer, dtype, shape) {
    const made = view(buffer, dtype, undefined, false);
    return shape.length > 1 ? withShape(made, shape) : made;
}

function openView(value) {
    const name = kindOf.call(value);
    const { buffer, byteOffset, byteLength } = value;
    const shape = Object.getOwnPropertyDescriptor(value, "shape")?.value;
    if (name === "Uint8ClampedArray"
        || (name === "Uint8Array" && !asElements.has(value) && !shape))
        return [BYTES, buffer, byteOffset, byteLength];
    const dtype = name === "Uint8Array" ? 64 : byName.get(name);
    if (!Array.isArray(shape) || shape.length > 8
        || shape.reduce((all, n) => all * n, 1) !== value.length)
        return [ELEMENTS, buffer, byteOffset, byteLength, dtype];
    return [ELEMENTS, buffer, byteOffset, byteLength, dtype, shape];
}

export function open(value, port) {
    if (ArrayBuffer.isView(value))
        return kindOf.call(value) === undefined
            ? [BYTES, value.buffer, value.byteOffset, value.byteLength]
            : openView(value);
    if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer)
        return [BYTES, value, 0, value.byteLength];
    if (value instanceof Error)
        return [ERROR, value.message ? `${value.name}: ${value.message}`
                                     : String(value.name)];
    if (Message.typeOf(value) >= 0)
        return [VALUE, value.value];
    if (typeof value.toJSON === "function")
        return [VALUE, value.toJSON("")];
    if (value instanceof Map)
        return [VALUE, Object.fromEntries(value)];
    if (value instanceof Set)
        return [VALUE, [...value]];
    if (value instanceof Number || value instanceof String
        || value instanceof Boolean || value instanceof BigInt)
        return [VALUE, value.valueOf()];
    const what = typeof value === "function" ? "a function"
        : `a ${value.constructor?.name ?? "value of this kind"}`;
    throw new TypeError(`output "${port}": cannot send ${what}`);
}
