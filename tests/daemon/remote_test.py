#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The isolation remote: hosts that are there, lost, full, strange or hostile.

usage: remote_test.py GLOVEBOXD GLOVEBOX CALLER
"""
import asyncio
import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import unittest

import websockets

from frames import (ASK, DONE, FAILED, HAS_NOT_RUN, HAS_TIMEOUT, HELLO, INPUT,
                    LOAD, LOADED, OUTPUT, PRINT, RUNS, UNLOAD, cbor, frame)
from server import SECRET, Daemon, Server

GLOVEBOX, CALLER = map(os.path.abspath, sys.argv[1:3])
del sys.argv[1:3]

ADD = ("def process(c):\n"
       "    return {'out': c.get_input('in') + 1}\n")
SLOW = ("import time\n"
        "def process(c):\n"
        "    time.sleep(c.get_input('in'))\n"
        "    return {'out': 'slept'}\n")


class Fake:
    """A server of our own making, with one way to answer."""

    def __init__(self, serve, subprotocols=("glovebox.1",)):
        self.serve, self.subprotocols = serve, subprotocols
        self.heard, self.started = [], threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.main()))
        self.thread.start()
        self.started.wait(10)

    async def main(self):
        self.loop, self.over = asyncio.get_running_loop(), asyncio.Event()

        async def one(peer, *_):
            with contextlib.suppress(websockets.ConnectionClosed):
                await self.serve(self, peer)
        async with websockets.serve(one, "127.0.0.1", 0, max_size=None,
                                    subprotocols=self.subprotocols) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.started.set()
            await self.over.wait()

    async def hear(self, peer):
        """The next frame: (kind, flags, call, scalar, actor, port, body)."""
        data = await peer.recv()
        (_, kind, _, flags, port, call, actor, scalar,
         _) = struct.unpack_from("<4sBBBBIIQQ", data)
        one = (kind, flags, call, scalar, data[32:32 + actor],
               data[32 + actor:32 + actor + port], data[32 + actor + port:])
        self.heard.append(one)
        return one

    def end(self):
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join()

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}"


def hello(**more):
    return frame(HELLO, 0, body=cbor({"oldest": 1, "newest": 1, "workers": 2,
                                      "busy": 0, "waiting": 0,
                                      "product": "fake", **more}))


def loaded(number, **more):
    return frame(LOADED, number, body=cbor(
        {"metadata": {"component": "f"}, "isolation": "process",
         "why": "so", **more}))


def answering(reply):
    """A server that is a good host until a call comes, which `reply` answers:
    what it returns is sent, frame by frame."""
    async def serve(self, peer):
        while True:
            one = await self.hear(peer)
            if one[0] == HELLO:
                await peer.send(hello())
            elif one[0] == LOAD:
                await peer.send(loaded(one[2]))
            elif one[0] == INPUT and one[1] & RUNS:
                for data in reply(one[2]):
                    if data is None:
                        await peer.close()
                        return
                    await peer.send(data)
    return serve


class RemoteTest(Daemon):
    def fake(self, serve, **how):
        fake = Fake(serve, **how)
        self.addCleanup(fake.end)
        return fake

    @staticmethod
    @contextlib.contextmanager
    def faking(serve):
        fake = Fake(serve)
        try:
            yield fake
        finally:
            fake.end()

    def run_at(self, urls, source=ADD, *words, value="1", code=0, env=None):
        script = self.file("s.py", source)
        done = subprocess.run(
            [GLOVEBOX, "run", script, "--no-config", "--no-cache",
             *(["--in", f"in={value}"] if value is not None else []),
             *(word for url in urls for word in ("--remote", url)), *words],
            capture_output=True, encoding="utf-8", timeout=120,
            env={**os.environ, **(env or {})}, check=False)
        # None: any but a crash.
        self.assertIn(done.returncode, range(126) if code is None else [code],
                      done)
        return done

    @staticmethod
    def url(server, scheme="ws"):
        return f"{scheme}://127.0.0.1:{server.port}"

    # ---- good hosts ----

    def test_hosts_may_stand_in_the_configuration(self):
        server = self.serve("--tokens", self.file("tokens", f"me {SECRET}\n"))
        script = self.file("s.py", ADD)
        self.file("box.token", SECRET + "\n")

        def run(config, *words):
            return subprocess.run(
                [GLOVEBOX, "run", script, "--no-cache", "--config",
                 self.file("c.json", json.dumps(config)), "--in", "in=1",
                 *words], capture_output=True, encoding="utf-8", timeout=60,
                check=False)
        host = {"url": self.url(server), "token_file": "box.token"}
        remote = {"rules": [{"match": "**/s.py", "isolation": "remote",
                             "idempotent": True}]}
        done = run({**remote, "hosts": [host]}, "--why")
        self.assertEqual((done.returncode, done.stdout), (0, "out: 2\n"), done)
        self.assertIn("isolation remote", done.stderr)
        # Who does not go there, does not ask for it.
        done = run({"hosts": ["ws://127.0.0.1:1",
                              {**host, "token_file": "none"}]})
        self.assertEqual((done.returncode, done.stdout), (0, "out: 2\n"), done)
        for hosts, said in (
                ([{**host, "token_file": "none"}], "No such file"),
                ([self.url(server)], "refuses the token"),
                ([], "no remote host")):
            done = run({**remote, "hosts": hosts})
            self.assertNotEqual(done.returncode, 0, hosts)
            self.assertIn(said, done.stderr)
        # A folder may not send what is run in it elsewhere.
        self.file("glovebox.json", json.dumps({**remote, "hosts": [host]}))
        done = subprocess.run([GLOVEBOX, "run", "s.py", "--in", "in=1"],
                              cwd=self.folder, capture_output=True,
                              encoding="utf-8", timeout=60, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("may not be set by a file that was only found",
                      done.stderr)

    def test_a_graph_s_scripts_run_there(self):
        server = self.serve("--tokens", self.file("tokens", f"me {SECRET}\n"))
        self.file("add.py", ADD)
        path = self.file("g.json", self.graph(
            {"a": "add", "b": "add"}, [("a.out", "b.in")],
            inports={"in": "a.in"}, outports={"out": "b.out"}))

        def run(*words):
            return subprocess.run(
                [GLOVEBOX, "flow", "run", path, "--no-config", "--in", "in=5",
                 *words], capture_output=True, encoding="utf-8", timeout=60,
                check=False)
        there = ("--remote", self.url(server), "--idempotent", "--remote-token",
                 self.file("box.token", SECRET + "\n"))
        done = run(*there)
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(json.loads(done.stdout)["message"]["data"], 7)
        metrics = self.ask(server, "GET", "/metrics", token=SECRET)[1]
        self.assertRegex(str(metrics), r"calls_total\D* 2\b")
        done = run(*there[:2])
        self.assertEqual(done.returncode, 125, done)
        self.assertIn("refuses the token", done.stderr)

    def test_all_that_a_script_does_comes_home(self):
        server = self.serve()
        done = self.run_at([self.url(server)], (
            "import sys\n"
            "def process(c):\n"
            "    print('said')\n"
            "    print('oops', file=sys.stderr)\n"
            "    c.state.set('n', (c.state.get('n') or 0) + 1)\n"
            "    c.send_output('early', c.config)\n"
            "    return {'out': c.state.get('n')}\n"),
            "--repeat", "3", "--wipe", "on-error", "--script-config",
            '{"a": [1]}')
        self.assertEqual(done.stdout.splitlines(),
                         [line for n in (1, 2, 3)
                          for line in ("said", 'early: {"a":[1]}', f"out: {n}")])
        self.assertIn("oops", done.stderr)

    def test_state_goes_from_host_to_host(self):
        servers = [self.serve("--workers", 1) for _ in range(3)]
        source = ("import time\n"
                  "def process(c):\n"
                  "    time.sleep(0.05)\n"
                  "    return {'out': c.state.increment('n')}\n")
        done = self.run_at(map(self.url, servers), source, "--repeat", "30",
                           "--parallel", "3")
        self.assertEqual(
            sorted(int(line.split()[1]) for line in done.stdout.splitlines()),
            list(range(1, 31)))
        for server in servers:
            self.assertGreater(self.calls(server), 2)

    def calls(self, server):
        _, text = self.ask(server, "GET", "/metrics")
        return int(dict(line.rsplit(" ", 1) for line in text.splitlines()
                        if line[0] != "#")["gloveboxd_calls_total"])

    def test_large_messages_go_both_ways(self):
        server = self.serve()
        data = self.folder / "data"
        data.write_bytes(os.urandom(20 << 20))
        out = self.folder / "out"
        self.run_at([self.url(server)], (
            "def process(c):\n"
            "    v = c.get_input('in')\n"
            "    for n in range(4): c.send_output('part', v[n::4])\n"
            "    return {'out': v}\n"), "--out", f"out={out}", "--out",
            f"part={out}2", value=f"@{data}")
        self.assertEqual(out.read_bytes(), data.read_bytes())
        parts = (self.folder / "out2").read_bytes()
        quarter = len(parts) // 4
        self.assertEqual(bytearray(parts[quarter:2 * quarter]),
                         data.read_bytes()[1::4])

    def test_more_than_it_can_do_at_once_waits(self):
        server = self.serve("--workers", 1, "--queue", 2)
        done = self.run_at([self.url(server)], (
            "import time\n"
            "def process(c):\n"
            "    time.sleep(0.01)\n"
            "    return {'out': 1}\n"), "--repeat", "60", "--parallel", "20")
        self.assertEqual(done.stdout.splitlines(), ["out: 1"] * 60)

    def test_what_goes_wrong_there_is_told_here(self):
        url = self.url(self.serve("--timeout", 1))
        for source, value, code, said in (
                ("1 +", None, 126, "SyntaxError"),
                ("def process(c): raise KeyError('no')", "1", 1,
                 'File "s.py", line 1'),
                ("import os\ndef process(c): os._exit(3)", "1", 4, "exit"),
                ("def process(c): bytearray(1 << 40)", "1", 3, "MemoryError"),
                ("def process(c):\n while 1: pass", "1", 3, "--timeout")):
            done = self.run_at([url], source, value=value, code=code)
            self.assertIn(said, done.stderr, source)
        done = self.run_at([url], SLOW, "--timeout", "300ms", value="20",
                           code=124)
        self.assertIn("did not answer within", done.stderr)

    def test_a_floor_holds_there_too(self):
        rules = self.file("rules.json", json.dumps(
            {"defaults": {"isolation": ["remote"], "floor": "microvm"}}))
        script = self.file("s.py", ADD)
        done = subprocess.run(
            [GLOVEBOX, "run", script, "--config", rules, "--in", "in=1",
             "--remote", self.url(self.serve())], capture_output=True,
            encoding="utf-8", timeout=60, check=False)
        self.assertEqual(done.returncode, 125)
        self.assertIn("floor", done.stderr)

    # ---- who may come in, and who is trusted ----

    def test_tokens_and_certificates(self):
        tokens = self.file("tokens", f"ann {SECRET}\n")
        right, wrong = (self.file(name, text + "\n") for name, text in
                        (("right", SECRET), ("wrong", SECRET[::-1])))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
             "-keyout", self.folder / "key", "-out", self.folder / "cert",
             "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True,
            capture_output=True)
        server = self.serve("--tokens", tokens, "--cert", self.folder / "cert",
                            "--key", self.folder / "key")
        url = f"wss://localhost:{server.port}"
        ca = ("--remote-ca", self.folder / "cert")
        done = self.run_at([url], ADD, *ca, "--remote-token", right)
        self.assertEqual(done.stdout, "out: 2\n")
        for words, said in (
                ((*ca, "--remote-token", wrong), "refuses the token"),
                (ca, "refuses the token"),
                (("--remote-token", right), "wss://localhost"),
                ((*ca, "--remote-token", self.file("empty", "")), "is empty"),
                (("--remote-ca", "/nowhere"), "/nowhere: No such file")):
            done = subprocess.run(
                [GLOVEBOX, "run", self.file("s.py", ADD), "--in", "in=1",
                 "--remote", url, *words], capture_output=True,
                encoding="utf-8", timeout=60, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(said, done.stderr)
            self.assertNotIn(SECRET, done.stderr)

    # ---- script runtimes of Reflow ----

    def reflow(self, *before, answers, file=None):
        """A runtime server as Reflow's client knows it; what it was asked."""
        asked, actors = [], list(before)

        async def serve(_, peer):
            async for text in peer:
                one = json.loads(text)
                assert one["jsonrpc"] == "2.0" and type(one["id"]) is str, one
                asked.append(one)
                method, params = one["method"], one["params"]
                if method == "list":
                    result = {"actors": actors}
                elif method == "load":
                    good = file is not None and os.path.exists(
                        params["file_path"])
                    if good:
                        actors.append(file)
                    result = {"success": True} if good else {
                        "success": False, "error": "No such file"}
                else:
                    for reply in answers(params):
                        if "method" not in reply:
                            reply["id"] = one["id"]
                        await peer.send(json.dumps({"jsonrpc": "2.0", **reply}))
                    continue
                await peer.send(json.dumps(
                    {"jsonrpc": "2.0", "id": one["id"], "result": result}))
        return self.fake(serve, subprotocols=None).url, asked

    def test_a_reflow_runtime_runs_what_it_knows(self):
        def answers(params):
            yield {"method": "script_output", "params": {
                "actor_id": "s", "port": "early", "data": [1, None],
                "timestamp": 1}}
            yield {"method": "log", "params": "noise"}
            yield {"result": {"outputs": {
                "out": params["payload"]["in"] * 2, "text": "é"}}}
        url, asked = self.reflow("other", "s", answers=answers)
        done = self.run_at([url], ADD, "--repeat", "3", value="21")
        self.assertEqual(done.stdout.splitlines(),
                         ["early: [1,null]", "out: 42", 'text: "é"'] * 3)
        self.assertEqual({one["method"] for one in asked}, {"list", "process"})
        params = [one["params"] for one in asked
                  if one["method"] == "process"][0]
        self.assertEqual(params["payload"], {"in": 21})
        self.assertEqual(params["config"], {})
        self.assertEqual(params["actor_id"], "s")
        self.assertEqual(set(params["state"]),
                         {"namespace", "actor_id", "redis_url"})
        self.assertLess(abs(params["timestamp"] / 1000 - time.time()), 60)

    def test_a_reflow_runtime_loads_what_it_has(self):
        url, asked = self.reflow("other", file="adder", answers=lambda params: [
            {"result": {"outputs": {"out": 1}}}])
        self.run_at([url])
        self.assertEqual([one["method"] for one in asked],
                         ["list", "load", "list", "process"])
        self.assertEqual(asked[3]["params"]["actor_id"], "adder")
        url, _ = self.reflow(answers=None)
        done = self.run_at([url], code=125)
        self.assertIn("No such file", done.stderr)

    def test_what_goes_wrong_in_a_reflow_runtime(self):
        for reply, code, said in (
                ({"error": {"code": -32603, "message": "Actor not found: s"}},
                 1, "Actor not found"),
                ({"error": {"code": -32603, "message": "m", "data": "tb"}}, 1,
                 "tb"),
                ({"error": 7}, 1, "without a message"),
                ({"result": {"error": "boom", "traceback": "File x"}}, 1,
                 "File x"),
                ({"result": None}, 0, ""), ({"result": [1]}, 0, ""),
                ({"result": {"outputs": {"p" * 300: 1}}}, 3, "more than is")):
            url, _ = self.reflow("s", answers=lambda _, r=reply: [dict(r)])
            done = self.run_at([url], code=code)
            self.assertIn(said, done.stderr)
        rules = self.file("rules.json", json.dumps(
            {"defaults": {"isolation": ["remote"], "floor": "wasm"}}))
        done = subprocess.run(
            [GLOVEBOX, "run", self.file("s.py", ADD), "--config", rules,
             "--remote", url], capture_output=True, encoding="utf-8",
            timeout=60, check=False)
        self.assertIn("has a floor", done.stderr)

    # ---- hosts that are lost ----

    def test_who_is_not_there_is_named(self):
        done = self.run_at(["ws://127.0.0.1:1", "ws://no.such.host.invalid"],
                           code=125)
        self.assertIn("ws://127.0.0.1:1", done.stderr)
        self.assertIn("no.such.host", done.stderr)

    def start(self, *words):
        """One that is not asked to end well."""
        server = Server("--listen", "127.0.0.1:0", *words)
        self.addCleanup(server.end)
        return server

    def call_and_kill(self, urls, killed, *words, code):
        def kill():
            for _ in range(200):
                time.sleep(0.05)
                if self.busy(killed):
                    break
            killed.run.kill()
        thread = threading.Thread(target=kill)
        thread.start()
        done = self.run_at(urls, SLOW, *words, value="1.5", code=code)
        thread.join()
        return done

    def busy(self, server):
        with contextlib.suppress(OSError):
            _, text = self.ask(server, "GET", "/metrics")
            return "gloveboxd_workers_busy 1" in text
        return False

    def test_a_call_whose_host_is_lost_is_unknown(self):
        server = self.start()
        done = self.call_and_kill([self.url(server)], server, code=125)
        self.assertIn("whether the call ran is not known", done.stderr)
        self.assertIn(self.url(server), done.stderr)

    def test_one_that_may_run_twice_is_run_elsewhere(self):
        other, server = self.serve(), self.start()
        # It is the first that is asked, since the other has work.
        blocker = threading.Thread(target=lambda: self.run_script(
            other, "import time\ndef process(c): time.sleep(0.8)\n"))
        blocker.start()
        done = self.call_and_kill([self.url(other), self.url(server)], server,
                                  "--idempotent", code=0)
        blocker.join()
        self.assertEqual(done.stdout, 'out: "slept"\n')

    def test_what_the_first_attempt_changed_is_taken_back(self):
        other, server = self.serve(), self.start()
        blocker = threading.Thread(target=lambda: self.run_script(
            other, "import time\ndef process(c): time.sleep(0.8)\n"))
        blocker.start()

        def kill():
            while not self.busy(server):
                time.sleep(0.02)
            time.sleep(0.3)
            server.run.kill()
        thread = threading.Thread(target=kill)
        thread.start()
        done = self.run_at([self.url(other), self.url(server)], (
            "import time\n"
            "def process(c):\n"
            "    n = c.state.increment('n')\n"
            "    time.sleep(1)\n"
            "    return {'out': [n, c.state.increment('n')]}\n"),
            "--idempotent")
        thread.join()
        blocker.join()
        self.assertEqual(done.stdout, "out: [1,2]\n")

    def test_many_calls_survive_hosts_that_come_and_go(self):
        steady = self.serve("--workers", 2)
        ports = []
        over = threading.Event()

        def come_and_go():
            server = self.start("--workers", "2")
            ports.append(server.port)
            while True:
                if over.wait(0.4):
                    break
                server.run.kill()
                server.end()
                if over.wait(0.2):
                    return
                server = Server("--listen", f"127.0.0.1:{ports[0]}",
                                "--workers", "2")
            server.end()
        thread = threading.Thread(target=come_and_go)
        thread.start()
        while not ports:
            time.sleep(0.01)
        source = ("import time\n"
                  "def process(c):\n"
                  "    time.sleep(0.005)\n"
                  "    return {'out': c.get_input('in') + 1}\n")
        done = self.run_at(
            [self.url(steady), f"ws://127.0.0.1:{ports[0]}"], source,
            "--idempotent", "--repeat", "1500", "--parallel", "8", "--wipe",
            "on-error", value="41")
        over.set()
        thread.join()
        self.assertEqual(done.stdout.splitlines(), ["out: 42"] * 1500)

    def test_one_that_ends_well_takes_no_more(self):
        leaving, staying = self.start("--workers", "2"), self.serve()
        out = {}

        def call():
            out["done"] = self.run_at(
                [self.url(leaving), self.url(staying)],
                "import time\n"
                "def process(c):\n"
                "    time.sleep(0.02)\n"
                "    return {'out': 1}\n", "--repeat", "150", "--parallel", "4")
        thread = threading.Thread(target=call)
        thread.start()
        while not self.calls(leaving):
            time.sleep(0.01)
        leaving.run.send_signal(signal.SIGTERM)
        thread.join()
        self.assertEqual(out["done"].stdout.splitlines(), ["out: 1"] * 150)
        self.assertGreater(self.calls(staying), 20)

    # ---- servers that are none of ours ----

    def test_other_servers_are_told_apart(self):
        def version(oldest, newest):
            async def serve(self, peer):
                await self.hear(peer)
                await peer.send(hello(oldest=oldest, newest=newest))
                await peer.wait_closed()
            return serve

        async def json_but_not_ours(self, peer):
            await peer.recv()
            await peer.send('{"id": "list", "result": {"actors": 7}}')
            await peer.wait_closed()

        async def nonsense(_, peer):
            await peer.send(b"GBX2" + bytes(28))
            await peer.wait_closed()
        for fake, said in (
                (self.fake(json_but_not_ours, subprotocols=None),
                 "no message of this protocol"),
                (self.fake(version(2, 3)), "speaks versions 2 to 3"),
                (self.fake(nonsense), "no message of this protocol")):
            done = self.run_at([fake.url], code=125)
            self.assertIn(said, done.stderr)
        # A later one that speaks ours too is as good as any.
        later = self.fake(answering(lambda call: [frame(DONE, call)]))
        self.run_at([later.url])

    def test_what_is_sent_is_what_was_asked(self):
        fake = self.fake(answering(lambda call: [frame(DONE, call)]))
        self.run_at([fake.url], ADD, "--timeout", "5s", "--memory", "64M")
        kinds = [one[0] for one in fake.heard]
        self.assertEqual(kinds[:2], [HELLO, LOAD])
        load = fake.heard[1][6]
        for part in (b"memory_bytes\x1a\x04\x00\x00\x00", b"source", b"s.py"):
            self.assertIn(part, load)
        first = next(one for one in fake.heard if one[0] == INPUT)
        self.assertTrue(first[1] & HAS_TIMEOUT)
        self.assertTrue(4000 < first[3] <= 5001, first[3])
        self.assertRegex(first[4], rb"^#\d+/\d+$")

    def test_hostile_hosts_harm_nobody(self):
        """Whatever comes, the caller has an error, and goes on."""
        texts = b"what\0trace\0Type\0message"
        for reply, code in (
                (lambda n: [b""], 125),
                (lambda n: [b"x" * 100], 125),
                (lambda n: ["text"], 125),
                (lambda n: [frame(HELLO, 0, body=b"\xff")], 125),
                (lambda n: [frame(DONE, n, body=b"x" * 99)], 0),
                (lambda n: [frame(OUTPUT, n + 1), frame(DONE, n)], 0),
                (lambda n: [frame(INPUT, n)], 125),
                (lambda n: [frame(OUTPUT, n, port="p", type=200, flags=2),
                            frame(DONE, n)], 4),
                (lambda n: [frame(OUTPUT, n, port="p", type=7, flags=3,
                                  body=b"\xd8\x40\xff")], 4),
                (lambda n: [frame(OUTPUT, n, port="\x01", type=5, flags=2,
                                  body=b"\xff"), frame(DONE, n)], None),
                (lambda n: [frame(OUTPUT, n, port="p" * 255, type=2, flags=2,
                                  scalar=7)], 4),
                (lambda n: [frame(PRINT, n, scalar=9, body=b"x")], 4),
                (lambda n: [frame(ASK, n, port="no such", type=11, flags=2,
                                  body=b"\xff"), frame(DONE, n)], 0),
                (lambda n: [frame(FAILED, n, scalar=10, body=texts)], 1),
                (lambda n: [frame(FAILED, n, scalar=10)], 1),
                (lambda n: [frame(FAILED, n, scalar=1 << 63)], 4),
                (lambda n: [frame(FAILED, n, scalar=0, body=texts)], 4),
                (lambda n: [frame(FAILED, n, scalar=17, body=texts)], 3),
                (lambda n: [frame(FAILED, n, scalar=5, body=texts)], 3),
                (lambda n: [frame(FAILED, n, scalar=11, flags=HAS_NOT_RUN,
                                  body=texts)], 2),
                (lambda n: [frame(OUTPUT, n, port="p", type=8, flags=2)[:24] +
                            struct.pack("<Q", 1 << 50)], 125),
                (lambda n: [frame(OUTPUT, n, port="p", type=8, flags=2,
                                  body=b"x")] * 9000 + [frame(DONE, n)],
                 None),
                (lambda n: [None], 125)):
            with self.subTest(code), self.faking(answering(reply)) as fake:
                self.run_at([fake.url], ADD, "--timeout", "20s", code=code)

    def test_hostile_hosts_while_a_script_is_loaded(self):
        def loading(*replies):
            async def serve(self, peer):
                while True:
                    one = await self.hear(peer)
                    if one[0] == HELLO:
                        await peer.send(hello())
                    elif one[0] == LOAD:
                        for reply in replies:
                            await peer.send(reply(one[2]))
            return serve
        for reply, code in (
                (lambda n: loaded(n, isolation="wasm"), 124),
                (lambda n: frame(LOADED, n, body=b"\xff"), 4),
                (lambda n: frame(LOADED, n), 4),
                (lambda n: frame(LOADED, n, body=cbor({"metadata": [1]})), 2),
                (lambda n: frame(FAILED, n, scalar=9, body=b"s.py: T: m\0tb"),
                 126),
                (lambda n: frame(FAILED, n, scalar=9), 126)):
            with self.subTest(code), self.faking(loading(reply)) as fake:
                self.run_at([fake.url], ADD, "--timeout", "2s", code=code)

    def test_silence_is_a_loss(self):
        """A host that was good, and says nothing more."""
        async def serve(self, peer):
            for _ in range(3):
                one = await self.hear(peer)
                if one[0] == HELLO:
                    await peer.send(hello())
                elif one[0] == LOAD:
                    await peer.send(loaded(one[2]))
            while True:
                await self.hear(peer)
        fake = self.fake(serve)
        done = subprocess.run([CALLER, fake.url, self.file("s.py", ADD), "100"],
                              capture_output=True, encoding="utf-8",
                              timeout=60, check=False)
        self.assertIn("EUNKNOWN", done.stdout)
        self.assertIn("silent for 300 ms", done.stdout)

    # ---- hosts that are slow to be of use ----

    def test_one_that_talks_has_to_greet(self):
        async def chatter(self, peer):
            while True:
                await peer.send(frame(DONE, 7))
                await asyncio.sleep(0.05)
        started = time.monotonic()
        done = self.run_at([self.fake(chatter).url], ADD,
                           "--remote-heartbeat", "200ms", code=125)
        self.assertIn("does not greet", done.stderr)
        self.assertLess(time.monotonic() - started, 30)

    def test_a_load_that_is_too_much_now_is_tried_again(self):
        async def serve(self, peer):
            refused = 0
            while True:
                one = await self.hear(peer)
                if one[0] == HELLO:
                    await peer.send(hello())
                elif one[0] == LOAD and refused < 2:
                    refused += 1
                    await peer.send(frame(FAILED, one[2], scalar=14,
                                          body=b"too much to do"))
                elif one[0] == LOAD:
                    await peer.send(loaded(one[2]))
                elif one[0] == INPUT and one[1] & RUNS:
                    await peer.send(frame(DONE, one[2]))
        fake = self.fake(serve)
        self.run_at([fake.url])
        self.assertEqual([one[0] for one in fake.heard].count(LOAD), 3)

    def test_inputs_that_are_too_much_together_fail_at_once(self):
        server = self.serve("--body", "1")
        (self.folder / "x").write_bytes(bytes(600 << 10))
        words = [word for port in "abc"
                 for word in ("--in", f"{port}=@{self.folder}/x")]
        done = self.run_at([self.url(server)], ADD, *words, code=3)
        self.assertIn("too large ones", done.stderr)
        self.assertNotIn("too much to do", done.stderr)

    def test_what_is_isolated_too_weakly_is_unloaded(self):
        fake = self.fake(answering(lambda call: [frame(DONE, call)]))
        rules = self.file("rules.json", json.dumps(
            {"defaults": {"isolation": ["remote"], "floor": "microvm"}}))
        subprocess.run([GLOVEBOX, "run", self.file("s.py", ADD), "--config",
                        rules, "--remote", fake.url], capture_output=True,
                       timeout=60, check=False)
        loads = [one[2] for one in fake.heard if one[0] == LOAD]
        self.assertEqual([one[2] for one in fake.heard if one[0] == UNLOAD],
                         loads)

    def test_what_a_host_does_not_take_is_not_sent(self):
        async def serve(self, peer):
            while True:
                one = await self.hear(peer)
                if one[0] == HELLO:
                    await peer.send(hello(bytes_max=1000))
                elif one[0] == LOAD:
                    await peer.send(loaded(one[2]))
        fake = self.fake(serve)
        done = self.run_at([fake.url], ADD, value='"%s"' % ("x" * 2000),
                           code=3)
        self.assertIn("takes messages of at most 1000 bytes", done.stderr)
        self.assertNotIn(INPUT, [one[0] for one in fake.heard])
        server = self.serve("--body", "1")
        path = self.file("long", "x" * (2 << 20))
        done = self.run_at([self.url(server)], ADD, "--in", f"in=@{path}",
                           value=None, code=3)
        self.assertIn("at most 1048576 bytes", done.stderr)

    def test_a_reflow_actor_is_busy_until_it_has_answered(self):
        """What a call that was given up sends is no other's."""
        async def serve(self, peer):
            calls = []
            async for text in peer:
                one = json.loads(text)
                result = {"actors": ["s"]}
                if one["method"] == "process":
                    calls.append(one["id"])
                    if len(calls) == 1:  # it is too late for it
                        await asyncio.sleep(1.5)
                        await peer.send(json.dumps(
                            {"jsonrpc": "2.0", "method": "script_output",
                             "params": {"actor_id": "s", "port": "stale",
                                        "data": 1, "timestamp": 1}}))
                    result = {"outputs": {"out": len(calls)}}
                await peer.send(json.dumps(
                    {"jsonrpc": "2.0", "id": one["id"], "result": result}))
        fake = self.fake(serve, subprotocols=None)
        done = subprocess.run([CALLER, fake.url, self.file("s.py", ADD),
                               "5000", "500", "10000"], capture_output=True,
                              encoding="utf-8", timeout=60, check=False)
        first, second = done.stdout.splitlines()
        self.assertTrue(first.startswith("ETIME"), done)
        self.assertEqual(second, "out OK: ")


if __name__ == "__main__":
    unittest.main()
