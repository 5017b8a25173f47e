# SPDX-License-Identifier: Apache-2.0
"""Binary frames (src/net/frame.h), for the tests of both their ends."""
import struct

(INPUT, CANCEL, OUTPUT, DONE, FAILED, HELLO, LOAD, UNLOAD, ANSWER, LOADED,
 PRINT, ASK) = range(1, 13)
HAS_MESSAGE, RUNS, HAS_TIMEOUT, IS_ERROR, HAS_NOT_RUN = 2, 4, 8, 16, 32
INTEGER, STREAM, ANY = 3, 8, 11


def frame(kind, call, actor="", port="", body=b"", **how):
    actor, port = actor.encode(), port.encode()
    return struct.pack("<4sBBBBIIQQ", b"GBX1", kind, how.get("type", 0),
                       how.get("flags", 0), len(port), call, len(actor),
                       how.get("scalar", 0) % (1 << 64),
                       len(body)) + actor + port + body


def cbor(value):
    """As RFC 8949 has it, of what LOAD and ANSWER are made of."""
    def head(major, count):
        if count < 24:
            return bytes([major << 5 | count])
        size = 1 if count < 1 << 8 else 2 if count < 1 << 16 else \
            4 if count < 1 << 32 else 8
        return bytes([major << 5 | 23 + size.bit_length()]) + \
            count.to_bytes(size, "big")
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    return head(5, len(value)) + b"".join(
        cbor(key) + cbor(item) for key, item in value.items())
