#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Edges of flows that go through NATS: edge_out and edge_in.

usage: edge_test.py DAEMON CALLER MODULE GLOVEBOX
"""
import signal
import subprocess
import time
import unittest

from cluster import GLOVEBOX, Cluster, Process, graph


QUEUE = 64  # messages that a node may have before it


class EdgeTest(Cluster):
    def end(self, name, edge="e", **metadata):
        return (name, {"url": self.url, "edge": edge, **metadata})

    def run_graph(self, name, text):
        path = self.folder / f"{name}.graph.json"
        path.write_text(text)
        process = Process([GLOVEBOX, "flow", "run", path])
        self.addCleanup(self.finish, process)
        return process

    @staticmethod
    def finish(process, how=signal.SIGKILL):
        if not process.run.stdout.closed:
            process.end(how)

    def write_to(self, component, metadata, edge="e"):
        return self.run_graph("out", graph(
            {"from": (component, metadata), "out": self.end("edge_out", edge)},
            "from.out out.in"))

    def read_from(self, path, edge="e", **metadata):
        return self.run_graph("in", graph(
            {"in": self.end("edge_in", edge), "to": (
                "file_out", {"path": str(path), "lines": True, **metadata})},
            "in.out to.in"))

    def await_lines(self, path, count):
        for _ in range(600):
            lines = path.read_text().splitlines() if path.exists() else []
            if len(lines) >= count:
                return lines
            time.sleep(0.05)
        self.fail(f"{len(lines)} lines of {count}")

    def test_an_edge_keeps_its_order_whoever_comes_and_goes(self):
        self.start_server()
        path = self.folder / "got"
        count = 600
        writer = self.write_to("timer", {"interval_ms": 2, "count": count,
                                         "sends": "Integer"})
        # The reader comes later, leaves and comes back.
        time.sleep(0.3)
        for _ in range(2):
            reader = self.read_from(path)
            time.sleep(0.5)
            self.finish(reader, signal.SIGINT)
        reader = self.read_from(path)
        self.assertEqual(self.await_lines(path, count),
                         [str(n) for n in range(count)])
        self.await_stream(self.raw(), "GLOVEBOX_EDGES", 0)
        self.assertEqual(writer.run.wait(20), 0)

    def test_one_that_is_killed_loses_nothing_that_it_had_not(self):
        """What it had taken over may come once more, or be lost with it; all
        else comes, in its order."""
        self.start_server()
        path = self.folder / "got"
        writer = self.write_to("timer", {"interval_ms": 2, "count": 500,
                                         "sends": "Integer"})
        for _ in range(2):
            reader = self.read_from(path)
            time.sleep(0.4)
            self.finish(reader)
        reader, got = self.read_from(path), []
        for _ in range(600):
            if path.exists():
                got = [int(line) for line in path.read_text().splitlines()]
            if got and got[-1] == 499:
                break
            time.sleep(0.05)
        said = reader.said[-5:] + writer.said[-5:]
        self.assertEqual(got, sorted(got), said)
        self.assertGreater(len(set(got)), 500 - 2 * QUEUE, said)

    def test_large_ones_are_whole(self):
        self.start_server()
        source, path = self.folder / "source", self.folder / "got"
        source.write_bytes(bytes(range(256)) * 20000)
        self.write_to("file_in", {"path": str(source), "as": "chunks",
                                  "bytes_max": 3 << 20})
        self.read_from(path, lines=False)
        for _ in range(400):
            if path.exists() and path.stat().st_size == 256 * 20000:
                break
            time.sleep(0.05)
        self.assertTrue(path.read_bytes() == source.read_bytes())

    def test_nonsense_is_put_aside(self):
        self.start_server()
        path = self.folder / "got"
        reader = self.read_from(path)
        raw = self.raw()
        for _ in range(100):
            if "error" not in raw.stream("GLOVEBOX_EDGES"):
                break
            time.sleep(0.05)
        for data, headers in ((b"", None), (b"nonsense", None),
                              (b"GBX1\3" + bytes(27), None),
                              (b"x", {"Glovebox-Edge-Body": "7 x y"})):
            raw.publish("glovebox.edges.e", data, headers)
        raw.flush()
        self.write_to("timer", {"interval_ms": 1, "count": 3,
                                "sends": "Integer"})
        self.assertEqual(self.await_lines(path, 3), ["0", "1", "2"])
        self.await_stream(raw, "GLOVEBOX_DEAD", 4)
        self.assertIsNone(reader.run.poll())

    def test_what_cannot_be_is_told_when_the_graph_is_read(self):
        self.start_server()
        for metadata, said in (
                ({"url": self.url}, "edge"),
                ({"url": self.url, "edge": "a.b"}, "letters"),
                ({"url": "nats://127.0.0.1:1", "edge": "e"}, "127.0.0.1:1"),
                ({"url": "ws://x", "edge": "e"}, "ws://x"),
                ({"url": self.url, "edge": "e", "token_file": "/nowhere"},
                 "/nowhere")):
            path = self.folder / "bad.graph.json"
            path.write_text(graph({"in": ("edge_in", metadata)}))
            done = subprocess.run([GLOVEBOX, "flow", "run", path],
                                  capture_output=True, encoding="utf-8",
                                  timeout=60, check=False)
            self.assertNotEqual(done.returncode, 0, metadata)
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
