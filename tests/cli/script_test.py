#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Scripts of each language, as people run and inspect them.

usage: script_test.py PROGRAM EXAMPLES NATIVE AGENT BLUR.wasm LUMA.wasm
"""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

PROGRAM, EXAMPLES, NATIVE, AGENT, BLUR, LUMA = map(os.path.abspath,
                                                   sys.argv[1:7])
del sys.argv[1:7]

HELLO = {
    "hello.py": '@actor({"component": "Hello", "description": "Greets",\n'
                '        "inports": ["name"], "outports": ["greeting"],\n'
                '        "memory": "64MB", "retries": [1, 2]})\n'
                "def hello(c):\n"
                '    return "hello, " + c.get_input("name", "world")\n',
    "hello.js": 'actor({component: "Hello", description: "Greets",\n'
                '  inports: ["name"], outports: ["greeting"],\n'
                '  memory: "64MB", retries: [1, 2]},\n'
                '  c => "hello, " + c.getInput("name", "world"));\n',
    "hello.mjs": 'export const metadata = {component: "Hello",\n'
                 '  description: "Greets", inports: ["name"],\n'
                 '  outports: ["greeting"], memory: "64MB", retries: [1, 2]};\n'
                 'export default c => "hello, " + c.getInput("name", "world");\n',
    "hello.cjs": 'module.exports = class { component = "Hello";\n'
                 '  static memory = "64MB"; static retries = [1, 2];\n'
                 '  description = "Greets"; inports = ["name"];\n'
                 '  outports = ["greeting"];\n'
                 '  run(c) { return "hello, " + c.getInput("name", "world"); } };\n'
                 'module.exports.metadata = {memory: "64MB", retries: [1, 2]};\n',
}


class Script(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def script(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def glovebox(self, *words, code=0):
        run = subprocess.run([PROGRAM, *words], capture_output=True, text=True,
                             timeout=60, check=False)
        self.assertEqual(run.returncode, code, f"{words}\n{run.stderr}")
        return run.stdout, run.stderr

    def test_the_name_tells_the_language(self):
        for name, text in HELLO.items():
            path = self.script(name, text)
            out, _ = self.glovebox("run", path, "--in", 'name="you"')
            self.assertEqual(out, 'greeting: "hello, you"\n', name)
        _, err = self.glovebox("run", self.script("hello.rb", ""), code=2)
        self.assertIn("must end in .py (Python), .js, .mjs or .cjs", err)

    def test_all_languages_say_the_same_of_themselves(self):
        want = {"component": "Hello", "description": "Greets",
                "inports": ["name"], "outports": ["greeting"],
                "await_all_inports": False, "memory": "64MB",
                "retries": [1, 2]}
        paths = [self.script(*item) for item in HELLO.items()]
        out, _ = self.glovebox("inspect", "--json", *paths)
        told = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([one.pop("file") for one in told], paths)
        for one in told:
            self.assertEqual(one, want)

    def test_people_read_a_table(self):
        path = self.script("hello.py", HELLO["hello.py"])
        out, _ = self.glovebox("inspect", path)
        self.assertEqual(out, f"{path}\n"
                         "  component          Hello\n"
                         "  description        Greets\n"
                         "  inports            name\n"
                         "  outports           greeting\n"
                         "  await_all_inports  false\n"
                         "  memory             64MB\n"
                         "  retries            [1,2]\n")
        path = self.script("any.js", "process = c => 1; module.exports = process")
        self.assertIn("inports            (any)\n",
                      self.glovebox("inspect", path)[0])

    def test_inspect_runs_a_script_sealed_and_not_its_handler(self):
        path = self.script("x.js", "console.log('top');\n"
                           "let told = typeof process;\n"
                           "try { require('fs'); } catch (e) { told = e.message; }\n"
                           "actor({component: told}, c => {\n"
                           "  console.log('called'); });\n")
        out, err = self.glovebox("inspect", path)
        self.assertIn("cannot find module 'fs'", out)
        self.assertEqual(err, "top\n")

    def test_inspect_goes_on_after_one_that_cannot_be_loaded(self):
        bad = self.script("bad.js", "let x = ;\n")
        slow = self.script("slow.js", "for (;;);\n")
        good = self.script("hello.js", HELLO["hello.js"])
        out, err = self.glovebox("inspect", bad, "/nowhere.py", good, code=127)
        self.assertIn("bad.js:1", err)
        self.assertIn("Hello", out)
        _, err = self.glovebox("inspect", "-t", "300ms", slow, code=124)
        self.assertIn("too long", err)
        _, err = self.glovebox("inspect", code=2)
        self.assertIn("Try `glovebox inspect --help'", err)
        self.glovebox("inspect", "--isolation", "none", good, code=2)

    def test_a_script_cannot_move_the_cursor(self):
        path = self.script("x.js", "actor({component: 'a\\x1b[2J\\nb'}, c => 1);")
        out, _ = self.glovebox("inspect", path)
        self.assertNotIn("\x1b", out)
        self.assertIn("component          a^[[2J", out)

    def test_blur(self):
        """A picture through WebAssembly, compiled ahead; one that is none."""
        with tempfile.TemporaryDirectory() as folder:
            pixels = bytes([0] * 12 + [160] + [0] * 12)
            path = pathlib.Path(folder)
            (path / "in.pgm").write_bytes(b"P5\n5 5\n255\n" + pixels)
            subprocess.run([PROGRAM, "build", "--ready", BLUR, "-o",
                            path / "blur.gbx"], check=True)
            subprocess.run([PROGRAM, "run", path / "blur.gbx", "--in",
                            f"image=@{folder}/in.pgm", "--out",
                            f"blurred={folder}/out.pgm"], check=True)
            self.assertEqual((path / "out.pgm").read_bytes()[:11],
                             b"P5\n5 5\n255\n")
            self.assertEqual((path / "out.pgm").read_bytes()[11:], bytes(
                [0] * 6 + [10, 20, 10, 0, 0, 20, 40, 20, 0, 0, 10, 20, 10] +
                [0] * 6))
            (path / "bad.pgm").write_bytes(b"P6 5 5")
            done = subprocess.run([PROGRAM, "run", path / "blur.gbx", "--in",
                                   f"image=@{folder}/bad.pgm"], check=False,
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("not a PGM", done.stderr)

    def test_the_examples_see_the_same(self):
        """luma in three languages, C twice: the same answer to the last bit."""
        width, height = 37, 22
        noise = random.Random(1).randbytes(3 * width * height)
        frame = self.folder / "frame.ppm"
        frame.write_bytes(b"P6\n%d %d\n255\n" % (width, height) + noise)
        found = []
        for path in (f"{EXAMPLES}/frames/luma.py",
                     f"{EXAMPLES}/frames/luma.js", NATIVE, LUMA):
            half = self.folder / "half.pgm"
            out, _ = self.glovebox(
                "run", path, "--json", "--in",
                f"frame=@{frame}", "--out", f"half={half}")
            found.append(([json.loads(line) for line in out.splitlines()],
                          half.read_bytes()))
        self.assertEqual(found[0], found[1])
        self.assertEqual(found[0], found[2])
        self.assertEqual(found[0], found[3])
        self.assertEqual(len(found[0][1]), len(b"P5\n18 11\n255\n") + 18 * 11)

    def test_an_agents_tool_calls_are_answered_whatever_they_are(self):
        calls = [
            {"language": "javascript", "arguments": {"n": 21, "s": "n"},
             "code": "module.exports = c => { console.log('hm');\n"
                     "return [c.input.n * 2, c.input.s] }"},
            {"language": "python", "arguments": {"xs": [1, 2.5]},
             "code": "def process(c):\n"
                     "    return {'sum': sum(c.get_input('xs')),\n"
                     "            'os': c.host('lookup', 'os')}"},
            {"language": "javascript",
             "code": "module.exports = c => { null.x }"},
            {"language": "javascript", "code": "let x = ;"},
            {"language": "javascript",
             "code": "module.exports = () => { for (;;); }"},
            {"code": 5},
        ]
        lines = "".join(json.dumps(call) + "\n" for call in calls) + "nonsense\n"
        env = dict(os.environ,
                   GLOVEBOX_LIBEXEC=os.path.dirname(PROGRAM) + "/libexec")
        run = subprocess.run([AGENT], input=lines, text=True, env=env,
                             capture_output=True, timeout=60, check=True)
        told = [json.loads(line) for line in run.stdout.splitlines()]
        self.assertEqual(told[0], {"ok": True, "printed": "hm\n",
                                   "outputs": {"output": [42, "n"]}})
        self.assertEqual(told[1]["outputs"], {"sum": 3.5, "os": "Debian 12"})
        for one, word in zip(told[2:], ["TypeError", "SyntaxError", "within 2 s",
                                        '"code"', "no JSON"], strict=True):
            self.assertFalse(one["ok"])
            self.assertIn(word, one["error"])
        self.assertIn("tool.js:1", told[2]["traceback"])
        self.assertIn("tool.js:1\n", told[3]["printed"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
