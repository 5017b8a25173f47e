#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Bodies of POST /v1/run that are taken in as they come: an input as it is
(?actor=ID&port=NAME), and forms; what is large is written into a sandbox.

usage: upload_test.py GLOVEBOXD
"""
import contextlib
import email
import http.client
import json
import os
import socket
import time
import unittest

from server import SECRET, Daemon

SUM = ("import time\n"
       "def process(c):\n"
       "    d = c.get_input('data')\n"
       "    time.sleep(d[0] / 10)\n"
       "    return {'n': len(d), 'sum': sum(d[::4096]), 'back': d[-3:]}\n")
KIND = "application/octet-stream"
FORM = "multipart/form-data; boundary=-=x"


class Upload(Daemon):
    def start(self, *words):
        """One that takes no more than 1 MiB of a body that it has to keep."""
        return self.serve("--actor", self.file("sum.py", SUM), "--body", 1,
                          *words)

    def post(self, server, body, query="actor=sum&port=data", kind=KIND,
             **headers):
        connection = http.client.HTTPConnection("127.0.0.1", server.port,
                                                timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", "/v1/run?" + query, body,
                               {"Content-Type": kind, **headers})
            reply = connection.getresponse()
            return reply.status, reply.read(), reply.getheader("content-type")

    def code(self, server, *args, **more):
        status, text, _ = self.post(server, *args, **more)
        return status, json.loads(text)["error"]["code"] if text else None

    def check(self, server, body, **how):
        status, text, _ = self.post(server, body, **how)
        self.assertEqual(status, 200, text)
        got = {o["port"]: o["data"] for o in json.loads(text)["outputs"]}
        self.assertEqual(got, {"n": len(body), "sum": sum(body[::4096]),
                               "back": list(body[-3:])})

    @staticmethod
    def body(size, first=0):
        return bytes([first]) + os.urandom(size - 1)

    def private_kib(self, server):
        with open(f"/proc/{server.run.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file
                        if line.startswith("RssAnon"))

    def test_all_sizes_come_as_they_are(self):
        server = self.start()
        for size in (3, 65535, 65536, 1 << 20, (1 << 20) + 1, 48 << 20):
            self.check(server, self.body(size))

    def test_it_is_not_kept_beside_the_sandbox(self):
        server = self.start()
        self.check(server, self.body(70000))
        before = self.private_kib(server)
        self.check(server, self.body(96 << 20))
        self.assertLess(self.private_kib(server) - before, 32 << 10)

    def test_what_is_answered_may_be_parts(self):
        server = self.start()
        status, text, kind = self.post(server, self.body(2 << 20),
                                       Accept="multipart/mixed")
        self.assertEqual(status, 200)
        parts = email.message_from_bytes(
            b"Content-Type: " + kind.encode() + b"\r\n\r\n" + text).get_payload()
        self.assertEqual(len(parts), 4)

    def head(self, size, query="actor=sum&port=data", kind=KIND):
        return (f"POST /v1/run?{query} HTTP/1.1\r\nHost: localhost\r\n"
                f"Content-Type: {kind}\r\nContent-Length: {size}\r\n\r\n"
                ).encode()

    def begin(self, server, size, part, **how):
        """The first part of a body."""
        peer = socket.create_connection(("127.0.0.1", server.port), 30)
        self.addCleanup(peer.close)
        peer.sendall(self.head(size, **how) + part)
        return peer

    def test_who_finds_no_sandbox_waits(self):
        server = self.start("--workers", 1)
        self.check(server, self.body(70000))
        slow = self.begin(server, 2000000, bytes(100000))
        time.sleep(0.3)  # it has the only sandbox
        waits = [self.begin(server, 2 << 20, bytes(2 << 20)),
                 self.begin(server, 3, bytes(3))]
        time.sleep(0.3)  # and one the only worker
        slow.sendall(bytes(2000000 - 100000))
        for peer in [slow, *waits]:
            self.assertTrue(peer.recv(12).startswith(b"HTTP/1.1 200"))

    def test_who_has_a_sandbox_finds_room_for_a_second_file(self):
        server = self.start("--workers", 1)
        body = self.form(("script", self.BOTH, "s.py"), ("a", bytes(90000), "a"),
                         ("b", bytes(90000), "b"), ("t", b"x"))
        self.assertEqual(self.post(server, body, "", FORM)[0], 200)
        half = len(body) // 2
        slow = self.begin(server, len(body), body[:half], query="", kind=FORM)
        time.sleep(0.3)  # it has the only sandbox
        wait = self.begin(server, len(body), body, query="", kind=FORM)
        time.sleep(0.3)  # and one the only worker
        slow.sendall(body[half:])
        for peer in (slow, wait):
            self.assertTrue(peer.recv(12).startswith(b"HTTP/1.1 200"))

    def test_who_goes_gives_the_sandbox_back(self):
        server = self.start()
        for part in (b"", bytes(1), bytes(100000)):
            peer = self.begin(server, 2000000, part)
            time.sleep(0.1)
            peer.close()
            self.check(server, self.body(2 << 20))

    def test_who_is_slow_gives_it_back_too(self):
        server = self.start("--timeout", 1)
        with self.begin(server, 20000000, bytes(100000)) as peer:
            reply = b""
            with contextlib.suppress(OSError):
                for _ in range(60):
                    time.sleep(0.2)
                    peer.sendall(bytes(2000))  # steadily
            with contextlib.suppress(OSError):
                reply = peer.recv(100)
        self.assertTrue(reply == b"" or reply.startswith(b"HTTP/1.1 408"),
                        reply)
        self.check(server, self.body(2 << 20))

    @staticmethod
    def form(*fields):
        """(name, data[, filename])..."""
        parts = []
        for name, data, *file in fields:
            file = f'; filename="{file[0]}"' if file else ""
            parts.append(b"---=x\r\nContent-Disposition: form-data; name=\"" +
                         f'{name}"{file}\r\n\r\n'.encode() + data + b"\r\n")
        return b"".join(parts) + b"---=x--\r\n"

    BOTH = (b"def process(c):\n"
            b"    a, b = c.get_input('a'), c.get_input('b')\n"
            b"    return {'n': [len(a), sum(a[::999]), len(b),"
            b" sum(b[::999]), c.get_input('t')]}\n")

    def check_form(self, server, a, b, *first, pieces=None):
        body = self.form(*first, ("a", a, "a.bin"), ("t", b"text"),
                         ("b", b, "b.bin"), ("timeout_ms", b"20000"))
        if pieces is not None:
            body = iter(pieces(body))
        status, text, _ = self.post(server, body, "", FORM)
        self.assertEqual(status, 200, text)
        self.assertEqual(json.loads(text)["outputs"], [
            {"port": "n", "data": [len(a), sum(a[::999]), len(b),
                                   sum(b[::999]), "text"]}])

    def test_files_of_a_form_may_be_longer_than_what_is_kept(self):
        server = self.start()
        script = ("script", self.BOTH, "s.py")
        almost = b"\r\n---=" * 30000  # as its delimiter begins
        for a, b in ((self.body(3 << 20), self.body(5 << 20)),
                     (self.body(70000), b""), (b"", almost),
                     (almost, self.body(65536)),
                     (self.body(900000), self.body(10))):
            self.check_form(server, a, b, script)
        javascript = (
            b"const sum = d => d.filter((_, i) => i % 999 === 0)"
            b".reduce((x, y) => x + y, 0);\n"
            b"export default c => ({n: [c.input.a.length, sum(c.input.a),"
            b" c.input.b.length, sum(c.input.b), c.input.t]})")
        self.check_form(server, self.body(2 << 20), self.body(2 << 20),
                        ("script", javascript), ("language", b"javascript"))

    def test_a_form_is_the_same_in_whatever_pieces(self):
        server = self.start()
        data = (self.body(80000) + b"\r\n---=" * 100, self.body(100))
        body = self.form(("script", self.BOTH, "s.py"), ("a", data[0], "a"),
                         ("t", b"text"), ("b", data[1], "b"))
        want = None
        for step in (len(body), 1000, 777, 33333, 65536):
            peer = self.begin(server, len(body), b"", query="", kind=FORM)
            for at in range(0, len(body), step):
                peer.sendall(body[at:at + step])
                if step < 1000 and at % 7 == 0:
                    time.sleep(0.001)
            reply = http.client.HTTPResponse(peer)
            reply.begin()
            outputs = json.loads(reply.read())["outputs"]
            want = want or outputs
            self.assertEqual(outputs, want)
        self.assertEqual(want[0]["data"][0], len(data[0]))

    def test_a_form_is_not_kept_beside_the_sandbox(self):
        server = self.start()
        first = ("actor", b"both")
        with open(self.file("both.py", self.BOTH.decode()), "rb") as file:
            source = ("script", file.read())
        self.check_form(server, self.body(70000), b"", source)
        before = self.private_kib(server)
        self.check_form(server, self.body(64 << 20), self.body(32 << 20),
                        source)
        self.assertLess(self.private_kib(server) - before, 32 << 10)
        body = self.form(first, ("a", self.body(70000), "a"))
        self.assertEqual(self.code(server, body, "", FORM), (404, "EFILE"))

    def test_an_input_waits_as_long_as_it_must(self):
        server = self.start("--workers", 1)
        self.check(server, self.body(70000))
        peer = self.begin(server, 10, self.body(10, first=120))  # 12 s
        self.check(server, self.body(6 << 20))
        self.assertTrue(peer.recv(12).startswith(b"HTTP/1.1 200"))

    def test_who_goes_while_its_script_loads_is_forgotten(self):
        server = self.start()
        body = self.form(("script", b"import time; time.sleep(1)\n" + self.BOTH),
                         ("a", self.body(3 << 20), "a"))
        for size in (40, 100, 70000, 200000, len(body)):
            peer = self.begin(server, len(body) + 1, body[:size], query="",
                              kind=FORM)
            time.sleep(0.2)
            peer.close()
        self.check(server, self.body(2 << 20))

    def test_what_is_wrong_with_a_form_is_named(self):
        server = self.start()
        large = self.body(3 << 20)
        for first, status, code, words in (
                ((("a", large, "a"), ("script", self.BOTH)), 413, "ELIMIT",
                 "behind the script"),
                ((("script", large),), 413, "ELIMIT", "--body"),
                ((("script", self.BOTH), ("a", large, "a"),
                  ("language", b"python")), 400, "EARGUMENT",
                 "stand before files"),
                ((("script", b"x = 1 +"), ("a", large, "a")), 422, "ELOAD",
                 "s"),
                ((("script", b"def process(c): pass\n"), ("language", b"c"),
                  ("a", large, "a")), 400, "EARGUMENT", "python"),
                ((("a", bytes(70000), "a"),), 400, "EARGUMENT", "either"),
                ((("a", bytes(70000), "a"), ("script", self.BOTH),
                  ("actor", b"sum")), 400, "EARGUMENT", "either"),
                ((("script", self.BOTH), ("a" * 255, b"", "a"), ("b", large)),
                 413, "ELIMIT", "--body"),
                ((("script", self.BOTH),
                  *[(f"p{n}", b"", "f") for n in range(65)]), 400, "EARGUMENT",
                 "64"),
                ([(f"p{n}", b"") for n in range(5000)], 413, "ELIMIT",
                 "parts")):
            got, text, _ = self.post(server, self.form(*first), "", FORM)
            error = json.loads(text)["error"]
            self.assertEqual((got, error["code"]), (status, code), error)
            self.assertIn(words, error["message"])
        self.assertEqual(
            self.code(server, self.form(("script", self.BOTH),
                                        ("a", large, "a"))[:-4] + b"xxxx", "",
                      FORM), (400, "EFORMAT"))
        self.check(server, self.body(70000))

    def test_what_is_wrong_is_named(self):
        server = self.start()
        small, large = self.body(10), self.body(2 << 20)
        for query in ("actor=sum", "port=data", "", "actor=&port=data",
                      "actor=sum&port=" + "x" * 300, "xactor=sum&port=data",
                      "actor=sum&port=data&timeout_ms=0",
                      "actor=sum&port=data&timeout_ms=-1",
                      "actor=sum&port=data&timeout_ms=1x",
                      "actor=sum&port=data&timeout_ms=" + "9" * 30):
            self.assertEqual(self.code(server, small, query),
                             (400, "EARGUMENT"), query)
        self.assertEqual(self.code(server, small, "actor=no&port=data"),
                         (404, "EFILE"))
        with contextlib.suppress(OSError):  # it may be cut off meanwhile
            self.assertEqual(self.post(server, large, "actor=no&port=data")[0],
                             404)
        with contextlib.suppress(OSError):
            self.assertEqual(self.post(server, large, kind="text/plain")[0],
                             413)
        self.assertEqual(
            self.code(server, self.body(70000, first=20),
                      "actor=sum&port=data&timeout_ms=200"), (504, "ETIME"))
        self.check(server, self.body(70000))

    def test_nobody_without_a_token_has_a_sandbox(self):
        server = self.start("--tokens", self.file("tokens", f"me {SECRET}\n"))
        body = self.body(100000)
        self.assertEqual(self.post(server, body)[0], 401)
        self.check(server, body, Authorization=f"Bearer {SECRET}")


if __name__ == "__main__":
    unittest.main()
