// SPDX-License-Identifier: Apache-2.0
// crypto.getRandomValues and randomUUID, and a Math.random that a copy of a
// template does not share with its siblings.
import { native } from "./native.js";

const MOST = 65536, PART = 256;

export const crypto = {
    getRandomValues(array) {
        if (!ArrayBuffer.isView(array) || array instanceof DataView
            || /Float/.test(array[Symbol.toStringTag]))
            throw new TypeError("an array of integers is filled");
        if (array.byteLength > MOST)
            throw new DOMException(`more than ${MOST} bytes at once`,
                                   "QuotaExceededError");
        const bytes = new Uint8Array(array.buffer, array.byteOffset,
                                     array.byteLength);
        for (let at = 0; at < bytes.length; at += PART)
            bytes.set(new Uint8Array(
                native.random(Math.min(PART, bytes.length - at))), at);
        return array;
    },

    randomUUID() {
        const bytes = new Uint8Array(native.random(16));
        bytes[6] = bytes[6] & 15 | 64;
        bytes[8] = bytes[8] & 63 | 128;
        const hex = [...bytes].map(byte => byte.toString(16).padStart(2, "0"));
        return [[0, 4], [4, 6], [6, 8], [8, 10], [10, 16]]
            .map(([from, to]) => hex.slice(from, to).join("")).join("-");
    },
};

// xoshiro128** (Blackman, Vigna 2018), seeded from the kernel.
let state;

export function reseed() {
    state = new Uint32Array(native.random(16));
}

function next() {
    const s = state, mixed = Math.imul(s[1], 5);
    const result = Math.imul(mixed << 7 | mixed >>> 25, 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3] << 11 | s[3] >>> 21;
    return result;
}

export function random() {
    if (state === undefined)
        reseed();
    return (next() * 2 ** 21 + (next() >>> 11)) / 2 ** 53;
}
