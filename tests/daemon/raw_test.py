#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""POST /v1/run?actor=ID&port=NAME: an input as it is, written into a sandbox as
it comes.

usage: raw_test.py GLOVEBOXD
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


class Raw(Daemon):
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

    def test_who_finds_no_sandbox_waits_or_is_told(self):
        server = self.start()
        slow = socket.create_connection(("127.0.0.1", server.port))
        self.addCleanup(slow.close)
        self.check(server, self.body(70000))
        slow.sendall(b"POST /v1/run?actor=sum&port=data HTTP/1.1\r\n"
                     b"Host: localhost\r\nContent-Type: " + KIND.encode() +
                     b"\r\nContent-Length: 2000000\r\n\r\n" + bytes(1000))
        time.sleep(0.3)  # it has the only sandbox
        self.assertEqual(self.post(server, self.body(2 << 20))[0], 503)
        slow.sendall(bytes(2000000 - 1000))
        self.check(server, self.body(70000))  # waits, and is run
        self.assertTrue(slow.recv(12).startswith(b"HTTP/1.1 200"))

    def test_who_goes_gives_the_sandbox_back(self):
        server = self.start()
        for part in (b"", bytes(1), bytes(100000)):
            with socket.create_connection(("127.0.0.1", server.port)) as peer:
                peer.sendall(b"POST /v1/run?actor=sum&port=data HTTP/1.1\r\n"
                             b"Host: localhost\r\nContent-Type: " +
                             KIND.encode() +
                             b"\r\nContent-Length: 2000000\r\n\r\n" + part)
                time.sleep(0.1)
            time.sleep(0.1)
            self.check(server, self.body(2 << 20))

    def test_who_is_slow_gives_it_back_too(self):
        server = self.start("--timeout", 1)
        with socket.create_connection(("127.0.0.1", server.port)) as peer:
            peer.settimeout(20)
            peer.sendall(b"POST /v1/run?actor=sum&port=data HTTP/1.1\r\n"
                         b"Host: localhost\r\nContent-Type: " + KIND.encode() +
                         b"\r\nContent-Length: 2000000\r\n\r\n" + bytes(1000))
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
