#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What gloveboxd has from the start: actors under names, flows, a socket for
whoever started it.

usage: start_test.py PROGRAM
"""
import contextlib
import json
import os
import socket
import subprocess
import sys
import unittest

from server import DOUBLE, PROGRAM, SECRET, Daemon

TELL = """import sys
print('loaded')
def process(c):
    print(c.config.get('who', '?'), 'called')
    sys.stderr.write('no line')
    return {'out': c.config.get('who', '?'), 'id': c.actor_id}
"""


def handed_over(names, fds, *words):
    """The program, with these descriptors as a service manager gives them."""
    start = ("import os, sys\n"
             f"fds, names = {fds}, '{':'.join(names)}'\n"
             "for i, fd in enumerate(fds): os.dup2(fd, 100 + i)\n"
             "for i, fd in enumerate(fds): os.dup2(100 + i, 3 + i)\n"
             "os.environ.update(LISTEN_PID=str(os.getpid()),\n"
             "                  LISTEN_FDS=str(len(fds)),"
             " LISTEN_FDNAMES=names)\n"
             "os.execv(sys.argv[1], sys.argv[1:])\n")
    return subprocess.Popen(
        [sys.executable, "-c", start, PROGRAM, "--isolation", "process",
         *map(str, words)], stderr=subprocess.PIPE, text=True, pass_fds=fds)


class Start(Daemon):
    def call(self, server, actor, **inputs):
        status, reply = self.ask(server, "POST", "/v1/run", json.dumps(
            {"actor": actor, "inputs": inputs}))
        self.assertEqual(status, 200, reply)
        return {o["port"]: o["data"] for o in reply["outputs"]}

    def test_two_actors_of_one_file_have_names_and_rules(self):
        script = self.file("tell.py", TELL)
        rules = self.file("rules.json", json.dumps({"rules": [
            {"actor": "one", "config": {"who": "first"}},
            {"actor": "two", "config": {"who": "second"},
             "pool": {"ready": 40}}]}))
        server = self.serve("--names", "--config", rules,
                            "--actor", f"one={script}", f"two={script}")
        for name, who in ("one", "first"), ("two", "second"):
            self.assertEqual(self.call(server, name)["out"], who)
        _, reply = self.ask(server, "GET", "/v1/stats")
        self.assertEqual({a["id"] for a in reply["actors"]}, {"one", "two"})
        self.assertEqual(server.end(), 0)
        for line in ("one: loaded\n", "one: first called\n", "one: no line\n",
                     "two: second called\n"):
            self.assertIn(line, server.said)
        self.assertTrue(all(line.startswith(("one: ", "two: ", "gloveboxd: "))
                            for line in server.said), server.said)

    def test_what_stands_before_a_sign_may_be_a_files(self):
        odd = self.file("a=b.py", TELL)
        server = self.serve("--actor", odd)
        self.assertEqual(self.call(server, "a=b")["out"], "?")

    def test_a_flow_runs_from_the_start(self):
        script = self.file("tell.py", TELL)
        whole = json.loads(self.graph({"n": "tell"}, [],
                                      inports={"go": "n.in"}))
        whole["processes"]["n"]["metadata"] = {"isolation": "process"}
        graph = self.file("g.json", json.dumps(whole))
        server = self.serve("--names", "--actor", f"tell={script}",
                            "--flow", f"main={graph}")
        status, _ = self.ask(server, "POST", "/v1/flows/main/go", "1")
        self.assertEqual(status, 202)
        _, reply = self.ask(server, "GET", "/v1/flows")
        self.assertEqual([f["name"] for f in reply["flows"]], ["main"])
        # It may say what a client's may not; so it is not a client's to change.
        status, reply = self.ask(server, "PUT", "/v1/flows/main",
                                 graph.read_text())
        self.assertEqual(status, 400, reply)
        self.assertIn("not a client's to change", reply["error"]["message"])
        self.assertEqual(server.end(), 0)
        self.assertIn("main: loaded\n", server.said)

    def test_what_cannot_be_there_from_the_start_is_named(self):
        bad = self.file("bad.json", "[")
        for words, said in [(["--flow", str(bad)], "NAME=FILE is expected"),
                            (["--flow", f"f={bad}"], "bad.json"),
                            (["--flow", "f=/nowhere"], "/nowhere"),
                            (["--actor", "a=/nowhere.py"], "/nowhere.py")]:
            run = subprocess.run([PROGRAM, "--listen", "127.0.0.1:0", *words],
                                 capture_output=True, text=True, timeout=60)
            self.assertEqual(run.returncode, 69, run.stderr)
            self.assertIn(said, run.stderr)

    def control(self, path, line="stats\n"):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(30)
            peer.connect(path)
            peer.sendall(line.encode())
            with peer.makefile() as reply:
                return reply.read()

    def test_who_started_it_asks_how_it_is(self):
        path = str(self.folder / "control")
        script = self.file("double.py", DOUBLE)
        lock, other = os.pipe() # whatever is to be kept open
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            run = handed_over(["control", "lock"], [listener.fileno(), other],
                              "--listen", "none", script,
                              "--tokens", self.file("t", f"me {SECRET}\n"))
        os.close(other)
        with contextlib.closing(run.stderr):
            try:
                stats = json.loads(self.control(path))
                self.assertEqual([a["id"] for a in stats["actors"]], ["double"])
                self.assertEqual(self.control(path, "other\n"), "")
                os.set_blocking(lock, False)
                self.assertRaises(BlockingIOError, os.read, lock, 1)
            finally:
                run.terminate()
            self.assertEqual(run.wait(timeout=60), 0)
            self.assertNotIn("listens at", run.stderr.read())
        self.assertEqual(os.read(lock, 1), b"")
        os.close(lock)


if __name__ == "__main__":
    unittest.main()
