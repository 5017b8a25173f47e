#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Graphs, as people check and look at them.

usage: flow_test.py PROGRAM EXAMPLES
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM, EXAMPLES = map(os.path.abspath, sys.argv[1:3])
del sys.argv[1:3]

JOIN = ('@actor(name="Join", inports=["a", "b"], outports=["out"],\n'
        '       await_all_inports=True)\n'
        "def join(c):\n"
        '    return {"out": 1}\n')


def end(node, port):
    return {"nodeId": node, "portId": port, "expose": False,
            "portType": {"type": "any"}}


def graph(nodes, wires):
    return {"caseSensitive": True, "properties": {"name": "test"},
            "processes": {name: {"id": name, "component": component}
                          for name, component in nodes.items()},
            "connections": [{"from": end(*a.split(".")),
                             "to": end(*b.split("."))} for a, b in wires]}


class Flow(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.path = self.folder / "test.graph.json"

    def glovebox(self, *words, code=0, **variables):
        run = subprocess.run(
            [PROGRAM, "flow", *map(str, words)], capture_output=True,
            encoding="utf-8", timeout=60, check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8", **variables})
        self.assertEqual(run.returncode, code, f"{words}\n{run.stdout}"
                         f"{run.stderr}")
        return run.stdout, run.stderr

    def write(self, *args):
        self.path.write_text(json.dumps(graph(*args)))

    def test_the_examples_are_well(self):
        for path in sorted(pathlib.Path(EXAMPLES, "flow").glob("*.json")):
            out, _ = self.glovebox("check", path)
            self.assertIn("all well", out)
            self.glovebox("show", path)

    def test_ports_are_those_that_the_scripts_say(self):
        (self.folder / "actors").mkdir()
        (self.folder / "actors" / "together.py").write_text(JOIN)
        self.write({"one": "Join", "two": "actors.together"},
                   [("one.out", "two.a"), ("one.result", "two.b")])
        out, _ = self.glovebox("check", self.path, code=1)
        self.assertEqual(out.splitlines(), [f"{self.path}: {line}" for line in [
            "error: node 'one', port 'result': it has no such outport, which "
            "the connection to 'two', port 'b' needs; it has 'out'",
            "error: node 'one', port 'a': nothing feeds it, and the node waits "
            "for all of its inports, so it can never run: connect it, or give "
            "it an initial message",
            "error: node 'one', port 'b': nothing feeds it, and the node waits "
            "for all of its inports, so it can never run: connect it, or give "
            "it an initial message",
            "3 errors, 0 warnings"]])
        out, _ = self.glovebox("check", "--quick", self.path)
        self.assertIn("all well", out)

    def test_scripts_may_lie_elsewhere(self):
        self.write({"a": "double"}, [("a.out", "a.in")])
        out, _ = self.glovebox("check", self.path, code=1)
        self.assertIn("no script in", out)
        out, _ = self.glovebox("check", "--scripts", f"{EXAMPLES}/flow",
                               self.path)
        self.assertIn("0 errors, 1 warnings", out)
        self.glovebox("check", "--scripts", "/nowhere", self.path, code=127)

    def test_a_script_that_cannot_be_loaded_is_told(self):
        (self.folder / "bad.py").write_text("def f(:\n")
        self.write({"a": "bad"}, [])
        out, _ = self.glovebox("check", "--json", self.path, code=1)
        told = json.loads(out.splitlines()[0])
        self.assertEqual((told["code"], told["node"], told["level"]),
                         ("bad-component", "a", "error"))

    def test_what_a_node_says_of_its_sandbox_is_checked(self):
        (self.folder / "one.py").write_text("def process(c): pass\n")
        made = graph(dict.fromkeys("abcd", "one"), [("a.x", "b.x"),
                                                    ("c.x", "d.x")])
        for name, metadata in {
                "a": {"limits": {"memory": "1K"}},
                "b": {"image": "no/such:1"},
                "c": {"pool": {"redy": 1}},
                "d": {"limits": {"files": 100}, "mine": {"limits": 1}}}.items():
            made["processes"][name]["metadata"] = metadata
        self.path.write_text(json.dumps(made))
        for quick in ([], ["--quick"]):
            out, _ = self.glovebox("check", "--json", *quick, self.path, code=1,
                                   XDG_DATA_HOME=str(self.folder))
            told = [json.loads(line) for line in out.splitlines()]
            told = [(one["node"], one["code"], one["text"]) for one in told
                    if one["level"] == "error"]
            self.assertEqual([one[:2] for one in told], [
                ("a", "bad-sandbox"), ("b", "bad-component"),
                ("c", "bad-sandbox")])
            self.assertIn("at least 16M", told[0][2])
            self.assertIn("glovebox image pull gets it", told[1][2])
            self.assertIn('you may mean "ready"', told[2][2])

    def test_a_file_that_is_no_graph_says_where(self):
        self.path.write_text('{\n  "processes": {,}\n}')
        _, err = self.glovebox("check", self.path, code=1)
        self.assertIn(f"{self.path}, line 2, column 17: ", err)
        _, err = self.glovebox("show", self.folder / "none.json", code=127)
        self.assertIn("No such file", err)
        self.glovebox("check", code=2)
        self.glovebox("fly", code=2)
        self.glovebox("show", "--dot", "--list", self.path, code=2)

    def test_names_move_no_cursor(self):
        self.write({"\x1b[2J": "x\x07"}, [("\x1b[2J.a", "b.\x1b")])
        for words in (["check"], ["show", "--list"], ["show"],
                      ["show", "--ascii"]):
            out, err = self.glovebox(*words, self.path,
                                     code=words[0] == "check")
            self.assertNotIn("\x1b", out + err)
            self.assertNotIn("\x07", out + err)

    def test_a_graph_is_drawn(self):
        self.write({"a": "Source", "b": "Left", "c": "Right", "d": "Join"},
                   [("a.x", "b.x"), ("a.x", "c.x"), ("b.x", "d.x"),
                    ("c.x", "d.y"), ("d.x", "d.z")])
        out, _ = self.glovebox("show", "--ascii", self.path)
        self.assertEqual(out.rstrip("\n"), "\n".join([
            "    +---------+",
            "    | a       |",
            "    | Source  |",
            "    +---------+",
            "    +----+-----+",
            "    v          v",
            "+-------+  +-------+",
            "| b     |  | c     |",
            "| Left  |  | Right |",
            "+-------+  +-------+",
            "    +----+     |",
            "         +-----+",
            "         v",
            "     +-------+",
            "     | d   @ |",
            "     | Join  |",
            "     +-------+"]))
        unicode, _ = self.glovebox("show", self.path)
        self.assertIn("┌", unicode)
        plain, _ = self.glovebox("show", self.path, LC_ALL="C", LANG="C")
        self.assertEqual(plain, out)

    def test_it_fits_the_width_or_is_listed(self):
        nodes = {f"node{i}": "AComponentOfSomeLength" for i in range(8)}
        self.write(nodes, [("node0.out", f"node{i}.in") for i in range(1, 8)])
        for width in (20, 40, 80, 120, 200, 300):
            out, err = self.glovebox("show", "--width", width, self.path)
            if "listed" in err:
                self.assertIn("node0.out -> node7.in", out)
                self.assertLess(width, 120)
            else:
                self.assertLessEqual(max(map(len, out.splitlines())), width)

    def test_graphviz_draws_or_is_missed(self):
        self.write({"a": "A", "b": "B"}, [("a.x", "b.y")])
        out, _ = self.glovebox("show", "--dot", self.path)
        self.assertIn('"node a" -> "node b"', out)
        svg = self.folder / "out.svg"
        _, err = self.glovebox("show", "--svg", svg, self.path, code=125,
                               PATH="/nowhere")
        self.assertIn("install graphviz", err)
        if shutil.which("dot"):
            self.glovebox("show", "--svg", svg, self.path)
            self.assertIn("<svg", svg.read_text())

    def outputs(self, *words, **how):
        out, err = self.glovebox("run", *words, **how)
        return [json.loads(line) for line in out.splitlines()], err

    def test_a_graph_is_run(self):
        flow = pathlib.Path(EXAMPLES, "flow")
        out, err = self.outputs(flow / "double.graph.json", "--in", "number=4",
                                "--in", "first.in=5")
        self.assertEqual([line["message"]["data"] for line in out], [84, 16, 20])
        self.assertEqual({line["port"] for line in out}, {"result"})
        # For who is no terminal, what happens; or nothing.
        kinds = [json.loads(line)["_type"] for line in err.splitlines()]
        self.assertEqual(kinds.count("ActorCompleted"), 6)
        self.assertEqual(kinds[-1], "NetworkShutdown")
        _, err = self.outputs(flow / "double.graph.json", "--quiet")
        self.assertEqual(err, "")

    def one(self, text, **members):
        """A graph of one script, with ports in and out."""
        (self.folder / "one.py").write_text(text)
        made = graph({"a": "one"}, [])
        made["processes"]["a"].update(members)
        for kind, port in (("inports", "in"), ("outports", "out")):
            made[kind] = {port: {**end("a", port), "portName": port}}
        self.path.write_text(json.dumps(made))

    def test_bytes_go_in_and_out_by_files(self):
        self.one("def process(context):\n"
                 "    return {'out': bytes(context.get_input('in'))[::-1]}\n")
        (self.folder / "in").write_bytes(bytes(range(256)))
        self.glovebox("run", self.path, "--in", f"in=@{self.folder}/in",
                      "--out", f"out={self.folder}/out")
        self.assertEqual((self.folder / "out").read_bytes(),
                         bytes(range(256))[::-1])

    def test_what_was_given_up_is_said(self):
        self.one("def process(context):\n    raise ValueError('not that')\n",
                 metadata={"retries": 1, "backoff_ms": 1})
        _, err = self.outputs(self.path, "--in", "in=1", code=1)
        self.assertIn("node a, port in: ValueError: not that (tried 2 times)",
                      err)

    def test_a_node_has_limits_of_its_own(self):
        self.one("def process(c):\n    print('x' * 50)\n"
                 "    return {'out': 1}\n",
                 metadata={"limits": {"output-limit": 10}})
        _, err = self.outputs(self.path, "--in", "in=1", code=1)
        self.assertIn("node a, port in: the script printed more than 10", err)

    def test_rules_hold_for_scripts_of_graphs(self):
        self.one("def process(c):\n    print('x' * 50)\n"
                 "    return {'out': 1}\n")
        rules = self.folder / "rules.json"
        rules.write_text('{"rules": [{"match": "**/one.py", "isolation": '
                         '"process", "limits": {"output-limit": 10}}]}')
        words = (self.path, "--in", "in=1")
        _, err = self.outputs(*words, "--config", rules, code=1)
        self.assertIn("printed more than 10", err)
        self.outputs(*words, "--no-config", GLOVEBOX_CONFIG=str(rules))
        # A node chooses from what they allow.
        self.one("def process(c): pass\n", metadata={"isolation": "microvm"})
        _, err = self.outputs(*words, "--config", rules, code=125)
        self.assertIn("rules.json, line 1", err)
        out, _ = self.glovebox("check", self.path, "--config", rules, code=1)
        self.assertIn("rules.json, line 1", out)
        rules.write_text("{")
        self.outputs(*words, "--config", rules, code=2)
        self.outputs(*words, "--config", rules, "--no-config", code=2)

    def test_who_waits_for_ever_is_named(self):
        (self.folder / "one.py").write_text(JOIN)
        self.write({"j": "one"}, [])
        _, err = self.outputs(self.path, "--in", "j.a=1", code=1)
        self.assertIn("node j waits at port b", err)

    def test_what_cannot_be_run_is_named(self):
        self.write({"a": "nowhere"}, [])
        _, err = self.outputs(self.path, code=127)
        self.assertIn("node a: component nowhere", err)
        self.one("def process(context): pass\n", metadata={"retries": "x"})
        _, err = self.outputs(self.path, code=2)
        self.assertIn("metadata.retries", err)
        self.one("this is no Python\n")
        self.outputs(self.path, code=126)

    def test_what_happens_is_written(self):
        flow = pathlib.Path(EXAMPLES, "flow", "double.graph.json")
        trace, events = self.folder / "trace", self.folder / "events"
        self.glovebox("run", flow, "--trace", trace, "--events", events)
        kinds = {json.loads(line)["_type"]
                 for line in events.read_text().splitlines()}
        self.assertLessEqual({"NetworkStarted", "ActorStarted", "ActorEmit",
                              "MessageSent", "MessageReceived", "NetworkIdle",
                              "NetworkShutdown"}, kinds)
        self.assertGreater(len(json.loads(trace.read_text())["traceEvents"]
                               if trace.read_text()[0] == "{"
                               else json.loads(trace.read_text())), 4)

    def test_actors_that_come_with_it_are_known(self):
        made = graph({"t": "timer", "c": "counter"}, [("t.out", "c.in")])
        made["processes"]["t"]["metadata"] = {"interval_ms": 1, "count": 5}
        made["outports"] = {"out": {**end("c", "out"), "portName": "out"}}
        self.path.write_text(json.dumps(made))
        self.glovebox("check", self.path)
        out, _ = self.outputs(self.path)
        self.assertEqual([line["message"]["data"] for line in out],
                         [1, 2, 3, 4, 5])
        made["processes"]["t"]["metadata"] = {}
        self.path.write_text(json.dumps(made))
        _, err = self.outputs(self.path, code=2)
        self.assertIn("interval_ms", err)

    def test_an_interrupt_lets_what_is_on_its_way_arrive(self):
        self.one("import time\n"
                 "def process(context):\n"
                 "    time.sleep(1)\n"
                 "    return {'out': 7}\n")
        with subprocess.Popen(
                [PROGRAM, "flow", "run", self.path, "--in", "in=1", "--watch"],
                stdout=subprocess.PIPE, encoding="utf-8") as run:
            line = run.stdout.readline()
            run.send_signal(2)
            self.assertIn('"data":7', line.replace(" ", ""))
            self.assertEqual(run.wait(timeout=30), 130)

    def test_a_changed_script_is_loaded_anew(self):
        self.one("import time\n"
                 "def process(context):\n"
                 "    time.sleep(0.1)\n"
                 "    return {'out': 1}\n")
        inputs = [word for _ in range(100) for word in ("--in", "in=1")][:120]
        with subprocess.Popen(
                [PROGRAM, "flow", "run", self.path, "--watch", *inputs],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                encoding="utf-8") as run:
            run.stdout.readline()
            self.one("def process(context):\n    return {'out': 2}\n")
            got = [json.loads(run.stdout.readline())["message"]["data"]
                   for _ in range(59)]
            run.send_signal(2)
            run.wait(timeout=30)
        self.assertEqual(got, sorted(got))
        self.assertEqual(got[-1], 2)

    def test_a_changed_graph_is_followed(self):
        (self.folder / "one.py").write_text(
            "import time\n"
            "def process(context):\n"
            "    time.sleep(0.02)\n"
            "    return {'out': context.get_input('in') + 1}\n")

        def row(*names):
            made = graph({name: "one" for name in names},
                         [(f"{a}.out", f"{b}.in")
                          for a, b in zip(names, names[1:])])
            made["inports"] = {"in": {**end("a", "in"), "portName": "in"}}
            made["outports"] = {"out": {**end("b", "out"), "portName": "out"}}
            return json.dumps(made)

        self.path.write_text(row("a", "b"))
        inputs = ["--in", "in=1"] * 60
        with subprocess.Popen(
                [PROGRAM, "flow", "run", self.path, "--watch", *inputs],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                encoding="utf-8") as run:
            run.stdout.readline()
            self.path.write_text(row("a", "c", "b"))
            got = [json.loads(run.stdout.readline())["message"]["data"]
                   for _ in range(59)]
            run.send_signal(2)
            self.assertEqual(run.wait(timeout=30), 130)
        self.assertEqual(got[0], 3)
        self.assertEqual(got[-1], 4)


if __name__ == "__main__":
    unittest.main()
