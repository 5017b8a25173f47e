#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""gloveboxd, as its clients see it.

usage: daemon_test.py PROGRAM
"""
import contextlib
import email
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import unittest

import jsonschema
import websockets

from server import DOUBLE, PROGRAM, SECRET, Daemon, Server

class DaemonTest(Daemon):
    # ---- HTTP ----

    def test_it_says_how_it_is(self):
        server = self.serve("--actor", self.file("double.py", DOUBLE))
        self.assertEqual(self.ask(server, "GET", "/healthz"), (200, "ok\n"))
        self.assertEqual(self.ask(server, "GET", "/readyz"), (200, "ready\n"))
        self.ask(server, "POST", "/v1/run",
                 '{"actor": "double", "inputs": {"in": 1}}')
        status, text = self.ask(server, "GET", "/metrics")
        self.assertEqual(status, 200)
        values = dict(line.rsplit(" ", 1) for line in text.splitlines()
                      if not line.startswith("#"))
        self.assertEqual(values["gloveboxd_calls_total"], "1")
        self.assertEqual(values['gloveboxd_actor_calls_total{actor="double"}'],
                         "1")
        for name in values:
            self.assertIn(f"# TYPE {name.split('{')[0]} ", text)

    def test_scripts_are_run(self):
        server = self.serve()
        reply = self.run_script(
            server, "def process(c): return {'a': c.get_input('x') + 1, "
            "'b': 'two'}", inputs={"x": 41})
        self.assertEqual({o["port"]: o["data"] for o in reply["outputs"]},
                         {"a": 42, "b": "two"})
        reply = self.run_script(server, "function process(c) { return {out: "
                                "[c.input.x, null, 1.5]}; }",
                                language="javascript", inputs={"x": {"y": 1}})
        self.assertEqual(reply["outputs"][0]["data"], [{"y": 1}, None, 1.5])
        # The same text again is the same sandbox: it is open already.
        first = "n = 0\ndef process(c):\n    global n\n    n += 1\n    return n"
        got = [self.run_script(server, first)["outputs"][0]["data"]
               for _ in range(3)]
        self.assertEqual(len(got), 3)

    def test_what_fails_is_told_by_its_status(self):
        server = self.serve("--timeout", 1, "--body", 1)
        for body, status in (("{", 400), ("[]", 400), ("{}", 400),
                             ('{"script": "x", "actor": "y"}', 400),
                             ('{"actor": "nobody"}', 404),
                             ('{"script": "", "language": "cobol"}', 400),
                             ('{"script": "this is no Python"}', 422),
                             ('{"script": "def process(c): pass", '
                              '"inputs": [1]}', 400),
                             ('{"script": "def process(c): pass", '
                              '"timeout_ms": 0}', 400)):
            got, reply = self.ask(server, "POST", "/v1/run", body)
            self.assertEqual(got, status, body)
            self.assertTrue(reply["error"]["message"], body)
        reply = self.run_script(
            server, "def process(c): raise ValueError('no\\x00t that')", 422)
        self.assertIn("ValueError", reply["error"]["message"])
        self.assertIn("line 1", reply["error"]["traceback"])
        reply = self.run_script(server, "import os\n"
                                "def process(c): os._exit(3)", 422)
        self.assertEqual(reply["error"]["code"], "EEXIT")
        self.run_script(server, "def process(c):\n    while True: pass", 504)
        self.run_script(server, "def process(c):\n    while True: pass", 504,
                        timeout_ms=100)
        for method, path, status in (("GET", "/x", 404),
                                     ("GET", "/v1/run", 405),
                                     ("DELETE", "/v1/scripts/no", 404),
                                     ("POST", "/v1/scripts", 400)):
            self.assertEqual(self.ask(server, method, path)[0], status, path)
        self.assertEqual(
            self.ask(server, "POST", "/v1/run", "x" * (2 << 20))[0], 413)
        self.assertEqual(self.ask(server, "GET", "/healthz")[0], 200)

    def test_scripts_are_uploaded_listed_and_removed(self):
        server = self.serve()
        for name in ("../x.py", ".x.py", "", "a/b.py", "x", "%2e%2e/x.py"):
            self.assertEqual(self.ask(
                server, "POST", f"/v1/scripts?name={name}", DOUBLE)[0], 400)
        for _ in range(2):
            self.assertEqual(self.ask(server, "POST",
                                      "/v1/scripts?name=d.py", DOUBLE),
                             (201, {"id": "double"}))
        _, reply = self.ask(server, "GET", "/v1/scripts")
        self.assertEqual([one["id"] for one in reply["scripts"]], ["double"])
        self.assertEqual(self.ask(
            server, "POST", "/v1/run",
            '{"actor": "double", "inputs": {"in": 4}}')[1]["outputs"],
            [{"port": "out", "data": 8}])
        self.assertEqual(self.ask(server, "DELETE", "/v1/scripts/double")[0],
                         204)
        self.assertEqual(self.ask(server, "GET", "/v1/scripts")[1],
                         {"scripts": []})

    # ---- forms, and answers as they come ----

    def post(self, server, body, kind, accept=None):
        """The status, and the reply as a message of email.parser."""
        connection = http.client.HTTPConnection("127.0.0.1", server.port,
                                                timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", "/v1/run", body, {
                "Content-Type": kind, **({"Accept": accept} if accept else {})})
            reply = connection.getresponse()
            data = reply.read()
        return reply.status, email.message_from_bytes(
            b"Content-Type: " + reply.getheader("content-type").encode() +
            b"\r\n\r\n" + data)

    @staticmethod
    def form(*fields):
        """(name, data, filename or None, type or None)..."""
        parts = []
        for name, data, file, kind in fields:
            head = f'Content-Disposition: form-data; name="{name}"'
            head += f'; filename="{file}"' if file else ""
            head += f"\r\nContent-Type: {kind}" if kind else ""
            parts.append(f"--=x=\r\n{head}\r\n\r\n".encode() + data + b"\r\n")
        return (b"".join(parts) + b"--=x=--\r\n",
                'multipart/form-data; boundary="=x="')

    def test_forms_carry_files_as_they_are(self):
        server = self.serve()
        data = os.urandom(3 << 20) + b"\r\n--=x\r\n"
        script = (b"def process(c):\n"
                  b"    d = c.get_input('data')\n"
                  b"    return {'n': [len(d), sum(d[::1000]), c.get_input('t'),"
                  b" c.get_input('j'), c.get_input('k')]}\n")
        status, reply = self.post(server, *self.form(
            ("script", script, "s.py", None), ("data", data, "d.bin", None),
            ("t", "é".encode(), None, None),
            ("j", b'{"a": [1]}', None, "application/json"),
            ("inputs", b'{"k": 2, "j": 0}', None, None),
            ("timeout_ms", b"20000", None, None)))
        self.assertEqual(status, 200, reply)
        self.assertEqual(
            json.loads(reply.get_payload(decode=True))["outputs"],
            [{"port": "n", "data": [len(data), sum(data[::1000]), "é",
                                    {"a": [1]}, 2]}])
        status, reply = self.post(server, *self.form(
            ("script", b"export default c => ({n: c.input.data.length})",
             "x.mjs", None),
            ("data", b"12345", None, "application/octet-stream")))
        self.assertEqual(json.loads(reply.get_payload(decode=True))["outputs"][0]["data"],
                         5)
        for fields, code in (
                ([("x", b"\xff", None, None)], "EARGUMENT"),
                ([("x", b"[", None, "application/json")], "EARGUMENT"),
                ([("inputs", b"[]", None, None)], "EARGUMENT"),
                ([("inputs", b"[", None, None)], "EARGUMENT"),
                ([(f"p{n}", b"", "f", None) for n in range(65)], "EARGUMENT"),
                ([], "EARGUMENT")):
            status, reply = self.post(server, *self.form(*fields))
            self.assertEqual((status, json.loads(
                reply.get_payload(decode=True))["error"]["code"]), (400, code), fields)
        for body, kind in ((b"--=x=", "multipart/form-data; boundary==x="),
                           (b"", "multipart/form-data"),
                           (b"--y--", "multipart/mixed; boundary=y")):
            status, reply = self.post(server, body, kind)
            self.assertEqual((status, json.loads(
                reply.get_payload(decode=True))["error"]["code"]), (400, "EFORMAT"))

    SENDER = ("import time\n"
              "def process(c):\n"
              "    print('said')\n"
              "    c.send_output('a', b'\\x00\\xff' * c.get_input('n'))\n"
              "    c.send_output('b', 'text\\n')\n"
              "    if c.get_input('fails'): raise ValueError('late')\n"
              "    return {'c\"\\r': [1, None]}\n")

    def send(self, server, accept, **inputs):
        return self.post(server, json.dumps(
            {"script": self.SENDER, "inputs": {"n": 2, "fails": False,
                                               **inputs}}),
            "application/json", accept)

    def test_outputs_are_lines_as_they_come(self):
        server = self.serve()
        status, reply = self.send(server, "application/x-ndjson")
        lines = [json.loads(line)
                 for line in reply.get_payload().splitlines()]
        self.assertEqual((status, lines[:-1]), (200, [
            {"port": "a", "data": [0, 255] * 2}, {"port": "b", "data": "text\n"},
            {"port": 'c"\r', "data": [1, None]}]))
        self.assertEqual(lines[-1]["printed"], "said\n")
        self.assertGreater(lines[-1]["wall_ns"], 0)
        status, reply = self.send(server, "application/x-ndjson", fails=True)
        last = json.loads(reply.get_payload().splitlines()[-1])
        self.assertEqual((status, last["error"]["code"]), (200, "ESCRIPT"))
        self.assertIn("late", last["error"]["traceback"])
        # What fails before anything is sent has its status.
        status, reply = self.post(server, '{"script": "1 +"}',
                                  "application/json", "application/x-ndjson")
        self.assertEqual(status, 422)
        status, reply = self.post(
            server, '{"script": "def process(c): pass"}', "application/json",
            "application/x-ndjson")
        self.assertEqual((status, len(reply.get_payload().splitlines())),
                         (200, 1))

    def test_outputs_are_parts_as_they_come(self):
        server = self.serve()
        for size in (0, 2, 3 << 20):
            status, reply = self.send(server, "multipart/mixed", n=size)
            parts = reply.get_payload()
            self.assertEqual((status, len(parts)), (200, 4))
            got = [(part["Content-Disposition"], part.get_content_type(),
                    part.get_payload(decode=True)) for part in parts]
            self.assertTrue(got[0] == ('form-data; name="a"',
                                       "application/octet-stream",
                                       b"\x00\xff" * size), size)
            self.assertEqual(got[1], ('form-data; name="b"', "text/plain",
                                      b"text\n"))
            self.assertEqual(got[2], ('form-data; name="c"',
                                      "application/json", b"[1,null]"))
            self.assertEqual(got[3][:2], ("result", "application/json"))
            self.assertEqual(json.loads(got[3][2])["printed"], "said\n")

    def test_who_does_not_read_ends_his_call(self):
        server = self.serve("--workers", 1, "--timeout", 20)
        with socket.create_connection(("127.0.0.1", server.port)) as one:
            body = json.dumps({"script": (
                "def process(c):\n"
                "    while True: c.send_output('a', bytes(1 << 20))\n")})
            one.sendall((f"POST /v1/run HTTP/1.1\r\nHost: localhost\r\n"
                         f"Accept: multipart/mixed\r\n"
                         f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
            self.run_script(server, "def process(c): return 1")

    def test_it_is_as_it_describes_itself(self):
        server = self.serve("--actor", self.file("double.py", DOUBLE))
        status, about = self.ask(server, "GET", "/v1/openapi.json")
        self.assertEqual(status, 200)
        graph = self.graph({"a": "double"}, [], inports={"x": "a.in"})
        self.ask(server, "PUT", "/v1/flows/f", graph)
        asks = {("put", "/v1/flows/{name}"): [graph, "[]"],
                ("post", "/v1/flows/{name}/{port}"): ["1", "["],
                ("post", "/v1/run"): ['{"actor": "double", "inputs": {"in": 2}}',
                                      '{"actor": "x"}', "[", '{"script": "?"}'],
                ("post", "/v1/scripts"): [DOUBLE]}
        told = set()
        for path, methods in about["paths"].items():
            for method, says in sorted(methods.items(), reverse=True):
                if method == "parameters":
                    continue
                for body in asks.get((method, path), [None]):
                    query = "?name=d.py" if path == "/v1/scripts" else ""
                    place = path.format(id="nobody", name="f", port="x")
                    status, reply = self.ask(server, method.upper(),
                                             place + query, body)
                    self.assertIn(str(status), says["responses"], (method, path))
                    self.matches(about, says["responses"][str(status)], reply)
            told.add(path.split("{")[0])
        # Each place that it knows is described.
        known = set()
        for name in ("api/http.c", "dashboard/stats.c"):
            code = pathlib.Path(__file__).parents[2] / "daemon" / name
            known |= set(re.findall(r'path, "(/[^"]+)"', code.read_text()))
        self.assertEqual(known - {"/v1/", "/api/v1/rpc", "/api/v1/health"},
                         told - {"/v1/flows/"})

    def matches(self, about, response, reply):
        if "$ref" in response:
            response = about["components"]["responses"][
                response["$ref"].rsplit("/", 1)[1]]
        for kind, content in response.get("content", {}).items():
            if kind == "application/json":
                jsonschema.validate(reply, {
                    **content["schema"], "components": about["components"]})

    def test_many_ask_at_once(self):
        server = self.serve("--actor", self.file("double.py", DOUBLE))
        wrong = []

        def ask(number):
            connection = http.client.HTTPConnection("127.0.0.1", server.port,
                                                    timeout=60)
            for i in range(20):
                connection.request("POST", "/v1/run", json.dumps(
                    {"actor": "double", "inputs": {"in": number + i}}))
                reply = json.loads(connection.getresponse().read())
                if reply["outputs"][0]["data"] != 2 * (number + i):
                    wrong.append(reply)
            connection.close()
        threads = [threading.Thread(target=ask, args=(1000 * n,))
                   for n in range(64)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        self.assertEqual(wrong, [])

    def test_too_much_is_refused(self):
        server = self.serve("--workers", 1, "--queue", 1)
        slow = json.dumps({"script": "import time\n"
                           "def process(c): time.sleep(1.5)\n"})
        statuses = []
        threads = [threading.Thread(target=lambda: statuses.append(
            self.ask(server, "POST", "/v1/run", slow)[0])) for _ in range(5)]
        for one in threads:
            one.start()
            time.sleep(0.1)
        for one in threads:
            one.join()
        self.assertEqual(sorted(statuses), [200, 200, 503, 503, 503])

    def test_who_goes_away_has_its_call_ended(self):
        server = self.serve("--workers", 1)
        slow = json.dumps({"script": "import time\n"
                           "def process(c): time.sleep(20)\n"})
        with self.assertRaises(TimeoutError):
            self.ask(server, "POST", "/v1/run", slow, timeout=1)
        before = time.monotonic()
        self.run_script(server, "def process(c): return 1")
        self.assertLess(time.monotonic() - before, 10)

    def test_who_is_too_slow_is_cut_off(self):
        server = self.serve()
        kinds = {
            "nothing": (b"", b""),
            "head": (b"GET /healthz HTTP/1.1\r\n", b"X-A: b\r\n"),
            "body": (b"POST /v1/run HTTP/1.1\r\nHost: x\r\n"
                     b"Content-Length: 100000\r\n\r\n", b"x")}
        peers = {}
        for kind, (begin, _) in kinds.items():
            for _ in range(20):
                peer = socket.create_connection(("127.0.0.1", server.port))
                self.addCleanup(peer.close)
                peer.sendall(begin)
                peer.settimeout(0)
                peers[peer] = kind
        before = time.monotonic()
        while peers and time.monotonic() - before < 40:
            for peer, kind in list(peers.items()):
                try:
                    peer.send(kinds[kind][1])
                    if b"" == peer.recv(1000):
                        del peers[peer]
                except BlockingIOError:
                    pass
                except OSError:
                    del peers[peer]
            self.assertEqual(self.ask(server, "GET", "/healthz")[0], 200)
            time.sleep(0.25)
        self.assertEqual(set(peers.values()), set())

    # ---- Reflow's protocol ----

    def test_reflows_protocol(self):
        path = self.file("double.py", DOUBLE)
        server = self.serve("--scripts", self.folder)
        got = self.talk(
            server, {"id": "1", "method": "load",
                     "params": {"file_path": str(path)}})
        self.assertEqual(got, [{"jsonrpc": "2.0", "id": "1",
                                "result": {"success": True}}])
        got = self.talk(
            server,
            {"id": "a", "method": "list", "params": {}},
            {"id": 7, "method": "process", "params": {
                "payload": {"in": 21}, "config": {}, "actor_id": "double",
                "state": {"namespace": "default", "actor_id": "double",
                          "redis_url": "redis://localhost:6379"},
                "timestamp": 1757000000000}})
        by_id = {one["id"]: one["result"] for one in got}
        self.assertEqual(by_id, {"a": {"actors": ["double"]},
                                 7: {"outputs": {"out": 42}}})

    def test_errors_have_json_rpcs_codes(self):
        server = self.serve("--actor", self.file(
            "bad.py", "def process(c): raise KeyError('gone')\n"))
        for request, code in (
                ("no JSON", -32700), ("[]", -32600), ("{}", -32600),
                ('{"jsonrpc": "1.0", "id": 1, "method": "list"}', -32600),
                ('{"jsonrpc": "2.0", "id": {}, "method": "list"}', -32600),
                ('{"jsonrpc": "2.0", "id": 1, "method": 7}', -32600),
                ({"id": 1, "method": "list", "params": []}, -32600),
                ({"id": 1, "method": "dance"}, -32601),
                ({"id": 1, "method": "load"}, -32602),
                ({"id": 1, "method": "process"}, -32602),
                ({"id": 1, "method": "process", "params": {
                    "actor_id": "bad", "payload": 1}}, -32602),
                ({"id": 1, "method": "process", "params": {
                    "actor_id": "bad", "config": {"a": 1}}}, -32602),
                ({"id": 1, "method": "process", "params": {
                    "actor_id": "x"}}, -32603)):
            got, = self.talk(server, request)
            self.assertEqual(got["error"]["code"], code, request)
        got, = self.talk(server, {"id": "e", "method": "process",
                                  "params": {"actor_id": "bad"}})
        self.assertEqual(got["error"]["message"], "KeyError: 'gone'")
        self.assertIn("bad.py", got["error"]["data"])
        self.assertEqual(got["id"], "e")

    def test_only_the_folder_is_loaded_from(self):
        (self.folder / "in").mkdir()
        outside = self.file("double.py", DOUBLE)
        (self.folder / "in" / "link.py").symlink_to(outside)
        server = self.serve("--scripts", self.folder / "in")
        for path in (outside, self.folder / "in" / "link.py",
                     self.folder / "in" / ".." / "double.py", "/etc/passwd",
                     self.folder / "in" / "none.py"):
            got, = self.talk(server, {"id": 1, "method": "load",
                                      "params": {"file_path": str(path)}})
            self.assertFalse(got["result"]["success"], path)
            self.assertIn(str(path), got["result"]["error"])

    def test_what_is_sent_meanwhile_comes_at_once(self):
        server = self.serve("--actor", self.file(
            "count.py", "import time\n"
            "async def process(c):\n"
            "    for i in range(4):\n"
            "        await c.send_output('n', i)\n"
            "    await c.send_output('end', 'x')\n"))
        got = self.talk(server, {"id": 1, "method": "process",
                                 "params": {"actor_id": "count"}}, replies=4)
        for i, one in enumerate(got[:3]):
            self.assertEqual(one["method"], "script_output")
            self.assertLess(abs(one["params"].pop("timestamp")
                                - 1000 * time.time()), 60000)
            self.assertEqual(one["params"], {"actor_id": "count", "port": "n",
                                             "data": i})
        self.assertEqual(got[3]["result"], {"outputs": {"n": 3, "end": "x"}})

    def test_a_message_may_be_large_but_not_too_large(self):
        server = self.serve("--body", 2, "--actor",
                            self.file("double.py", DOUBLE))
        text = "x" * 500000
        got, = self.talk(server, {"id": 1, "method": "process", "params": {
            "actor_id": "double", "payload": {"in": text}}})
        self.assertEqual(got["result"]["outputs"]["out"], 2 * text)
        with self.assertRaises(websockets.ConnectionClosed) as gone:
            self.talk(server, "y" * (3 << 20))
        self.assertEqual(gone.exception.code, 1009)

    def raw(self, server, data, count=4000):
        with socket.create_connection(("127.0.0.1", server.port),
                                      timeout=20) as one:
            one.sendall(data)
            try:
                return one.recv(count)
            except ConnectionResetError:
                return b""

    def test_what_is_no_plain_http_is_refused(self):
        server = self.serve("--connections", 5)
        for _ in range(10):
            self.raw(server, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
                     b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                     b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n")
            self.raw(server, b"CONNECT / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for data, status in (
                (b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\n\r\n", b"411"),
                (b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\n"
                 b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"411"),
                (b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\n"
                 b"Content-Length: 000000000000000000000000000002\r\n\r\n{}",
                 b"400"),
                (b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\nExpect: "
                 b"100-continue\r\nContent-Length: 2\r\n\r\n", b"100")):
            self.assertEqual(self.raw(server, data)[9:12], status, data)
        self.assertEqual(self.ask(server, "GET", "/healthz")[0], 200)

    def test_pages_of_others_ask_nothing(self):
        server = self.serve()
        for headers, status in (
                ({}, 200), ({"Origin": "http://localhost:8000"}, 200),
                ({"Origin": "http://[::1]"}, 200),
                ({"Origin": "http://evil.example"}, 403),
                ({"Origin": "null"}, 403),
                ({"Origin": "http://localhost.evil.example"}, 403),
                ({"Host": "evil.example"}, 403),
                ({"Host": "127.0.0.1.evil.example:80"}, 403)):
            connection = http.client.HTTPConnection("127.0.0.1", server.port,
                                                    timeout=30)
            connection.request("GET", "/v1/scripts", None, headers)
            self.assertEqual(connection.getresponse().status, status, headers)
            connection.close()
        with self.assertRaises(websockets.InvalidStatusCode) as refused:
            self.talk(server, {"id": 1, "method": "list"},
                      origin="http://evil.example")
        self.assertEqual(refused.exception.status_code, 403)

    def test_what_is_sent_is_bounded(self):
        server = self.serve("--body", 1)
        flood = "def process(c):\n    while True: c.send('out', 'x' * %d)\n"
        for size in (10, 100000, 300000):
            reply = self.run_script(server, flood % size, 413)
            self.assertIn("--body", reply["error"]["message"])
        self.run_script(server, "def process(c): return {'out': [2**63]}", 400)
        self.run_script(server, "def process(c): return {'out': 1}")

    def test_a_client_may_go_while_it_listens_or_pipelines(self):
        server = self.serve("--workers", 1, "--actor",
                            self.file("double.py", DOUBLE))
        self.ask(server, "PUT", "/v1/flows/f", self.graph({"a": "double"}, []))
        with self.listening(server, "f"):
            pass
        slow = json.dumps({"script": "import time\n"
                           "def process(c): time.sleep(20)\n"}).encode()
        with socket.create_connection(("127.0.0.1", server.port)) as one:
            one.sendall(b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\n"
                        b"Content-Length: %d\r\n\r\n" % len(slow) + slow
                        + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            time.sleep(0.5)
        before = time.monotonic()
        self.run_script(server, "def process(c): return 1")
        self.assertLess(time.monotonic() - before, 10)
        time.sleep(1.5)
        ticks = [sum(map(int, pathlib.Path(f"/proc/{server.run.pid}/stat")
                         .read_text().split()[13:15])) for _ in range(2)
                 if not time.sleep(0.5)]
        self.assertLess(ticks[1] - ticks[0], 25)

    # ---- flows ----

    @contextlib.contextmanager
    def listening(self, server, name):
        """A function that gives the next event's kind and data."""
        connection = http.client.HTTPConnection("127.0.0.1", server.port,
                                                timeout=30)
        connection.request("GET", f"/v1/events?flow={name}")
        reply = connection.getresponse()
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.getheader("content-type"), "text/event-stream")
        self.assertEqual(reply.readline(), b": listening\n")
        self.assertEqual(reply.readline(), b"\n")

        def event():
            kind, data = reply.readline().decode(), reply.readline().decode()
            if not kind:
                return None
            self.assertEqual(reply.readline(), b"\n")
            return (kind.removeprefix("event: ").strip(),
                    json.loads(data.removeprefix("data: ")))
        with contextlib.closing(connection), contextlib.closing(reply):
            yield event

    def test_flows_run_and_are_listened_to(self):
        server = self.serve("--actor", self.file("double.py", DOUBLE))
        row = self.graph({"a": "double", "b": "double"}, [("a.out", "b.in")],
                         inports={"x": "a.in"}, outports={"y": "b.out"})
        self.assertEqual(self.ask(server, "PUT", "/v1/flows/f", row),
                         (201, {"name": "f"}))
        with self.listening(server, "f") as event, \
                self.listening(server, "f") as other:
            self.assertEqual(self.ask(server, "POST", "/v1/flows/f/x", "5")[0],
                             202)
            got = [event()]
            while got[-1][1].get("_type") != "NetworkIdle":
                got.append(event())
            kinds = [data.get("_type") for kind, data in got if kind == "flow"]
            self.assertEqual(kinds.count("ActorCompleted"), 2)
            self.assertIn("MessageSent", kinds)
            self.assertIn(("output", {"port": "y", "message": {
                "type": "Integer", "data": 20}}), got)
            # It follows another graph, and who listens goes on.
            self.assertEqual(self.ask(server, "PUT", "/v1/flows/f", self.graph(
                {"a": "double", "c": "double", "b": "double"},
                [("a.out", "c.in"), ("c.out", "b.in")], inports={"x": "a.in"},
                outports={"y": "b.out"}))[0], 200)
            self.ask(server, "POST", "/v1/flows/f/a.in", "5")
            outputs = []
            while len(outputs) < 2:
                kind, data = other()
                if kind == "output":
                    outputs.append(data["message"]["data"])
            self.assertEqual(outputs, [20, 40])
            self.ask(server, "POST", "/v1/flows/f/x", "{}")
            while other()[0] != "letter":
                pass
            _, reply = self.ask(server, "GET", "/v1/flows")
            flow, = reply["flows"]
            self.assertEqual((flow["name"], flow["outputs"], flow["letters"]),
                             ("f", 2, 1))
            self.assertEqual({node["node"]: node["runs"] >= 1
                              for node in flow["nodes"]},
                             {"a": True, "b": True, "c": True})
            self.assertEqual(self.ask(server, "DELETE", "/v1/flows/f")[0], 204)
            while other() is not None:
                pass
        self.assertEqual(self.ask(server, "GET", "/v1/flows"),
                         (200, {"flows": []}))

    def test_what_flows_refuse(self):
        server = self.serve("--actor", self.file("double.py", DOUBLE))
        good = self.graph({"a": "double"}, [], inports={"x": "a.in"})
        for name, body, status in (
                ("f", "{", 400), ("f", "[]", 400), ("f", "", 400),
                ("a.b", good, 400), ("x" * 64, good, 400),
                ("f", self.graph({"a": "nobody"}, []), 400),
                ("f", self.graph({"a": "file_in"}, []), 400),
                ("f", self.graph({"a": "log"}, []), 400),
                ("f", self.graph({"a": "double"}, [("a.out", "a.no")]), 400)):
            got, reply = self.ask(server, "PUT", f"/v1/flows/{name}", body)
            self.assertEqual(got, status, (name, body))
            self.assertTrue(reply["error"]["message"])
        self.assertEqual(self.ask(server, "GET", "/v1/flows")[1],
                         {"flows": []})
        self.assertEqual(self.ask(server, "PUT", "/v1/flows/f", good)[0], 201)
        self.assertEqual(self.ask(server, "PUT", "/v1/flows/f", self.graph(
            {"a": "double"}, []))[0], 409)
        for method, path, body, status in (
                ("POST", "/v1/flows/f/nowhere", "1", 400),
                ("POST", "/v1/flows/f/x", "{", 400),
                ("POST", "/v1/flows/g/x", "1", 404),
                ("DELETE", "/v1/flows/g", None, 404),
                ("POST", "/v1/flows", None, 405),
                ("GET", "/v1/events", None, 404),
                ("GET", "/v1/events?flow=g", None, 404)):
            self.assertEqual(self.ask(server, method, path, body)[0], status,
                             path)

    def test_a_client_s_graph_may_only_lower_limits(self):
        def with_metadata(metadata):
            return json.dumps({**json.loads(self.graph(
                {"a": "show"}, [], inports={"x": "a.in"})), "processes": {
                    "a": {"component": "show", "metadata": metadata}}})
        show = self.file("show.py", "def process(c): print('x' * c.get_input("
                                    "'in')); return {'out': 1}\n")
        server = self.serve("--actor", show, "--workers", "2")
        for metadata, said in (
                ({"image": "python:3.11-slim"}, "not a client's to say"),
                ({"isolation": "process"}, "not a client's to say"),
                ({"pool": {"total": 3}}, "more than a client's 2 sandboxes"),
                ({"limits": {"memroy": 1}}, 'you may mean \\"memory\\"'),
                ({"limits": {"memory": "1K"}}, "at least 16M")):
            status, reply = self.ask(server, "PUT", "/v1/flows/f",
                                     with_metadata(metadata))
            self.assertEqual(status, 400, metadata)
            self.assertIn("node a: metadata: ", reply["error"]["message"])
            self.assertIn(said, json.dumps(reply["error"]["message"]))
        # More than there is, is what there is.
        self.assertEqual(self.ask(server, "PUT", "/v1/flows/f", with_metadata(
            {"pool": {"total": 2}, "limits": {
                "memory": "1T", "output-limit": 100}}))[0], 201)
        with self.listening(server, "f") as event:
            self.ask(server, "POST", "/v1/flows/f/x", "200")
            while (got := event())[0] != "letter":
                pass
            self.assertIn("printed more than 100", got[1]["reason"])

    def test_who_listens_may_vanish(self):
        server = self.serve("--actor", self.file("double.py", DOUBLE))
        self.ask(server, "PUT", "/v1/flows/f", self.graph(
            {"t": "timer", "a": "double"}, [("t.out", "a.in")],
            outports={"y": "a.out"}).replace(
                '"component": "timer"', '"component": "timer", "metadata": '
                '{"interval_ms": 1, "sends": "Integer"}'))
        for _ in range(20):
            with self.listening(server, "f") as event:
                self.assertIn(event()[0], ("flow", "output"))
        self.assertEqual(self.ask(server, "GET", "/healthz")[0], 200)
        with self.listening(server, "f") as event:
            event()
            server.run.terminate()
            self.assertEqual(server.run.wait(timeout=30), 0)

    # ---- microsandbox 0.2 ----

    def msb(self, server, method, status_wanted=200, **params):
        status, reply = self.ask(server, "POST", "/api/v1/rpc", json.dumps(
            {"jsonrpc": "2.0", "id": "x", "method": method, "params": params}))
        self.assertEqual(status, status_wanted, reply)
        if status_wanted == 200:
            self.assertEqual((reply["jsonrpc"], reply["id"]), ("2.0", "x"))
            return reply["result"]
        return reply

    def type_in(self, server, code, language="python", **params):
        got = self.msb(server, "sandbox.repl.run", sandbox="s",
                       language=language, code=code, **params)
        self.assertEqual(got["status"], "success")
        return [(line["stream"], line["text"]) for line in got["output"]]

    def test_a_sandbox_of_microsandbox(self):
        server = self.serve()
        self.assertEqual(self.ask(server, "GET", "/api/v1/health"),
                         (200, {"message": "Service is healthy"}))
        self.assertEqual(
            self.msb(server, "sandbox.start", sandbox="s", namespace="default",
                     config={"image": "microsandbox/python", "memory": 512,
                             "cpus": 1, "envs": ["WHO=me"]}),
            "Sandbox s started successfully")
        self.assertEqual(self.type_in(server, "x = 20\nx + 1"),
                         [("stdout", "21")])
        self.assertEqual(self.type_in(server, "print(x); print('a\\nb', end='')"),
                         [("stdout", "20"), ("stdout", "a"), ("stdout", "b")])
        self.assertEqual(self.type_in(server, "import os; os.environ['WHO']"),
                         [("stdout", "'me'")])
        got = self.type_in(server, "def f():\n    return 1 // 0\nf()")
        self.assertEqual({stream for stream, _ in got}, {"stderr"})
        self.assertEqual(got[0][1], "Traceback (most recent call last):")
        self.assertIn("ZeroDivisionError", got[-1][1])
        self.assertIn("SyntaxError", self.type_in(server, "x =")[-1][1])
        self.assertEqual(self.type_in(server, "x"), [("stdout", "20")])
        # The other language has its own memory.
        self.assertEqual(self.type_in(server, "const y = [1]; console.log(y)",
                                      "node"), [("stdout", "[1]")])
        self.assertEqual(self.type_in(server, "y.push(2); y", "javascript"),
                         [("stdout", "[1,2]")])
        self.assertIn("ReferenceError",
                      self.type_in(server, "nothing", "nodejs")[0][1])
        # What takes too long is ended.
        self.assertEqual(self.type_in(server, "while True: pass", timeout=1),
                         [("stderr",
                           "Error: Execution timed out after 1 seconds")])
        self.assertIn("NameError", self.type_in(server, "x")[-1][1])
        got = self.msb(server, "sandbox.metrics.get", namespace="*")
        self.assertEqual([(s["namespace"], s["name"], s["running"])
                          for s in got["sandboxes"]],
                         [("default", "s", True)])
        self.assertEqual(self.msb(server, "sandbox.stop", sandbox="s"),
                         "Sandbox s stopped successfully")
        self.msb(server, "sandbox.stop", 500, sandbox="s")
        self.msb(server, "sandbox.repl.run", 500, sandbox="s",
                 language="python", code="1")

    def test_commands_of_microsandbox(self):
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            self.skipTest("a command is run in a micro-VM: no /dev/kvm here")
        server = self.serve()
        self.msb(server, "sandbox.start", sandbox="s")
        got = self.msb(server, "sandbox.command.run", sandbox="s",
                       command="echo", args=["hello", "there"])
        self.assertEqual(got, {"command": "echo", "args": ["hello", "there"],
                               "exit_code": 0, "success": True, "output": [
                                   {"stream": "stdout",
                                    "text": "hello there"}]})
        got = self.msb(server, "sandbox.command.run", sandbox="s",
                       command="ls", args=["/nothing"])
        self.assertEqual((got["exit_code"], got["success"]), (2, False))
        self.assertEqual(got["output"][0]["stream"], "stderr")
        got = self.msb(server, "sandbox.command.run", 500, sandbox="s",
                       command="no-such-command")
        self.assertIn("no-such-command", got["error"])
        got = self.msb(server, "sandbox.command.run", sandbox="s",
                       command="yes", timeout=20)
        self.assertEqual(got["output"][-1]["text"],
                         "Error: more than 1 MiB of output")
        for name in ("/bin/ls", "../x", "./ls"):
            self.msb(server, "sandbox.command.run", 400, sandbox="s",
                     command=name)

    def test_what_microsandbox_refuses(self):
        server = self.serve()
        for params in ({}, {"sandbox": ""}, {"sandbox": "-x"},
                       {"sandbox": "x" * 64}, {"sandbox": "a b"},
                       {"sandbox": "s", "namespace": "*"},
                       {"sandbox": "s", "config": {"volumes": ["/:/x"]}},
                       {"sandbox": "s", "config": {"image": "debian"}},
                       {"sandbox": "s", "config": {"envs": ["x"]}},
                       {"sandbox": "s", "config": {"memory": -1}}):
            got = self.msb(server, "sandbox.start", 400, **params)
            self.assertEqual(got["code"], 2001, params)
        self.assertEqual(self.msb(server, "sandbox.dance", 404)["error"]["code"],
                         -32601)
        self.assertEqual(self.msb(server, "sandbox.repl.run", 400, sandbox="s",
                                  language="cobol", code="")["code"], 2001)
        status, reply = self.ask(server, "POST", "/api/v1/rpc",
                                 '{"jsonrpc": "1.0", "method": "x", "id": 1}')
        self.assertEqual((status, reply["error"]["code"]), (400, -32600))
        for name in ("a", "b"):
            self.msb(server, "sandbox.start", sandbox=name)
        self.msb(server, "sandbox.start", sandbox="a")
        got = self.msb(server, "sandbox.metrics.get", sandbox="a")
        self.assertEqual(len(got["sandboxes"]), 1)

    # ---- who may come in ----

    def test_a_token_has_no_more_at_once_than_it_may(self):
        server = self.serve("--workers", 4, "--tokens", self.file(
            "tokens", f"ann {SECRET} 1000 2\nbob {SECRET}b\n"))
        slow = json.dumps({"script": "import time\n"
                           "def process(c): time.sleep(1.5)\n"})
        statuses = []
        threads = [threading.Thread(target=lambda: statuses.append(self.ask(
            server, "POST", "/v1/run", slow, SECRET)[0])) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        self.assertEqual(self.ask(server, "POST", "/v1/run", slow,
                                  SECRET + "b")[0], 200)
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(statuses), [200, 200, 503])
        self.assertEqual(self.ask(server, "GET", "/v1/scripts", None,
                                  SECRET)[0], 200)
        for line in ("3 x", "3 0", "3 -1", "3 1 1", "3  2"):
            self.assertIn("tokens:1: ", self.refused(
                "--tokens", self.file("tokens", f"ann {SECRET} {line}\n"),
                code=69))

    def test_tokens(self):
        audit = self.folder / "audit"
        tokens = self.file("tokens", f"# who\nann {SECRET}\n"
                           f"bob {SECRET}b 3\n")
        server = self.serve("--tokens", tokens, "--audit", audit, "--actor",
                            self.file("double.py", DOUBLE))
        body = '{"actor": "double", "inputs": {"in": 1}}'
        self.assertEqual(self.ask(server, "GET", "/healthz")[0], 200)
        for token in (None, "x", SECRET[:-1], SECRET + "c", SECRET[1:]):
            self.assertEqual(self.ask(server, "POST", "/v1/run", body,
                                      token)[0], 401)
            self.assertNotEqual(self.ask(server, "GET", "/metrics", None,
                                         token)[0], 200)
        self.assertEqual(self.ask(server, "POST", "/v1/run", body, SECRET)[0],
                         200)
        self.assertEqual(self.ask(server, "GET", "/metrics", None, SECRET)[0],
                         200)
        statuses = [self.ask(server, "POST", "/v1/run", body, SECRET + "b")[0]
                    for _ in range(8)]
        self.assertIn(200, statuses)
        self.assertIn(429, statuses)
        with self.assertRaises(websockets.InvalidStatusCode) as refused:
            self.talk(server, {"id": 1, "method": "list"})
        self.assertEqual(refused.exception.status_code, 401)
        got, = self.talk(server, {"id": 1, "method": "list"}, extra_headers={
            "Authorization": f"Bearer {SECRET}"})
        self.assertEqual(got["result"], {"actors": ["double"]})
        lines = [json.loads(line) for line in audit.read_text().splitlines()]
        self.assertEqual(lines[0]["token"], "ann")
        self.assertEqual(lines[0]["what"], "run")
        self.assertEqual(lines[0]["code"], "OK")
        self.assertNotIn(SECRET, audit.read_text())

    def refused(self, *words, code=64):
        run = subprocess.run([PROGRAM, *map(str, words)], timeout=60,
                             capture_output=True, encoding="utf-8",
                             check=False)
        self.assertEqual(run.returncode, code, run.stderr)
        return run.stderr

    def test_what_it_cannot_start_with_is_named(self):
        self.assertIn("--tokens", self.refused("--listen", "0.0.0.0:0"))
        self.assertIn("--tokens", self.refused("--listen", "[::]:0"))
        self.assertIn("ADDRESS:PORT", self.refused("--listen", "80"))
        self.assertIn("go together", self.refused("--cert", "x"))
        self.refused("--workers", "0")
        self.assertIn("script.py", self.refused("script.py", code=69))
        self.assertIn("chmod 600", self.refused(
            "--tokens", self.file("t", f"a {SECRET}\n", 0o644), code=69))
        self.assertIn(":1: ", self.refused(
            "--tokens", self.file("t", "a short\n"), code=69))
        self.assertIn("no token", self.refused(
            "--tokens", self.file("t", "# none\n"), code=69))
        self.assertIn("/none.py", self.refused(
            "--actor", self.folder / "none.py", code=69))
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.assertIn(str(port), self.refused(
                "--listen", f"127.0.0.1:{port}", code=69))

    def test_tls(self):
        cert, key = self.folder / "cert.pem", self.folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048",
                        "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                        "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                       check=True, capture_output=True)
        server = self.serve("--cert", cert, "--key", key)
        context = ssl.create_default_context(cafile=cert)
        connection = http.client.HTTPSConnection("127.0.0.1", server.port,
                                                 context=context, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", "/healthz")
            self.assertEqual(connection.getresponse().status, 200)
        with self.assertRaises(OSError):
            self.ask(server, "GET", "/healthz")
        self.assertIn("certificate", self.refused(
            "--cert", self.file("no.pem", "no"), "--key", key, "--listen",
            "127.0.0.1:0", code=69))

    # ---- its life ----

    def test_what_runs_may_end(self):
        server = self.serve("--actor", self.file(
            "slow.py", "import time\n"
            "def process(c):\n    time.sleep(1)\n    return 'done'\n"))
        got = []
        asks = threading.Thread(target=lambda: got.append(self.ask(
            server, "POST", "/v1/run", '{"actor": "slow"}')))
        asks.start()
        time.sleep(0.4)
        server.run.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        self.assertNotEqual(self.run_quietly(server), 200)
        asks.join()
        self.assertEqual(got[0][0], 200)
        self.assertEqual(got[0][1]["outputs"][0]["data"], "done")
        self.assertEqual(server.run.wait(timeout=30), 0)

    def test_a_second_signal_is_not_waited_for(self):
        server = Server("--listen", "127.0.0.1:0", "--actor", self.file(
            "slow.py", "import time\n"
            "def process(c):\n    time.sleep(20)\n"))
        asks = threading.Thread(target=lambda: self.run_quietly(server))
        asks.start()
        time.sleep(0.5)
        server.run.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        server.run.send_signal(signal.SIGTERM)
        self.assertEqual(server.run.wait(timeout=10), 128 + signal.SIGTERM)
        asks.join()
        server.end()

    def run_quietly(self, server):
        try:
            return self.ask(server, "POST", "/v1/run", '{"actor": "slow"}')[0]
        except OSError:
            return None

    def test_a_socket_for_others_needs_tokens_too(self):
        with socket.create_server(("0.0.0.0", 0)) as listener:
            start = self.file("start", "#!/bin/sh\n"
                              f"exec 3<&{listener.fileno()}\n"
                              "export LISTEN_PID=$$ LISTEN_FDS=1\n"
                              f"exec {PROGRAM} --isolation process\n", 0o700)
            run = subprocess.run([start], pass_fds=[listener.fileno()],
                                 capture_output=True, encoding="utf-8",
                                 timeout=60, check=False)
        self.assertEqual(run.returncode, 64)
        self.assertIn("--tokens", run.stderr)

    def test_a_service_manager_hands_over_its_socket(self):
        told = self.folder / "notify"
        with socket.create_server(("127.0.0.1", 0)) as listener, \
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(told))
            notify.settimeout(30)
            start = self.file("start", "#!/bin/sh\n"
                              f"exec 3<&{listener.fileno()}\n"
                              "export LISTEN_PID=$$ LISTEN_FDS=1\n"
                              f"exec {PROGRAM} --isolation process\n", 0o700)
            with subprocess.Popen([start], pass_fds=[listener.fileno()],
                                  stderr=subprocess.DEVNULL,
                                  env={**os.environ,
                                       "NOTIFY_SOCKET": str(told)}) as run:
                self.assertEqual(notify.recv(100), b"READY=1")
                connection = http.client.HTTPConnection(
                    *listener.getsockname(), timeout=30)
                connection.request("GET", "/healthz")
                self.assertEqual(connection.getresponse().status, 200)
                connection.close()
                run.terminate()
                self.assertEqual(notify.recv(100), b"STOPPING=1")
                self.assertEqual(run.wait(timeout=30), 0)

    def test_it_leaves_nothing(self):
        before = set(os.listdir("/tmp"))
        server = self.serve()
        self.run_script(server, "def process(c): return 1")
        self.assertEqual(server.end(), 0)
        until = time.monotonic() + 90
        while left := [name for name in set(os.listdir("/tmp")) - before
                       if name.startswith("gloveboxd-")]:
            # Some may be of others, which are tested beside this one.
            self.assertLess(time.monotonic(), until, left)
            time.sleep(0.2)


if __name__ == "__main__":
    unittest.main()
