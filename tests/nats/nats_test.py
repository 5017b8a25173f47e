#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Calls through NATS: gloveboxd --worker, and glovebox-nats.so.

usage: nats_test.py DAEMON CALLER MODULE GLOVEBOX
"""
import hashlib
import json
import signal
import subprocess
import time
import unittest
import urllib.request

from cluster import Cluster, DAEMON, GLOVEBOX, Process

EUNSUPPORTED, EAGAIN, ETIME, ELOAD, ESCRIPT, ECANCELED, EBROKEN, EFILE = (
    12, 14, 5, 9, 10, 13, 6, 8)
HAS_NOT_RUN = 32


class NatsTest(Cluster):
    def ready(self, *words):
        self.start_server()
        worker = self.worker("--workers", 2, *words)
        caller = self.caller()
        caller.load(1, self.echo())
        return worker, caller

    def check(self, caller, number=99, actor="#1/k"):
        """It all works (still)."""
        caller.say(f"int {number} {actor} {number} 0")
        self.assertEqual(
            caller.await_line(f"output {number} ", f"failed {number} "),
            f"output {number} out 3 {number}")
        caller.await_line(f"done {number}")

    def test_a_call_goes_there_and_back(self):
        _, caller = self.ready()
        self.check(caller)
        caller.say("hello")
        hello = bytes.fromhex(caller.await_line("hello 0").split(" ")[3])
        for text in (b"process", b"NATS, 1 workers", b"draining\xf4",
                     b"workers\x1a\0\0\0\x02"):
            self.assertIn(text, hello)
        self.assertEqual(caller.close(), 0)

    def test_what_fails_is_told(self):
        _, caller = self.ready()
        caller.say("int 5 #1/k 8 0")
        code, flags, texts = caller.failed(5)
        self.assertEqual((code, flags), (ESCRIPT, 0))
        self.assertEqual((texts[0], *texts[2:]),
                         ("ValueError: eight", "ValueError", "eight"))
        self.assertIn("echo.py", texts[1])
        code, flags, texts = caller.load_failed(
            2, self.script("bad.py", "1 +"))
        self.assertEqual((code, flags), (ELOAD, HAS_NOT_RUN))
        self.assertIn("SyntaxError", texts[1])
        caller.say("int 6 #7/k 1 0")
        code, flags, texts = caller.failed(6)
        self.assertEqual((code, flags), (EFILE, HAS_NOT_RUN))
        self.check(caller)

    def test_what_is_printed_comes_once_and_in_order(self):
        _, caller = self.ready()
        caller.say("int 5 #1/k 9 0")
        self.assertEqual(bytes.fromhex(
            caller.await_line("print 5").split(" ")[3]), b"nine\n")
        caller.await_line("output 5 out 3 9")
        caller.await_line("done 5")

    def test_large_bodies_are_whole(self):
        _, caller = self.ready()
        raw = self.raw()
        for number, size in enumerate((0, 1, 65536, 1 << 20, (5 << 20) + 3,
                                       20 << 20), 10):
            caller.say(f"bytes {number} #1/k {size} 0")
            self.assertEqual(
                caller.await_line(f"output {number} ", f"failed {number} ",
                                  timeout=60),
                f"output {number} out stream {size} same")
            caller.await_line(f"done {number}")
            self.assertIn(f"released {number} 1", caller.said)
        # Nobody leaves anything.
        self.await_stream(raw, "GLOVEBOX_BODIES", 0)
        self.await_stream(raw, "GLOVEBOX_CALLS", 0)
        # One that is longer than a worker takes says so.
        caller.say(f"bytes 50 #1/k {80 << 20} 0")
        self.assertIn("longer than", caller.failed(50, timeout=60)[2][0])
        self.check(caller)

    def test_scripts_of_several_callers_do_not_mix(self):
        _, caller = self.ready()
        other = self.caller()
        other.load(1, self.script(
            "twice.py",
            "def process(c): return {'out': 2 * c.get_input('in')}\n"))
        for number in range(20):
            caller.say(f"int {number + 1} #1/k 21 0")
            other.say(f"int {number + 1} #1/k 21 0")
        for one, value in (caller, 21), (other, 42):
            for _ in range(20):
                self.assertRegex(one.await_line("output"),
                                 f"^output [0-9]+ out 3 {value}$")
        caller.say("unload 1")
        caller.load(1, self.script("one.py",
                                   "def process(c): return {'out': 1}\n"))
        caller.say("int 77 #1/k 21 0")
        caller.await_line("output 77 out 3 1")

    def test_calls_that_nobody_waits_for_end(self):
        _, caller = self.ready()
        raw = self.raw()
        # Two run, one waits.
        caller.say("int 1 #1/a 7 0", "int 2 #1/b 7 0")
        time.sleep(1)
        caller.say("int 3 #1/c 7 0", "cancel 3", "cancel 1")
        self.assertEqual(caller.failed(3)[0], ECANCELED)
        self.assertEqual(caller.failed(1)[0], ECANCELED)
        self.check(caller)
        caller.say("int 4 #1/d 7 500")
        self.assertEqual(caller.failed(4, timeout=10)[0], ETIME)
        self.check(caller, 98)
        # Those whose caller leaves.
        caller.say("int 5 #1/d 7 0", "int 6 #1/e 7 0", "int 7 #1/f 7 0")
        time.sleep(1)
        caller.close()
        self.await_stream(raw, "GLOVEBOX_CALLS", 0, timeout=10)
        other = self.caller()
        other.load(1, self.echo())
        self.check(other)

    def test_what_is_asked_is_answered(self):
        self.start_server()
        self.worker("--workers", 2)
        caller = self.caller()
        caller.load(1, self.script(
            "ask.py", "def process(c):\n"
            "    return {'out': c.host('add', c.get_input('in'))[0]}\n"))
        caller.say("int 5 #1/k 21 0")
        caller.await_line("ask 5 add")
        caller.await_line("output 5 out 3 21")
        # One that is gone is not waited for.
        caller.say("answers no", "int 6 #1/k 21 0")
        caller.await_line("ask 6 add")
        caller.say("cancel 6")
        self.assertEqual(caller.failed(6)[0], ECANCELED)
        caller.say("int 7 #1/k 21 0")
        caller.await_line("ask 7 add")
        caller.close()
        self.await_stream(self.raw(), "GLOVEBOX_CALLS", 0, timeout=60)

    def test_what_was_answered_is_not_done_again(self):
        self.start_server()
        one = self.worker("--workers", 2)
        caller = self.caller()
        caller.load(1, self.script(
            "ask.py", "import time\n"
            "def process(c):\n"
            "    c.host('first', c.get_input('in'))\n"
            "    time.sleep(0.5)\n"
            "    return {'out': 1}\n"))
        caller.say("int 5 #1/k 21 0")
        caller.await_line("ask 5 first")
        time.sleep(0.2)
        self.kill_worker(one)
        self.worker("--workers", 2)
        code, flags, texts = caller.failed(5)
        self.assertEqual((code, flags), (EBROKEN, 0))
        self.assertIn("is not known", texts[0])
        self.assertEqual(sum(line == "ask 5 first" for line in caller.said), 1)

    # ---- workers come and go ----

    def storm(self, seconds, every, at_once=32):
        """Workers die by and by, and calls go on."""
        self.start_server()
        workers = [self.worker("--workers", 2) for _ in range(3)]
        caller = self.caller()
        caller.load(1, self.script(
            "nap.py", "import time\n"
            "def process(c):\n"
            "    v = c.get_input('in')\n"
            "    time.sleep(v % 7 / 1000)\n"
            "    return {'out': v}\n"))
        caller.say(f"storm #1/k {seconds} {at_once} 0")
        until = time.monotonic() + seconds
        deaths = 0
        while time.monotonic() + every < until:
            time.sleep(every)
            self.kill_worker(workers[deaths % 3])
            workers[deaths % 3] = self.worker("--workers", 2)
            deaths += 1
        line = caller.await_line("storm sent", timeout=seconds + 150)
        facts = dict(word.split("=") for word in line.split()[1:])
        print(f"\n{deaths} deaths: {line}")
        self.assertGreater(int(facts["sent"]), 100)
        self.assertEqual(facts["sent"], facts["done"])
        self.assertEqual([facts[name] for name in (
            "failed", "wrong", "twice", "open")], ["0"] * 4, caller.said[-9:])

    def test_every_call_has_one_answer_whoever_dies(self):
        self.storm(10, 2)

    def test_a_worker_that_ends_leaves_nothing_undone(self):
        one, caller = self.ready()
        caller.say("storm #1/k 4 16 0")
        time.sleep(1)
        two = self.worker("--workers", 2)
        self.assertEqual(one.end(), 0)
        time.sleep(1)
        self.worker("--workers", 2)
        self.assertEqual(two.end(), 0)
        self.assertRegex(caller.await_line("storm sent", timeout=60),
                         "failed=0 wrong=0 twice=0 open=0", caller.said[2:])

    def test_calls_outlive_their_server(self):
        _, caller = self.ready()
        caller.say("storm #1/k 8 16 0")
        for how in (signal.SIGKILL, signal.SIGTERM):
            time.sleep(1.5)
            self.stop_server(how)
            time.sleep(0.5)
            self.start_server()
        self.assertRegex(caller.await_line("storm sent", timeout=120),
                         "failed=0 wrong=0 twice=0 open=0", caller.said[2:])
        self.assertNotIn("down", [line[:4] for line in caller.said])
        self.check(caller)

    def test_calls_wait_for_a_worker(self):
        one, caller = self.ready()
        self.assertEqual(one.end(), 0)
        caller.say("int 5 #1/k 42 0")
        time.sleep(0.5)
        caller.say("hello")
        self.assertIn("draining".encode().hex() + "f5",
                      caller.await_line("hello 0"))
        self.worker("--workers", 1)
        caller.await_line("output 5 out 3 42")

    def test_what_kills_its_workers_is_put_aside(self):
        self.start_server()
        raw = self.raw()
        caller = self.caller()
        one = self.worker("--workers", 1, "--deliveries", 2)
        caller.load(1, self.echo())
        caller.say("int 5 #1/k 7 0")
        for _ in range(2):
            time.sleep(1)
            self.kill_worker(one)
            one = self.worker("--workers", 1, "--deliveries", 2)
            time.sleep(5)
        code, flags, texts = caller.failed(5)
        self.assertEqual((code, flags), (EBROKEN, 0))
        self.assertIn("2 workers were given it", texts[0])
        self.await_stream(raw, "GLOVEBOX_DEAD", 1)
        self.await_stream(raw, "GLOVEBOX_CALLS", 0)
        self.check(caller)

    def test_workers_are_listed(self):
        def nodes(*words, url=self.url):
            return subprocess.run([GLOVEBOX, "nodes", url, *words],
                                  capture_output=True, text=True, timeout=30)
        said = nodes()
        self.assertEqual(said.returncode, 69)
        self.assertIn("no NATS server answers there", said.stderr)
        self.assertEqual(nodes(url="http://x").returncode, 2)
        self.start_server()
        said = nodes()
        self.assertEqual((said.returncode, said.stdout[:10]), (0, "no workers"))
        self.assertEqual(json.loads(nodes("--json").stdout), [])
        one = self.worker("--workers", 2)
        self.worker("--workers", 3, url=self.url + "/gpu")
        time.sleep(0.5)
        first, second = json.loads(nodes("--json").stdout)
        self.assertEqual((first["route"], first["workers"], second["route"],
                          second["workers"]), ("default", 2, "gpu", 3))
        self.assertIn("process", first["isolations"])
        self.assertRegex(nodes().stdout, "default .* process.* 0/2 ")
        self.assertEqual(one.end(), 0) # it says that it leaves
        self.assertEqual([node["route"] for node in json.loads(
            nodes("--json").stdout)], ["gpu"])

    def test_a_worker_says_what_it_does(self):
        self.start_server()
        log = self.folder / "audit"
        worker = self.worker("--workers", 2, "--audit", log,
                             listen="127.0.0.1:0")
        port = int(worker.await_line("gloveboxd: listens").rsplit(":", 1)[1])
        caller = self.caller()
        caller.load(1, self.echo())
        self.check(caller)
        self.raw().publish("glovebox.calls.default", b"nonsense", {})
        self.await_stream(self.raw(), "GLOVEBOX_DEAD", 1)
        until = time.monotonic() + 20
        text, said = "", []
        # It is put aside first, and counted then.
        while time.monotonic() < until and (
                "gloveboxd_nats_dead_total 1\n" not in text or len(said) < 3):
            with urllib.request.urlopen(
                    f"http://127.0.0.1:{port}/metrics") as reply:
                text = reply.read().decode()
            said = log.read_text().splitlines()
            time.sleep(0.02)
        for line in ("gloveboxd_nats_up 1", "gloveboxd_nats_messages_total 2",
                     "gloveboxd_nats_dead_total 1", "gloveboxd_calls_total 1"):
            self.assertIn(line + "\n", text)
        self.assertEqual([json.loads(line)["what"] for line in said],
                         ["load", "call", "dead"])

    # ---- a server that refuses ----

    def test_a_queue_that_is_full_says_so(self):
        one, caller = self.ready()
        raw = self.raw()
        self.assertEqual(one.end(), 0)
        raw.change("GLOVEBOX_CALLS", max_msgs=3)
        for number in range(1, 7):
            caller.say(f"int {number} #1/k {number} 0")
            time.sleep(0.1)
        for number in range(4, 7):
            code, flags, texts = caller.failed(number)
            self.assertEqual((code, flags), (EAGAIN, HAS_NOT_RUN))
            self.assertIn("the queue is full", texts[0])
        self.worker("--workers", 2)
        for _ in range(3):
            caller.await_line("output")
        # The same of bodies.
        raw.change("GLOVEBOX_BODIES", max_bytes=1 << 20)
        caller.say(f"bytes 9 #1/k {5 << 20} 0")
        code, flags, texts = caller.failed(9)
        self.assertEqual((code, flags), (EAGAIN, HAS_NOT_RUN))
        self.assertIn("does not take a large body", texts[0])
        self.assertIn("released 9 0", caller.said)
        self.check(caller)

    def test_results_that_are_refused_are_stored_later(self):
        _, caller = self.ready()
        raw = self.raw()
        self.check(caller, 1)
        raw.change("GLOVEBOX_RESULTS", max_msgs=1, discard="new")
        self.check(caller, 2) # it has come nevertheless
        self.assertEqual(raw.stream("GLOVEBOX_CALLS")["state"]["messages"], 1)
        raw.change("GLOVEBOX_RESULTS", max_msgs=-1)
        self.await_stream(raw, "GLOVEBOX_CALLS", 0)
        self.await_stream(raw, "GLOVEBOX_RESULTS", 2)

    def test_what_is_lacking_is_named(self):
        caller = self.caller(is_up=False)
        self.assertIn("no NATS server answers there",
                      caller.await_line("down"))
        self.start_server(config="")
        caller.say("connect")
        self.assertIn("JetStream is not enabled there: start it with "
                      "nats-server -js", caller.await_line("down"))
        worker = Process([DAEMON, "--listen", "none", "--worker",
                          self.url])
        worker.await_line("gloveboxd: ")
        self.assertIn("JetStream is not enabled", worker.said[-1])
        self.assertEqual(worker.end(), 69)
        self.stop_server()
        self.start_server(config="authorization { token: secret }\n"
                          f"jetstream {{ store_dir: {self.folder}/x }}")
        caller.say("connect")
        self.assertIn("refuses the token", caller.await_line("down"))
        good = self.caller("secret")
        self.worker(url=f"nats://secret@127.0.0.1:{self.port}/gpu")
        code, flags, texts = good.load_failed(1, self.echo())
        self.assertEqual((code, flags), (EUNSUPPORTED, HAS_NOT_RUN))
        self.assertIn("no worker takes calls of route \"default\"", texts[0])
        gpu = self.caller(
            url=f"nats://secret@127.0.0.1:{self.port}?route=gpu")
        gpu.load(1, self.echo())
        self.check(gpu)
        for url in ("nats://", "nats://x/a/b", "nats://x?route=", "http://x",
                    "nats://x?route=a.b", "nats://x?what=1",
                    "nats://x?cert=1", "nats://x?replicas=9"):
            bad = self.caller(url=url, is_up=False)
            self.assertIn("error -7", bad.await_line("error"), url)

    def test_a_stream_without_direct_access_is_refused(self):
        self.start_server()
        self.raw().api("STREAM.CREATE.GLOVEBOX_RESULTS", {
            "name": "GLOVEBOX_RESULTS", "subjects": ["glovebox.to.*.result.*"],
            "num_replicas": 1, "storage": "memory", "retention": "limits"})
        self.assertIn("allows no direct access",
                      self.caller(is_up=False).await_line("down"))

    # ---- nonsense ----

    def test_nonsense_is_put_aside_and_harms_nobody(self):
        _, caller = self.ready()
        raw, listener = self.raw(), self.raw()
        listener.listen("glovebox.calls.default")
        self.check(caller)
        _, _, good = listener.next()
        head, payload = good.split(b"\r\n\r\n", 1)
        headers = dict(line.split(": ", 1) for line in
                       head.decode().split("\r\n")[1:])
        me = headers["Glovebox-From"].split(".")[0]
        stranger = "0" * 32
        digest = hashlib.sha256(b"x").hexdigest()
        fine = {**headers, "Glovebox-From": f"{stranger}.1"}
        fine.pop("Nats-Msg-Id")
        bad = [({}, payload), (None, payload), (None, b""),
               ({**fine, "Glovebox-From": "x"}, payload),
               ({**fine, "Glovebox-From": "x" * 32 + ".1"}, payload),
               ({**fine, "Glovebox-From": stranger + ".99999999999999999999"},
                payload),
               ({**fine, "Glovebox-Frames": "one"}, payload),
               ({**fine, "Glovebox-Script": "abc"}, payload),
               ({**fine, "Glovebox-Wait": "-1"}, payload),
               ({**fine, "Glovebox-Body": "5"}, b""),
               ({**fine, "Glovebox-Body": f"5 {digest}"}, b""),
               ({**fine, "Glovebox-Body": f"{1 << 60} {digest}"}, b""),
               (fine, b""), (fine, b"x"), (fine, payload[:-1]),
               (fine, payload + b"x"), (fine, payload + payload),
               (fine, payload[:4] + b"\x05" + payload[5:]),
               (fine, payload[:4] + b"\x02" + payload[5:]),
               (fine, payload[:6] + b"\x02" + payload[7:]),
               (fine, payload[:24] + b"\xff" * 8 + payload[32:])]
        for how, data in bad:
            raw.publish("glovebox.calls.default", data, how)
        # Whose script is not there; and one that another version takes.
        raw.publish("glovebox.calls.default", payload,
                    {**fine, "Glovebox-Script": digest})
        for subject in ("load", "status", "cancel"):
            for data in (b"", b"x", b"x" * 1000, f"{me}.1 x".encode(),
                         f"{me}.1 4294967296".encode()):
                raw.publish(f"glovebox.{subject}.default", data,
                            {"Glovebox-Script": "x"}, reply="a.b")
        for kind in ("result", "early", "again", "stored", "ask", "wanted",
                     "loaded", "other"):
            for serial in ("1", "2", "x", "99999999999999999999", "1.2"):
                for data in (b"", b"x", b"GBX1", payload, b"{}", b"[]"):
                    raw.publish(f"glovebox.to.{me}.{kind}.{serial}", data,
                                {"Glovebox-Attempt": "1",
                                 "Glovebox-Body": "1 x"})
                    raw.publish(f"glovebox.to.{me}.{kind}.{serial}", data)
        for data in (b"", b"x", b"{}", b'{"id":"x"}', b"[" * 5000):
            raw.publish("$KV.glovebox-nodes." + stranger, data)
        raw.flush()
        self.await_stream(raw, "GLOVEBOX_DEAD", len(bad))
        self.await_stream(raw, "GLOVEBOX_CALLS", 0)
        self.check(caller, 98)
        # A result that makes no sense ends its call, and says so.
        caller.say("int 5 #1/k 6 0")
        for serial in range(2, 9): # it is one of these
            raw.publish(f"glovebox.to.{me}.early.{serial}",
                        b"GBX1nonsense" * 9)
        raw.flush()
        time.sleep(0.5) # they are not for what follows
        self.assertIn("makes no sense", caller.failed(5)[2][0])
        self.check(caller, 97)

    def test_bodies_and_scripts_are_what_their_digests_say(self):
        _, caller = self.ready()
        raw = self.raw()
        path = self.script("other.py", "def process(c): return {'out': 1}\n")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        raw.publish(f"$KV.glovebox-scripts.{digest}.0", b"x", {
            "Glovebox-Body": f"1 {digest}"})
        raw.flush()
        self.assertIn("not what its digest says",
                      caller.load_failed(2, path)[2][0])
        raw.publish(f"$KV.glovebox-scripts.{digest}.0", b"x", {
            "Glovebox-Body": f"1 {hashlib.sha256(b'x').hexdigest()}"})
        raw.flush()
        self.assertIn("not the one that was asked for",
                      caller.load_failed(3, path)[2][0])
        self.check(caller)

    def test_frames_of_another_version_wait_for_their_worker(self):
        _, caller = self.ready("--deliveries", 2)
        raw = self.raw()
        raw.publish("glovebox.calls.default", b"GBX9", {
            "Glovebox-From": "0" * 32 + ".1", "Glovebox-Frames": "9"})
        self.await_stream(raw, "GLOVEBOX_DEAD", 1)
        self.check(caller)

    def test_callers_may_vanish_at_every_step(self):
        self.start_server()
        self.worker("--workers", 2)
        raw = self.raw()
        path = self.echo()
        for step in range(6):
            caller = self.caller(is_up=step > 0)
            if step > 1:
                caller.say(f"load 1 {path}")
            if step > 2:
                caller.await_line("loaded 1")
            if step > 3:
                caller.say("storm #1/k 5 16 0")
                time.sleep(0.3)
            if step > 4:
                caller.say(f"bytes 6 #1/k {20 << 20} 0")
                time.sleep(0.05)
            caller.end(signal.SIGKILL)
            caller.run.stdin.close()
        self.await_stream(raw, "GLOVEBOX_CALLS", 0, timeout=60)
        caller = self.caller()
        caller.load(1, path)
        self.check(caller)


class Long(NatsTest):
    """By name: nats_test.py ... Long.minute"""

    def minute(self):
        self.storm(60, 5)


def load_tests(loader, tests, pattern):
    return loader.loadTestsFromTestCase(NatsTest)


if __name__ == "__main__":
    unittest.main()
