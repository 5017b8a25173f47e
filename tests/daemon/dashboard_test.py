#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What gloveboxd tells of itself: /v1/stats, and the page that shows it.

usage: dashboard_test.py PROGRAM

The page in a browser is tests/dashboard/page_test.mjs.
"""
import contextlib
import http.client
import json
import pathlib
import re
import signal
import threading
import time
import unittest

from frames import frame
from server import DOUBLE, SECRET, Daemon

SOURCES = pathlib.Path(__file__).parents[2] / "daemon" / "dashboard"
PICKY = ('@actor(name="picky", inports=["in"], outports=["out"])\n'
         "def picky(c):\n"
         "    raise ValueError(c.get_input('in'))\n")
SLOW = "import time\ndef process(c): time.sleep(20)\n"


class Dashboard(Daemon):
    def get(self, server, path, method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port,
                                                timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path)
            reply = connection.getresponse()
            return reply.status, reply.headers, reply.read().decode()

    def stats(self, server, query="", token=None):
        status, reply = self.ask(server, "GET", "/v1/stats" + query,
                                 token=token)
        self.assertEqual(status, 200, reply)
        return reply

    def actor(self, server, name):
        one, = [a for a in self.stats(server)["actors"] if a["id"] == name]
        return one

    def until(self, test):
        """What it gives, once that is something."""
        for _ in range(600):
            got = test()
            if got:
                return got
            time.sleep(0.05)
        self.fail("it does not come to that")

    # ---- the page ----

    def test_the_page_is_one_with_strict_rules(self):
        server = self.serve()
        status, headers, page = self.get(server, "/")
        self.assertEqual(status, 200)
        self.assertEqual(headers["content-type"], "text/html; charset=utf-8")
        self.assertEqual(self.get(server, "/dashboard")[2], page)
        named = set(re.findall(r'(?:src|href)="(dashboard/[^"]+)"', page))
        for path in sorted(SOURCES.glob("*.js")):
            named |= {f"dashboard/{name}" for name in re.findall(
                r"from '\./([^']+)'", path.read_text())}
        self.assertEqual(named, {f"dashboard/{path.name}" for path in
                                 SOURCES.iterdir()
                                 if path.suffix in (".css", ".js")})
        for path in ("", *sorted(named)):
            status, headers, text = self.get(server, "/" + path)
            self.assertEqual(status, 200, path)
            kind = {"css": "text/css", "js": "text/javascript"}.get(
                path.rpartition(".")[2], "text/html")
            self.assertEqual(headers["content-type"],
                             f"{kind}; charset=utf-8", path)
            self.assertEqual(headers["x-content-type-options"], "nosniff")
            self.assertEqual(headers["cache-control"], "no-cache")
            rules = dict(rule.strip().partition(" ")[::2] for rule in
                         headers["content-security-policy"].split(";"))
            self.assertEqual(rules["default-src"], "'none'")
            self.assertEqual(rules["script-src"], "'self'")
            self.assertEqual(rules["frame-ancestors"], "'none'")
            self.assertNotIn("unsafe", str(rules))
            self.assertEqual(self.get(server, "/" + path, "HEAD")[2], "")
            # Nothing from elsewhere, and nothing that makes markup of text.
            self.assertEqual(set(re.findall(r"https?://[\w.]+", text)) -
                             {"http://www.w3.org"}, set(), path)
            self.assertIsNone(re.search(
                r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|"
                r"new Function|\son\w+=|<style|[\"']javascript:", text), path)
        for path in ("/dashboard/", "/dashboard/nothing.js", "/index.html"):
            self.assertEqual(self.get(server, path)[0], 404, path)
        self.assertEqual(self.ask(server, "POST", "/", "x")[0], 404)

    def test_the_page_needs_no_token_and_its_data_do(self):
        server = self.serve("--tokens",
                            self.file("tokens", f"ann {SECRET}\nbob {SECRET}b 2\n"))
        self.assertEqual(self.get(server, "/")[0], 200)
        self.assertEqual(self.get(server, "/dashboard/style.css")[0], 200)
        self.assertEqual(self.ask(server, "GET", "/v1/stats")[0], 401)
        self.assertEqual(self.ask(server, "GET", "/v1/stats", None, "x")[0],
                         401)
        stats = self.stats(server, token=SECRET)
        self.assertGreaterEqual(stats["daemon"]["denied"], 2)
        self.assertNotIn(SECRET, json.dumps(stats))
        self.assertIn(429, [self.ask(server, "GET", "/v1/stats", None,
                                     SECRET + "b")[0] for _ in range(6)])

    def test_pages_of_others_are_told_nothing(self):
        server = self.serve()
        connection = http.client.HTTPConnection("127.0.0.1", server.port,
                                                timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", "/v1/stats", None,
                               {"Origin": "http://evil.example"})
            self.assertEqual(connection.getresponse().status, 403)

    # ---- calls ----

    def test_calls_count_however_they_came(self):
        server = self.serve("--actor", self.file("double.py", DOUBLE))
        self.assertEqual(self.actor(server, "double")["lately"], {
            "calls": 0, "calls_per_second": 0.0, "ns_50": 0, "ns_90": 0,
            "ns_99": 0})
        wanted = 0
        ways = (
            lambda: self.ask(server, "POST", "/v1/run", json.dumps(
                {"actor": "double", "inputs": {"in": 1}})),
            lambda: self.talk(server, {
                "id": 1, "method": "process",
                "params": {"actor_id": "double", "payload": {"in": 1}}}),
            lambda: self.exchange(
                server, frame(
                    1, 5, "double", "in", type=3, scalar=1, flags=6),
                replies=2))
        for way in ways:
            way()
            wanted += 1
            one = self.until(lambda n=wanted: [
                a for a in self.stats(server)["actors"]
                if a["id"] == "double" and a["calls"] == n])[0]
            lately = one["lately"]
            self.assertIn(lately["calls"], range(wanted + 1))
            self.assertLessEqual(lately["ns_50"], lately["ns_90"])
            self.assertLessEqual(lately["ns_90"], lately["ns_99"])
        self.assertFalse(one["is_sent"])
        self.assertTrue(one["why"])
        self.assertEqual(one["pool"]["busy"], 0)
        self.assertGreaterEqual(one["pool"]["built"], 1)
        self.ask(server, "POST", "/api/v1/rpc", json.dumps(
            {"jsonrpc": "2.0", "id": "x", "method": "sandbox.start",
             "params": {"sandbox": "s"}}))
        self.ask(server, "POST", "/api/v1/rpc", json.dumps(
            {"jsonrpc": "2.0", "id": "x", "method": "sandbox.repl.run",
             "params": {"sandbox": "s", "language": "python", "code": "1"}}))
        self.run_script(server, "def process(c): return 1")
        stats = self.stats(server)
        self.assertEqual(stats["daemon"]["calls"], wanted + 2)
        self.assertIn(stats["daemon"]["lately"]["calls"], range(wanted + 3))
        self.assertEqual([a["is_sent"] for a in stats["actors"]],
                         [False, True])
        self.assertEqual(stats["actor_count"], 2)

    def test_none_is_lost_among_many(self):
        server = self.serve("--actor", self.file("double.py", DOUBLE))

        def ask():
            connection = http.client.HTTPConnection("127.0.0.1", server.port,
                                                    timeout=60)
            with contextlib.closing(connection):
                for _ in range(30):
                    connection.request("POST", "/v1/run", json.dumps(
                        {"actor": "double", "inputs": {"in": 1}}))
                    connection.getresponse().read()
        threads = [threading.Thread(target=ask) for _ in range(6)]
        for one in threads:
            one.start()
        while any(one.is_alive() for one in threads):
            self.stats(server)
        for one in threads:
            one.join()
        stats = self.stats(server)
        self.assertEqual(stats["daemon"]["calls"], 180)
        self.assertEqual(self.actor(server, "double")["calls"], 180)
        self.assertEqual(stats["daemon"]["workers_busy"], 0)

    def test_it_answers_while_all_workers_are_busy_and_while_it_ends(self):
        server = self.serve("--workers", 1)
        lines = [http.client.HTTPConnection("127.0.0.1", server.port,
                                            timeout=30) for _ in range(3)]
        for line in lines[:2]:
            line.request("POST", "/v1/run", json.dumps({"script": SLOW}))
        lines[2].request("GET", "/healthz")
        lines[2].getresponse().read()

        def daemon():
            lines[2].request("GET", "/v1/stats")
            return json.loads(lines[2].getresponse().read())["daemon"]
        now = self.until(lambda: (lambda d: d if d["queued"] else None)(
            daemon()))
        self.assertEqual((now["workers"], now["workers_busy"], now["queued"]),
                         (1, 1, 1))
        self.assertFalse(now["is_draining"])
        server.run.send_signal(signal.SIGTERM)
        self.until(lambda: daemon()["is_draining"])
        for line in lines[:2]:
            line.close()
        self.assertEqual(server.run.wait(timeout=30), 0)
        lines[2].close()

    # ---- errors ----

    def errors(self, server, query=""):
        return self.stats(server, query)["errors"]

    def test_errors_are_told_in_words(self):
        server = self.serve("--actor", self.file("picky.py", PICKY))
        self.assertEqual(self.errors(server), [])
        before = time.time()
        for text in ("<b>bold</b>", "x" * 100000, "\x00\x1b[1m\u00e9"):
            self.ask(server, "POST", "/v1/run", json.dumps(
                {"actor": "picky", "inputs": {"in": text}}))
        self.talk(server, {"id": 1, "method": "process", "params": {
            "actor_id": "picky", "payload": {"in": "rpc"}}})
        self.exchange(server, frame(
            1, 5, "picky", "in", type=3, scalar=4, flags=6), replies=1)
        self.run_script(server, "this is no Python", 422)
        got = self.errors(server)
        self.assertEqual([one["number"] for one in got],
                         list(range(1, len(got) + 1)))
        self.assertEqual([(one["actor"], one["code"]) for one in got],
                         [("picky", "ESCRIPT")] * 5 +
                         [("script-0.py", "ELOAD")])
        self.assertEqual(got[0]["message"], "ValueError: <b>bold</b>")
        self.assertIn("in picky", got[0]["traceback"])
        self.assertLess(len(json.dumps(got[1])), 16000)
        self.assertIn("ValueError", got[1]["message"])
        self.assertIn("rpc", got[3]["message"])
        self.assertIn("in picky", got[4]["traceback"])
        self.assertIn("SyntaxError", got[5]["traceback"])
        self.assertLess(abs(got[0]["at_ms"] / 1000 - before), 600)
        self.assertEqual(self.errors(server, "?after=4"), got[4:])
        self.assertEqual(self.errors(server, "?flow=x&after=6"), [])

    def test_who_fails_again_and_again_hides_nobody(self):
        server = self.serve("--actor", self.file("picky.py", PICKY))
        self.run_script(server, "def process(c): return 1 // 0", 422)
        for i in range(60):
            self.ask(server, "POST", "/v1/run", json.dumps(
                {"actor": "picky", "inputs": {"in": str(i)}}))
        got = self.errors(server)
        self.assertEqual([one["actor"] for one in got],
                         ["script-0"] + ["picky"] * 10)
        self.assertEqual(got[-1]["message"], "ValueError: 59")
        for i in range(60):
            self.run_script(server, f"def process(c): return {i} // 0", 422)
        self.assertEqual(len(self.errors(server)), 50)

    def test_what_is_printed_comes_with_the_answer(self):
        server = self.serve()
        reply = self.run_script(
            server, "import sys\nprint('first')\ndef process(c):\n"
            "    print('out\\x00\\udcff'.encode('utf-8', 'ignore').decode())\n"
            "    print('err', file=sys.stderr)\n    return 1")
        self.assertEqual(reply["printed"], "first\nout?\nerr\n")
        reply = self.run_script(server, "def process(c): return 2")
        self.assertNotIn("printed", reply)
        reply = self.run_script(server, "function process() { console.log('js')"
                                "; throw new Error('no'); }", 422,
                                language="javascript")
        self.assertEqual(reply["printed"], "js\n")
        reply = self.run_script(server, "import os\ndef process(c):\n"
                                "    for _ in range(100):\n"
                                "        os.write(1, b'\\xff' * 4096)\n")
        self.assertEqual(reply["printed"], "?" * 65536)
        reply = self.run_script(server, "this is no Python", 422)
        self.assertIn("SyntaxError", reply["error"]["traceback"])

    # ---- flows ----

    def test_flows_are_told_with_their_wires(self):
        server = self.serve("--actor", self.file("double.py", DOUBLE),
                            "--actor", self.file("picky.py", PICKY))
        name = "<b>&\"'"
        for flow in ("f", "g"):
            self.assertEqual(self.ask(
                server, "PUT", f"/v1/flows/{flow}", self.graph(
                    {"a": "double", name: "picky"}, [("a.out", f"{name}.in")],
                    inports={"x": "a.in"},
                    outports={"y": f"{name}.out"}))[0], 201)
        self.ask(server, "POST", "/v1/flows/f/x", "5")
        error = self.until(lambda: self.errors(server))[0]
        self.assertEqual((error["actor"], error["code"], error["message"]),
                         (f"f/{name}", "ESCRIPT", "ValueError: 10"))
        self.assertIn("in picky", error["traceback"])
        flows = {one["name"]: one for one in
                 self.stats(server, "?flow=f")["flows"]}
        self.assertEqual(set(flows), {"f", "g"})
        self.assertNotIn("nodes", flows["g"])
        self.assertEqual([(n["node"], n["component"], n["runs"])
                          for n in flows["f"]["nodes"]],
                         [("a", "double", 1), (name, "picky", 1)])
        self.assertEqual(flows["f"]["connections"], [
            {"from": "a", "from_port": "out", "to": name, "to_port": "in"}])
        self.assertEqual(flows["f"]["inports"],
                         [{"name": "x", "node": "a", "port": "in"}])
        self.assertEqual(flows["f"]["outports"],
                         [{"name": "y", "node": name, "port": "out"}])
        self.assertTrue(all("nodes" in one
                            for one in self.stats(server)["flows"]))

    def test_nonsense_asks_nothing(self):
        server = self.serve()
        for query in ("?", "?flow=", "?flow=" + "x" * 500, "?after=-1",
                      "?after=x", "?after=" + "9" * 400, "?&&&", "?flow",
                      "?flow=%41%26&after=1"):
            status, _ = self.ask(server, "GET", "/v1/stats" + query)
            self.assertIn(status, (200, 400, 403), query)
        for method in ("POST", "PUT", "DELETE"):
            self.assertEqual(self.ask(server, method, "/v1/stats", "")[0],
                             405, method)
        self.assertEqual(self.ask(server, "GET", "/healthz")[0], 200)


if __name__ == "__main__":
    unittest.main()
