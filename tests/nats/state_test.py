#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What nodes of flows remember, kept in NATS: --state nats://...

usage: state_test.py DAEMON CALLER MODULE GLOVEBOX
"""
import time
import unittest

from cluster import GLOVEBOX, Cluster, Process, graph

KEEPS = {"state": "persistent"}


class StateTest(Cluster):
    def start(self, script, count=1, interval_ms=1, url=None, to="got"):
        """What writes to a file what the script makes of each tick."""
        (self.folder / "it.py").write_text(script)
        path = self.folder / "it.graph.json"
        path.write_text(graph(
            {"ticks": ("timer", {"interval_ms": interval_ms, "count": count,
                                 "sends": "Integer"}),
             "it": ("it.py", KEEPS),
             "to": ("file_out", {"path": str(self.folder / to),
                                 "lines": True})},
            "ticks.out it.in", "it.out to.in"))
        one = Process([GLOVEBOX, "flow", "run", "--isolation", "process",
                       "--state", url or self.url, path])
        self.addCleanup(lambda: one.run.stdout.closed or one.end())
        return one

    def got(self, name="got"):
        path = self.folder / name
        return path.read_text().split() if path.exists() else []

    def end(self, one, status=0):
        one.run.wait(timeout=60)
        got = one.end()
        said = "\n".join(one.said)
        (self.assertEqual if status == 0 else self.assertNotEqual)(
            got, 0, said)
        return said

    COUNTS = ("def process(c):\n"
              "    return {'out': c.state.increment('n', 1)}\n")

    def test_what_is_counted_goes_on(self):
        self.start_server()
        self.end(self.start(self.COUNTS, 5))
        self.assertEqual(self.got(), ["1", "2", "3", "4", "5"])
        self.stop_server()
        self.start_server()
        self.end(self.start(self.COUNTS, 3))
        self.assertEqual(self.got()[-3:], ["6", "7", "8"])
        state = self.raw().stream("KV_glovebox-state")["state"]
        self.assertEqual(state["messages"], 1)

    def test_all_kinds_of_values(self):
        self.start_server()
        self.end(self.start(
            "def process(c):\n"
            "    c.state.set_all({'t': 'x' * 1000, 'n': None, 'd': {'k': [1]},"
            " 'b': b'\\0\\xff', 'f': 0.5, 'e': ''})\n"
            "    return {'out': 'set'}\n"))
        self.end(self.start(
            "def process(c):\n"
            "    a = c.state.get_all()\n"
            "    ok = (a['t'] == 'x' * 1000 and a['n'] is None and\n"
            "          a['d'] == {'k': [1]} and bytes(a['b']) == b'\\0\\xff'\n"
            "          and a['f'] == 0.5 and a['e'] == '' and len(a) == 6)\n"
            "    return {'out': 'same' if ok else repr(a).replace(' ', '')}\n"))
        self.assertEqual(self.got()[-1], "same")

    def test_who_comes_later_takes_it_over(self):
        self.start_server()
        first = self.start(self.COUNTS, 100000, 50)
        self.await_got(3)
        self.end(self.start(self.COUNTS, 40, 5, to="later"))
        first.await_line("glovebox: node it, port in: the state of it: "
                         "another process has taken it over")
        later = [int(word) for word in self.got("later")]
        self.assertGreater(later[0], 3)
        self.assertEqual(later, list(range(later[0], later[0] + 40)))
        self.end(self.start(self.COUNTS, 1, to="last"))
        self.assertEqual(self.got("last"), [str(later[-1] + 1)])

    def await_got(self, count):
        until = time.monotonic() + 30
        while len(self.got()) < count:
            self.assertLess(time.monotonic(), until, self.got())
            time.sleep(0.02)

    def test_a_server_that_is_killed_comes_back(self):
        self.start_server()
        one = self.start(self.COUNTS, 60, 20)
        self.await_got(3)
        self.stop_server(9)
        time.sleep(0.3)
        self.start_server()
        self.end(one)
        self.assertEqual(self.got(), [str(i + 1) for i in range(60)])

    def test_what_is_too_long_is_taken_back(self):
        self.start_server()
        said = self.end(self.start(
            "def process(c):\n"
            "    c.state.set('big', b'x' * 1100000)\n"
            "    return {'out': 'set'}\n"), 1)
        self.assertIn("has at most 1044480 bytes", said)
        self.end(self.start("def process(c):\n"
                            "    return {'out': len(c.state.get_all())}\n"))
        self.assertEqual(self.got()[-1], "0")

    def test_what_is_there_makes_no_sense(self):
        self.start_server()
        self.end(self.start(self.COUNTS))
        raw = self.raw()
        subject = raw.api("STREAM.MSG.GET.KV_glovebox-state",
                          {"seq": raw.stream("KV_glovebox-state")["state"][
                              "last_seq"]})["message"]["subject"]
        for damage in (b"", b"x", b"\x01", b"\x09" + bytes(7) + b"\xff" * 40,
                       bytes(500)):
            raw.publish(subject, damage)
            raw.flush()
            said = self.end(self.start(self.COUNTS), 1)
            self.assertIn("is damaged", said)

    def test_no_server(self):
        said = self.end(self.start(self.COUNTS), 1)
        self.assertIn(f"127.0.0.1:{self.port}", said)
        self.start_server(config="port: %d\n" % self.port)
        said = self.end(self.start(self.COUNTS), 1)
        self.assertIn("JetStream", said)

    def test_a_secret_is_not_shown(self):
        self.start_server(config="authorization { token: hush }\n"
                          "jetstream { store_dir: \"%s\" }\n" % self.folder)
        url = f"nats://%s@127.0.0.1:{self.port}"
        self.end(self.start(self.COUNTS, url=url % "hush"))
        said = self.end(self.start(self.COUNTS, url=url % "husk"), 1)
        self.assertNotIn("husk", said)
        said = self.end(self.start(
            "def process(c):\n"
            "    c.state.set('big', b'x' * 1100000)\n", url=url % "hush"), 1)
        self.assertNotIn("hush", said)


if __name__ == "__main__":
    unittest.main(argv=["state_test.py"])
