#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A secret that a script is told is found nowhere else.

usage: secret_test.py PROGRAM
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
VALUE = "8Zx-never-to-be-seen-Qk4"

# What it shows of a secret is its length; it is large enough to have a template
# in the cache.
SCRIPT = """
import decimal, email.message, html.parser, http.client, json, random, time
def process(c):
    key = c.secret("KEY")
    c.send("length", len(key))
    if c.get_input("raises"):
        raise ValueError("no key in this")
    time.sleep(c.get_input("sleep", 0))
"""


class Secret(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.script = self.folder / "x.py"
        self.script.write_text(SCRIPT)
        self.secret = self.folder / "secret"
        self.secret.write_text(VALUE + "\n")
        self.cache = self.folder / "cache"

    def words(self, *words, script=None):
        return [PROGRAM, "run", str(script or self.script), "--json", "--cache",
                str(self.cache), "--no-config", *words]

    def run_it(self, *words, env=None, code=0, script=None):
        run = subprocess.run(self.words(*words, script=script), text=True,
                             capture_output=True, timeout=60, check=False,
                             env={**os.environ, **(env or {})})
        self.assertEqual(run.returncode, code, run.stderr)
        return run

    def found(self, folder):
        """Files below it that have the value."""
        return [path for path in folder.rglob("*")
                if path.is_file() and path != self.secret and
                VALUE.encode() in path.read_bytes()]

    def test_it_is_told_from_a_file_a_pipe_and_the_environment(self):
        for source, env in ((f"KEY=file:{self.secret}", {}),
                            ("KEY", {"KEY": VALUE}),
                            ("KEY=env:OTHER", {"OTHER": VALUE})):
            run = self.run_it("--secret", source, env=env)
            self.assertEqual(json.loads(run.stdout)["data"], len(VALUE))
        read, write = os.pipe()
        with open(write, "w", encoding="utf-8") as pipe:
            pipe.write(VALUE)
        run = subprocess.run(
            self.words("--secret", f"KEY=file:/dev/fd/{read}"), text=True,
            stdout=subprocess.PIPE, pass_fds=(read,), timeout=60, check=True)
        os.close(read)
        self.assertEqual(json.loads(run.stdout)["data"], len(VALUE))

    def test_a_configuration_says_where_it_is(self):
        config = self.folder / "c.json"
        config.write_text(json.dumps({"rules": [
            {"match": "x.py", "secrets": {"KEY": "file:secret"}}]}))
        words = [word for word in self.words("--config", str(config))
                 if word != "--no-config"]
        run = subprocess.run(words, text=True, capture_output=True, timeout=60,
                             check=True)
        self.assertEqual(json.loads(run.stdout)["data"], len(VALUE))
        # Not one that only happens to lie there.
        config.rename(self.folder / "glovebox.json")
        words = words[:-2]
        run = subprocess.run(words, text=True, capture_output=True, timeout=60,
                             check=False, cwd=self.folder)
        self.assertEqual(run.returncode, 2, run.stderr)
        self.assertIn("name it (--config FILE", run.stderr)

    def test_no_file_and_no_word_has_it(self):
        for isolation in ("process", *(["microvm"] if os.path.exists("/dev/kvm")
                                       else [])):
            for more in ([], ["--repeat", "3", "--wipe", "never"],
                         ["--in", "raises=true"], ["--stats", "--why"],
                         *([["--trace"]] if isolation == "microvm" else [])):
                run = self.run_it("--secret", f"KEY=file:{self.secret}",
                                  "--isolation", isolation, *more,
                                  code=1 if "raises=true" in more else 0)
                self.assertNotIn(VALUE, run.stdout + run.stderr)
        self.assertTrue(list(self.cache.rglob("*")))
        self.assertEqual(self.found(self.folder), [])

    def test_no_process_has_it_in_its_words_or_environment(self):
        run = subprocess.Popen(
            self.words("--secret", f"KEY=file:{self.secret}", "--isolation",
                       "process", "--in", "sleep=1.5"), text=True,
            stdout=subprocess.PIPE)
        with run:
            run.stdout.readline()  # it has been told
            for entry in pathlib.Path("/proc").glob("[0-9]*"):
                for name in ("environ", "cmdline"):
                    try:
                        text = (entry / name).read_bytes()
                    except OSError:
                        continue
                    self.assertNotIn(VALUE.encode(), text, entry)
            self.assertIsNone(run.poll())
        self.assertEqual(run.returncode, 0)

    def test_a_script_cannot_ask_while_it_is_loaded(self):
        early = self.folder / "early.py"
        early.write_text("import glovebox\n"
                         "key = glovebox._ask_now('secret.get', 'KEY')\n"
                         "def process(c): c.send('key', key)\n")
        run = self.run_it("--secret", f"KEY=file:{self.secret}", script=early,
                          code=126)
        self.assertIn("ask in a call", run.stderr)
        self.assertNotIn(VALUE, run.stdout + run.stderr)

    def test_what_is_wrong_is_said_without_the_value(self):
        for word, code, says in (
                (f"KEY={VALUE}", 2, "file:PATH"), ("=env:A", 2, "a name"),
                (f"KEY=file:{self.folder}", 127, "Is a directory"),
                ("KEY=file:/no/such", 127, "/no/such"),
                ("KEY=env:NOT_THERE", 2, "no NOT_THERE in the environment"),
                ("K Y=env:HOME", 2, "letters")):
            run = self.run_it("--secret", word, code=code)
            self.assertIn(says, run.stderr)
            self.assertNotIn(VALUE, run.stderr)
        run = self.run_it("--secret", f"OTHER=file:{self.secret}", code=1)
        self.assertIn("has OTHER", run.stderr)
        twice = ["--secret", f"KEY=file:{self.secret}"] * 2
        self.assertIn("twice", self.run_it(*twice, code=2).stderr)
        many = ["--secret", "A=env:HOME"] * 65
        self.assertIn("64", self.run_it(*many, code=2).stderr)


if __name__ == "__main__":
    unittest.main()
