#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""gloveboxd's binary frames (src/net/frame.h), as a client sends them.

usage: link_test.py PROGRAM
"""
import asyncio
import contextlib
import os
import pathlib
import socket
import struct
import time
import unittest

import websockets

from frames import (ANSWER, ANY, ASK, CANCEL, DONE, FAILED, HAS_MESSAGE,
                    HAS_NOT_RUN, HAS_TIMEOUT, HELLO, INPUT, INTEGER, IS_ERROR,
                    LOAD, LOADED, OUTPUT, PRINT, RUNS, STREAM, UNLOAD, cbor,
                    frame)
from server import Daemon


class LinkTest(Daemon):
    def call(self, number, actor, body, **how):
        """A call whose one input is a Stream."""
        return frame(INPUT, number, actor, "in", body,
                          type=STREAM, flags=HAS_MESSAGE | RUNS,
                          **how)

    def serve_echo(self, *words):
        return self.serve("--actor", self.file(
            "echo.py", "import time\n"
            "def process(c):\n"
            "    v = c.get_input('in')\n"
            "    if v == 7: time.sleep(20)\n"
            "    if v == 8: raise ValueError('eight')\n"
            "    return {'out': v}\n"), *words)

    def test_frames_carry_bytes_as_they_are(self):
        server = self.serve_echo()
        self.assertEqual(
            self.exchange(server, frame(
                INPUT, 5, "echo", "in", type=INTEGER, scalar=-42,
                flags=HAS_MESSAGE | RUNS), replies=2)[0],
            (OUTPUT, 5, (1 << 64) - 42, "out", b""))
        for size in (0, 1, 64, 65535, 65536, 1 << 20, (16 << 20) + 3):
            body = os.urandom(size)
            output, done = self.exchange(server, self.call(9, "echo", body),
                                         replies=2)
            self.assertEqual(output[:2] + output[3:4],
                             (OUTPUT, 9, "out"))
            self.assertTrue(output[4] == body, size)
            self.assertEqual(done[:2], (DONE, 9))

    def test_frames_of_several_calls_may_mix(self):
        server = self.serve_echo("--workers", 4)
        bodies = {number: os.urandom(number * 1000)
                  for number in range(1, 200)}
        got = self.exchange(server, *(self.call(n, "echo", body)
                                      for n, body in bodies.items()),
                            replies=2 * len(bodies))
        outputs = {one[1]: one[4] for one in got if one[0] == OUTPUT}
        self.assertTrue(outputs == bodies)
        self.assertEqual(sorted(one[1] for one in got if one[0] == DONE),
                         sorted(bodies))

    def test_inputs_may_come_one_by_one(self):
        server = self.serve("--actor", self.file(
            "join.py", "def process(c):\n"
            "    return {'out': bytes(c.get_input('a')) + "
            "bytes(c.get_input('b'))}\n"))
        large = os.urandom(100000)
        got = self.exchange(
            server,
            frame(INPUT, 1, "join", "a", b"left", type=STREAM,
                       flags=HAS_MESSAGE),
            frame(INPUT, 1, "", "b", large, type=STREAM,
                       flags=HAS_MESSAGE),
            frame(INPUT, 1, flags=RUNS), replies=2)
        self.assertEqual(got[0][4], b"left" + large)

    def test_what_fails_is_told_in_a_frame(self):
        server = self.serve_echo("--workers", 1)

        def number(value, call=1, flags=0, **how):
            return frame(INPUT, call, "echo", "in",
                              type=INTEGER, scalar=value,
                              flags=HAS_MESSAGE | RUNS | flags,
                              **how)
        failed, = self.exchange(server, number(8), replies=1)
        self.assertEqual((failed[0], failed[2]), (FAILED, 10))
        what, traceback, kind, message = failed[4].split(b"\0")
        self.assertEqual((what, kind, message),
                         (b"ValueError: eight", b"ValueError", b"eight"))
        self.assertIn(b"echo.py", traceback)
        failed, = self.exchange(server, self.call(1, "nobody", b""), replies=1)
        self.assertEqual((failed[0], failed[2]), (FAILED, 8))
        # Cancelled, while it waits and while it runs.
        got = self.exchange(server, number(7, 1), number(7, 2),
                            frame(CANCEL, 2),
                            frame(CANCEL, 1), replies=2, pause=0.3)
        self.assertEqual({one[:3] for one in got},
                         {(FAILED, 1, 13), (FAILED, 2, 13)})
        got = self.exchange(
            server, frame(INPUT, 1, "echo", scalar=300,
                               flags=HAS_TIMEOUT),
            frame(INPUT, 1, "", "in", type=INTEGER, scalar=7,
                       flags=HAS_MESSAGE | RUNS), replies=1)
        self.assertEqual(got[0][0], FAILED)
        self.assertEqual(got[0][2], 5)
        got = self.exchange(server, number(7, 1), number(1, 1), replies=1,
                            pause=0.2)
        self.assertIn(b"in use", got[0][4])

    def test_a_call_keeps_no_more_than_it_may(self):
        server = self.serve_echo("--body", 2)
        one = frame(INPUT, 1, "", "in", bytes(1 << 20),
                         type=STREAM, flags=HAS_MESSAGE)
        first = frame(INPUT, 1, "echo", "in", b"", type=STREAM,
                           flags=HAS_MESSAGE)
        got, = self.exchange(server, first, one, one, one, one, replies=1)
        self.assertEqual((got[0], got[2]), (FAILED, 2))
        small = frame(INPUT, 1, "", "in", b"", type=STREAM,
                           flags=HAS_MESSAGE)
        got, = self.exchange(server, first, *[small] * 64, replies=1)
        self.assertEqual(got[0], FAILED)
        # Who leaves with calls of all kinds.
        for _ in range(20):
            self.exchange(server, first, frame(
                INPUT, 2, "echo", "in", type=INTEGER, scalar=7,
                flags=HAS_MESSAGE | RUNS), frame(
                    INPUT, 3, "echo", "in", b"x" * 99999,
                    type=STREAM, flags=HAS_MESSAGE), replies=0)
        self.assertEqual(self.exchange(server, self.call(1, "echo", b"1"),
                                       replies=2)[0][4], b"1")

    def test_nonsense_closes_the_connection_and_nothing_else(self):
        server = self.serve_echo("--body", 2)
        good = self.call(1, "echo", b"12345")
        for data, code in ((b"", 1002), (b"GBX", 1002), (good[:-1], 1002),
                           (good + b"x", 1002), (b"GBX2" + good[4:], 1002),
                           (frame(DONE, 1), 1002),
                           (frame(INPUT, 0, "echo"), 1002),
                           (frame(99, 1), 1002),
                           (frame(CANCEL, 1, body=b"x"), 1002),
                           *((good[:24] + struct.pack("<Q", size) + good[32:],
                              1002)
                             for size in (6, 3 << 20, 1 << 40,
                                          (1 << 64) - 1)),
                           (frame(HELLO, 0, body=bytes(3 << 20)), 1009)):
            with self.assertRaises(websockets.ConnectionClosed) as gone:
                self.exchange(server, data, replies=1)
            self.assertEqual(gone.exception.code, code, data[:40])
        # One that is nobody's is dropped.
        self.exchange(server, frame(INPUT, 3, "", "in", b"x" * 99999,
                                         type=STREAM,
                                         flags=HAS_MESSAGE | RUNS),
                      frame(CANCEL, 17), replies=0)
        self.assertEqual(self.exchange(server, good, replies=2)[0][4],
                         b"12345")

    def test_clients_may_vanish_at_any_byte(self):
        server = self.serve_echo("--workers", 2)
        body = os.urandom(200000)
        whole = self.call(1, "echo", body)

        def raw(data):
            """A WebSocket's frame: masked with zeros."""
            return struct.pack(">BBQI", 0x82, 0xff, len(data), 0) + data
        for cut in (*range(0, 60, 7), 70000, 150000, len(raw(whole))):
            with socket.create_connection(("127.0.0.1", server.port)) as one:
                one.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n"
                            b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
                            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                            b"Sec-WebSocket-Version: 13\r\n\r\n")
                self.assertIn(b"101", one.recv(300))
                one.sendall(raw(whole)[:cut])
        got = self.exchange(server, whole, replies=2)
        self.assertTrue(got[0][4] == body)

    def test_a_body_that_never_comes_holds_no_sandbox(self):
        server = self.serve_echo("--workers", 1)
        whole = self.call(1, "echo", bytes(200000))
        self.exchange(server, whole, replies=2)  # a sandbox idles from here on

        async def main():
            # It reads, and its pings are answered.
            async with self.connected(server) as (say, hear):
                async def some():
                    yield whole[:70000]
                    await asyncio.sleep(25)
                    yield whole[70000:]
                began = time.monotonic()
                with self.assertRaises(websockets.ConnectionClosed):
                    await asyncio.gather(say(some()), hear())
                self.assertLess(time.monotonic() - began, 20)
        asyncio.run(main())
        self.assertEqual(self.exchange(server, self.call(1, "echo", b"1"),
                                       replies=2)[0][4], b"1")

    # ---- scripts that are brought ----

    @contextlib.asynccontextmanager
    async def connected(self, server, **how):
        """A link: say(frame) and hear(), which is as in exchange."""
        address = f"ws://127.0.0.1:{server.port}/"
        async with websockets.connect(address, max_size=None, **how) as peer:
            async def hear():
                data = await asyncio.wait_for(peer.recv(), 30)
                (_, kind, _, flags, port, call, _, scalar,
                 _) = struct.unpack_from("<4sBBBBIIQQ", data)
                return (kind, call, scalar, data[32:32 + port].decode(),
                        data[32 + port:], flags)
            yield peer.send, hear

    def brought(self, number, source, file="s.py", **more):
        return frame(LOAD, number, body=cbor(
            {"load": {"file": file, "source": source, "config": {"n": 5},
                      "actor_id": "me"}, **more}))

    def number(self, call, actor, value, **how):
        return frame(INPUT, call, actor, "in", type=INTEGER,
                          scalar=value, flags=HAS_MESSAGE | RUNS,
                          **how)

    def test_it_says_what_it_is(self):
        server = self.serve("--workers", 3)
        hello, = self.exchange(server, frame(
            HELLO, 0, body=cbor({"oldest": 1, "newest": 9})), replies=1)
        self.assertEqual(hello[:2], (HELLO, 0))
        for part in (b"oldest\x01", b"newest\x01", b"workers\x03",
                     b"busy\x00", b"waiting\x00", b"draining\xf4",
                     b"isolations\x81gprocess", b"gloveboxd ",
                     b"ibytes_max" + cbor(64 << 20)):
            self.assertIn(part, hello[4])

    def test_scripts_come_with_their_calls(self):
        source = ("n = 0\n"
                  "def process(c):\n"
                  "    global n; n += 1\n"
                  "    return {'out': [n, c.config['n'], c.get_input('in')]}\n")

        async def main(server):
            async with self.connected(server) as (say, hear):
                await say(self.brought(7, source))
                loaded = await hear()
                self.assertEqual(loaded[:2], (LOADED, 7))
                self.assertIn(b"isolationgprocess", loaded[4])
                self.assertIn(b"metadata", loaded[4])
                got = []
                for call, key in enumerate(("a", "a", "b", "a"), 1):
                    await say(self.number(call, f"#7/{key}", 1))
                    got.append((await hear())[4][1])
                    self.assertEqual((await hear())[:2], (DONE, call))
                # A key finds what it left, or nothing; never another's.
                self.assertEqual(got[:3], [1, 2, 1])
                self.assertIn(got[3], (1, 3))
                # Somebody else's is not his, and 8 is nobody's.
                async with self.connected(server) as (say2, hear2):
                    await say2(self.number(1, "#7/a", 1))
                    self.assertEqual((await hear2())[2], 8)
                    await say2(self.brought(7, source))
                    await hear2()
                    await say2(self.number(2, "#7/a", 1))
                    self.assertEqual((await hear2())[4][1], 1)
                await say(self.number(9, "#8", 1))
                failed = await hear()
                self.assertEqual((failed[2], failed[5]),
                                 (8, HAS_NOT_RUN))
                await say(self.brought(7, source))
                self.assertEqual((await hear())[2], 14)
                await say(frame(UNLOAD, 7))
                await say(self.number(10, "#7/a", 1))
                self.assertEqual((await hear())[2], 8)
                await say(self.brought(7, source))
                self.assertEqual((await hear())[0], LOADED)
        asyncio.run(main(self.serve()))

    def test_what_is_asked_and_printed_comes_to_the_client(self):
        source = ("import sys\n"
                  "def process(c):\n"
                  "    print('hello')\n"
                  "    print('oops', file=sys.stderr)\n"
                  "    v = c.host('add', 1, 2)\n"
                  "    try: c.host('bad')\n"
                  "    except Exception as e: v = [v, str(e)]\n"
                  "    c.state.set('k', 7)\n"
                  "    return {'out': v}\n")

        async def main(server):
            async with self.connected(server) as (say, hear):
                await say(self.brought(1, source))
                await hear()
                await say(self.number(5, "#1/x", 0))
                printed, seen = {1: b"", 2: b""}, []
                while True:
                    kind, call, scalar, port, body, _ = await hear()
                    self.assertEqual(call, 5)
                    if kind == PRINT:
                        printed[scalar] += body
                    elif kind == ASK:
                        seen.append((port, body))
                        await say(frame(
                            ANSWER, 5, body=b"not this", type=12,
                            flags=IS_ERROR) if port == "bad" else
                            frame(ANSWER, 5, body=cbor([True, 3]),
                                       type=ANY, flags=HAS_MESSAGE))
                    elif kind == OUTPUT:
                        out = body
                    else:
                        self.assertEqual(kind, DONE, body)
                        break
                self.assertEqual(printed, {1: b"hello\n", 2: b"oops\n"})
                self.assertEqual(seen[0], ("add", cbor([1, 2])))
                self.assertEqual([port for port, _ in seen],
                                 ["add", "bad", "state.set"])
                self.assertEqual(out, cbor([[True, 3], "not this"]))
        asyncio.run(main(self.serve()))

    def test_who_does_not_answer_holds_nobody_up(self):
        source = ("def process(c):\n"
                  "    return {'out': c.host('x')}\n")

        async def main(server):
            async with self.connected(server) as (say, hear):
                await say(self.brought(1, source))
                await hear()
                # It is cancelled while it asks.
                await say(self.number(1, "#1/a", 0))
                self.assertEqual((await hear())[0], ASK)
                await say(frame(CANCEL, 1))
                self.assertEqual((await hear())[2], 13)
                # Its time is over while it asks.
                await say(frame(INPUT, 2, "#1/a", scalar=300,
                                     flags=HAS_TIMEOUT))
                await say(frame(INPUT, 2, flags=RUNS))
                self.assertEqual((await hear())[0], ASK)
                self.assertEqual((await hear())[0], FAILED)
                # Nonsense for an answer, and answers that nobody waits for.
                for body in (b"", b"\xff\xff", cbor(1) + b"x"):
                    await say(self.number(3, "#1/a", 0))
                    self.assertEqual((await hear())[0], ASK)
                    for _ in range(3):
                        await say(frame(ANSWER, 3, body=body,
                                             type=ANY,
                                             flags=HAS_MESSAGE))
                    self.assertEqual((await hear())[:2], (FAILED, 3))
                await say(frame(ANSWER, 77, body=b"x"))
                # It leaves while it is asked.
                await say(self.number(4, "#1/a", 0))
                self.assertEqual((await hear())[0], ASK)
            async with self.connected(server) as (say, hear):
                await say(self.brought(1, "def process(c): return 1\n"))
                await hear()
                await say(self.number(1, "#1/a", 0))
                self.assertEqual((await hear())[0], OUTPUT)
        asyncio.run(main(self.serve("--workers", 1)))

    def test_what_is_brought_is_checked(self):
        async def main(server):
            async with self.connected(server) as (say, hear):
                good = {"file": "s.py", "source": "def process(c): return 1"}
                for body, code in (
                        (b"", 4), (b"\xa1", 4), (cbor([1]), 4),
                        (cbor({"load": good}) + b"\x00", 4),
                        (cbor({"load": {"file": "s.py"}}), 4),
                        (cbor({"load": {**good, "config": 1}}), 4),
                        (cbor({"load": {**good, "source": 1}}), 4),
                        (cbor({"load": good, "floor": "remote"}), 4),
                        (cbor({"load": good, "limits": {"files": "x"}}), 4),
                        (b"\xa1" + cbor("x") + b"\x9f" * 1000, 4),
                        *((cbor({"load": {**good, "file": name}}), 7)
                          for name in ("", ".py", "../a.py", "/a.py", "a/b.py",
                                       ".a.py", "a.gbx", "a.wasm", "a.so",
                                       "a", "a\n.py", "a" * 200 + ".py")),
                        (cbor({"load": {**good, "file": "a\0.py"}}), 4),
                        (cbor({"load": good,
                               "limits": {"memory_bytes": 1}}), 7),
                        (cbor({"load": {**good, "source": "1 +"}}), 9)):
                    await say(frame(LOAD, 1, body=body))
                    failed = await hear()
                    self.assertEqual((failed[0], failed[2]),
                                     (FAILED, code), body)
                self.assertIn(b"SyntaxError", failed[4].split(b"\0")[1])
                # More than is needed is not minded.
                await say(frame(LOAD, 1, body=cbor(
                    {"later": {"a": [1, {"b": 2}]}, "load": {
                        **good, "x": [[]]},
                     "limits": {"files": 1 << 40, "later": 1}})))
                self.assertEqual((await hear())[0], LOADED)
        asyncio.run(main(self.serve()))

    def test_scripts_are_bounded_and_go_with_their_client(self):
        before = set(pathlib.Path("/tmp").glob("gloveboxd-*"))
        server = self.serve("--workers", 2)
        mine = set(pathlib.Path("/tmp").glob("gloveboxd-*")) - before

        async def main():
            async with self.connected(server) as (say, hear):
                for number in range(1, 258):
                    await say(self.brought(number, f"def process(c): return {1}"))
                kinds = [(await hear())[0] for _ in range(257)]
                self.assertEqual(kinds.count(FAILED), 1)
                await say(frame(UNLOAD, 3))
            # Some leave before they have been told.
            for number in range(20):
                async with self.connected(server) as (say, hear):
                    await say(self.brought(1, f"def process(c): return {number}"))
        asyncio.run(main())
        for _ in range(100):
            left = sum(name.startswith("load-") for folder in mine
                       for name in os.listdir(folder))
            if left == 0:
                break
            time.sleep(0.1)
        self.assertEqual(left, 0)

    def test_what_nobody_waits_for_is_not_loaded(self):
        slow = "import time; time.sleep(0.7)\ndef process(c): return %d\n"

        async def main(server):
            async with self.connected(server) as (say, _):
                for number in range(1, 40):
                    await say(self.brought(number, slow % number))
                await asyncio.sleep(0.3)
            began = time.monotonic()
            async with self.connected(server) as (say, hear):
                await say(self.brought(1, "def process(c): return 1\n"))
                self.assertEqual((await hear())[0], LOADED)
            self.assertLess(time.monotonic() - began, 10)
        asyncio.run(main(self.serve("--workers", 1)))

    # ---- what is too long ----

    def test_what_is_too_long_fails_alone(self):
        source = ("import time\n"
                  "def process(c):\n"
                  "    try: return {'out': c.host('x')}\n"
                  "    except Exception: return {'out': 0}\n")
        long = bytes((2 << 20) + 1)

        async def main(server):
            async with self.connected(server) as (say, hear):
                async def fails(number, flags=HAS_NOT_RUN):
                    failed = await hear()
                    self.assertEqual((failed[:3], failed[5]),
                                     ((FAILED, number, 2), flags))
                    self.assertIn(b"2097152 bytes", failed[4])
                await say(self.brought(1, source))
                self.assertEqual((await hear())[0], LOADED)
                await say(self.number(1, "#1/a", 0))  # which goes on
                self.assertEqual((await hear())[:2], (ASK, 1))
                await say(self.call(2, "echo", long))
                await fails(2)
                # In pieces, and as a call's second input.
                await say([self.call(2, "echo", long)[:99],
                           self.call(2, "echo", long)[99:]])
                await fails(2)
                await say(frame(INPUT, 3, "echo", "in", b"x", type=STREAM,
                                flags=HAS_MESSAGE))
                await say(frame(INPUT, 3, "", "in", long, type=STREAM,
                                flags=HAS_MESSAGE | RUNS))
                await fails(3)
                await say(frame(LOAD, 2, body=long))
                await fails(2)
                # Nobody's.
                await say(frame(INPUT, 9, "", "in", long, flags=HAS_MESSAGE))
                await say(frame(ANSWER, 9, body=long))
                await say(frame(INPUT, 1, "", "in", long, flags=HAS_MESSAGE))
                # A number is free again, and as much as may be is taken.
                await say(self.call(2, "echo", long[:-1]))
                output = await hear()
                self.assertEqual((output[0], len(output[4])),
                                 (OUTPUT, 2 << 20))
                self.assertEqual((await hear())[:2], (DONE, 2))
                await say(frame(ANSWER, 1, body=cbor(7), type=ANY,
                                flags=HAS_MESSAGE))
                self.assertEqual((await hear())[:2], (OUTPUT, 1))
                self.assertEqual((await hear())[:2], (DONE, 1))
                # The call that has asked for it has run.
                await say(self.number(4, "#1/a", 0))
                self.assertEqual((await hear())[:2], (ASK, 4))
                await say(frame(ANSWER, 4, body=long, type=ANY,
                                flags=HAS_MESSAGE))
                await fails(4, 0)
        asyncio.run(main(self.serve_echo("--body", 2, "--workers", 2)))

    # ---- slow readers ----

    FLOOD = ("def process(c):\n"
             "    v = c.get_input('in')\n"
             "    if v == 0: return {'out': 'small'}\n"
             "    for n in range(4):\n"
             "        c.send_output('out', bytes([n + 1]) * (v << 20))\n")

    def flood_of(self, server, *asked, until):
        """What comes for these calls when none of it is read at first."""
        async def main():
            got = {}
            async with self.connected(server, max_queue=1) as (say, hear):
                for call, value in asked:
                    await say(self.number(call, "flood", value))
                await asyncio.sleep(2)
                while not until <= {call for call, all in got.items()
                                    if all[-1][0] in (DONE, FAILED)}:
                    one = await hear()
                    got.setdefault(one[1], []).append(one)
                await say(self.number(99, "flood", 0))
                self.assertEqual((await hear())[:2], (OUTPUT, 99))
                self.assertEqual((await hear())[:2], (DONE, 99))
            return got
        return asyncio.run(main())

    def test_what_is_not_read_yet_waits(self):
        server = self.serve("--workers", 3, "--actor",
                            self.file("flood.py", self.FLOOD))
        got = self.flood_of(server, (1, 40), (2, 40), (3, 0),
                            until={1, 2, 3})
        for call in (1, 2):
            *outputs, done = got[call]
            self.assertEqual(done[0], DONE, done[4][:99])
            self.assertEqual([(len(one[4]), one[4][0], one[4][-1])
                              for one in outputs],
                             [(40 << 20, n, n) for n in range(1, 5)])
        self.assertEqual([one[0] for one in got[3]], [OUTPUT, DONE])

    def test_who_waits_for_room_ends_with_its_call(self):
        server = self.serve("--workers", 2, "--timeout", 1, "--actor",
                            self.file("flood.py", self.FLOOD))
        got = self.flood_of(server, (1, 40), (2, 0), until={1, 2})
        self.assertEqual((got[1][-1][0], got[1][-1][2]), (FAILED, 5))
        self.assertEqual([one[0] for one in got[2]], [OUTPUT, DONE])

        async def leave():
            async with self.connected(server, max_queue=1,
                                      close_timeout=0.2) as (say, _):
                await say(self.number(1, "flood", 40))
                await asyncio.sleep(0.3)
                await say(frame(CANCEL, 1))
        asyncio.run(leave())


if __name__ == "__main__":
    unittest.main()
