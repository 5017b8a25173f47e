#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Wall clocks that jump: no deadline, heartbeat or expiry follows them.

usage: clock_test.py GLOVEBOXD GLOVEBOX
"""
import json
import os
import subprocess
import sys
import unittest

import faked
from server import DOUBLE, Daemon

GLOVEBOX = os.path.abspath(sys.argv.pop(1))


@unittest.skipIf(not faked.FOUND, "faketime is not installed")
class Clocks(Daemon):
    def clock(self):
        clock = faked.Clock()
        self.addCleanup(clock.end)
        return clock

    def run_there(self, server, clock, name, text, *words):
        return subprocess.run(
            [GLOVEBOX, "run", str(self.file(name, text)), "--remote",
             f"ws://127.0.0.1:{server.port}", "--remote-heartbeat", "100ms",
             *words], env={**os.environ, **clock.env}, capture_output=True,
            encoding="utf-8", timeout=90, check=False)

    def test_calls_to_another_host_do_not_mind(self):
        theirs, ours = self.clock(), self.clock()
        server = self.serve("--timeout", 20, env=theirs.env)
        theirs.go_wild()
        ours.go_wild()
        run = self.run_there(
            server, ours, "nap.py",
            "import time\n"
            "def process(c):\n"
            "    until = time.monotonic() + 0.01\n"
            "    while time.monotonic() < until: pass\n"
            "    return {'out': c.get_input('in')}\n",
            "--in", "in=1", "--repeat", "300", "--parallel", "2",
            "--timeout", "15s", "--stats")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertGreater(theirs.jumps, 10)
        self.assertGreater(ours.jumps, 10)
        self.assertIsNone(server.run.poll())

    def test_a_deadline_is_as_long_as_it_was(self):
        theirs, ours = self.clock(), self.clock()
        server = self.serve(env=theirs.env)
        theirs.go_wild()
        ours.go_wild()
        for words, code in (("1s", 124), ("20s", 0)):
            run = self.run_there(server, ours, "two.py",
                                 "import time\n"
                                 "def process(c): time.sleep(2)\n",
                                 "--timeout", words)
            self.assertEqual(run.returncode, code, run.stderr)

    def test_an_expiry_does_not_follow_it(self):
        clock = self.clock()
        server = self.serve("--actor", self.file(
            "keep.py",
            "def process(c):\n"
            "    if c.get_input('set'):\n"
            "        c.state.set('k', 1)\n"
            "        c.state.expire('k', 1000)\n"
            "    return {'ttl': c.state.ttl('k')}\n"), env=clock.env)

        def ttl(**inputs):
            status, said = self.ask(server, "POST", "/v1/run", json.dumps(
                {"actor": "keep", "inputs": inputs}))
            self.assertEqual(status, 200, said)
            return said["outputs"][0]["data"]

        self.assertGreater(ttl(set=True), 990)
        for jump in (10 ** 8, -10 ** 8, 0):
            clock.jump(jump)
            self.assertGreater(ttl(set=False), 900)

    def test_it_answers_and_ends_as_ever(self):
        clock = self.clock()
        server = self.serve("--actor", self.file("double.py", DOUBLE),
                            env=clock.env)
        clock.go_wild(0.002)
        for _ in range(300):
            status, said = self.ask(server, "POST", "/v1/run", json.dumps(
                {"actor": "double", "inputs": {"in": 4}}))
            self.assertEqual((status, said["outputs"][0]["data"]), (200, 8))
        self.assertEqual(self.ask(server, "GET", "/healthz")[0], 200)
        self.assertEqual(self.ask(server, "GET", "/v1/stats")[0], 200)


if __name__ == "__main__":
    unittest.main()
