// SPDX-License-Identifier: Apache-2.0
// TextEncoder and TextDecoder (WHATWG Encoding), UTF-8 only.
import { native } from "./native.js";

export class TextEncoder {
    get encoding() { return "utf-8"; }

    encode(text = "") {
        return new Uint8Array(native.bytes(String(text).toWellFormed()));
    }

    encodeInto(text, to) {
        let read = 0, written = 0;
        for (const character of String(text).toWellFormed()) {
            const bytes = new Uint8Array(native.bytes(character));
            if (written + bytes.length > to.length)
                break;
            to.set(bytes, written);
            written += bytes.length;
            read += character.length;
        }
        return { read, written };
    }
}

// How many bytes at the end begin a character that is not whole yet.
function unfinished(bytes) {
    for (let back = 1; back <= 3 && back <= bytes.length; back++) {
        const byte = bytes[bytes.length - back];
        if (byte >= 0xc0)
            return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? back : 0;
        if (byte < 0x80)
            return 0;
    }
    return 0;
}

function isWhole(bytes, text) {
    const again = new Uint8Array(native.bytes(text));
    return again.length === bytes.length
        && again.every((byte, index) => byte === bytes[index]);
}

export class TextDecoder {
    #fatal;
    #ignoreBOM;
    #rest = new Uint8Array(0);
    #isStarted = false;

    constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
        if (!/^\s*(utf-?8|unicode-1-1-utf-8)\s*$/i.test(label))
            throw new RangeError(`only UTF-8 can be decoded, not ${label}`);
        this.#fatal = Boolean(fatal);
        this.#ignoreBOM = Boolean(ignoreBOM);
    }

    get encoding() { return "utf-8"; }
    get fatal() { return this.#fatal; }
    get ignoreBOM() { return this.#ignoreBOM; }

    decode(input = new Uint8Array(0), { stream = false } = {}) {
        let bytes = ArrayBuffer.isView(input)
            ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength)
            : new Uint8Array(input);
        if (this.#rest.length > 0) {
            const all = new Uint8Array(this.#rest.length + bytes.length);
            all.set(this.#rest);
            all.set(bytes, this.#rest.length);
            bytes = all;
        }
        const keep = stream ? unfinished(bytes) : 0;
        this.#rest = bytes.slice(bytes.length - keep);
        bytes = bytes.subarray(0, bytes.length - keep);
        let text = native.text(bytes.buffer, bytes.byteOffset, bytes.length);
        if (this.#fatal && !isWhole(bytes, text))
            throw new TypeError("the bytes are no UTF-8");
        if (!this.#ignoreBOM && !this.#isStarted && text.startsWith("\ufeff"))
            text = text.slice(1);
        this.#isStarted = stream;
        return text;
    }
}
