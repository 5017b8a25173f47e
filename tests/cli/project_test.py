#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The project file: what is wrong in one is told with its line and the remedy,
and nothing is started; what is right becomes a configuration.

usage: project_test.py PROGRAM
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
MANUAL = (pathlib.Path(__file__).resolve().parent.parent.parent /
          "docs/project.md")

A = "[scripts.a]\npath = 'a.py'\n"

# A text, and what is said of it: the line, and the remedy.
FAULTS = [
    # No TOML.
    ("[scripts.a\n", ["line 1: "]),
    (A + "path = 'b'\n", ["line 3: "]),
    ("x = [1,,2]", ["line 1: "]),
    # What there is.
    ("", ["a project has scripts: [scripts.NAME]"]),
    ("[script.a]\n", ['line 1: a project has no "script"; it may have name, '
                      "scripts, flows, serve"]),
    ("scripts = 1", ["line 1: \"scripts\" must be sections, as [scripts.NAME]"]),
    ("scripts.a = 1", ["line 1: [scripts.a] must be a table"]),
    ("[scripts.'a b']\npath = 'a.py'", ["line 1: [scripts.a b]: a name is"]),
    ("[scripts.gloveboxd]\npath = 'a.py'", ["and not gloveboxd"]),
    (f"[scripts.{'x' * 64}]\npath = 'a.py'", ["a name is 1 to 63 letters"]),
    ("name = 7\n" + A, ['line 1: "name" must be a text']),
    ("name = ''\n" + A, ['line 1: "name" must be a text']),
    (f"name = '{'x' * 64}'\n" + A, ['"name" must be 1 to 63 bytes']),
    (A + "[a.b]\n", ['line 3: a project has no "a"']),
    # A script.
    ("\n[scripts.a]\nwipe = 'never'",
     ['line 2: [scripts.a] must have a "path"']),
    ("[scripts.a]\npath = 'b.py'", ['line 2: "path": ', "b.py: No such file"]),
    ("[scripts.a]\npath = '~/a.py'", ["has no ~"]),
    ("[scripts.a]\npath = '.'", ['line 2: "path": ', "not a file"]),
    ("[scripts.a]\npath = '/dev/zero'", ["/dev/zero: not a file"]),
    (A + "wype = 1", ['line 3: [scripts.a] has no "wype"; it may have path, '
                      "trust, isolation"]),
    (A + "wipe = 'always'",
     ['line 3: "wipe" is "always"; it must be "never", "per-call"']),
    (A + "limits = {memory = '1M'}",
     ['line 3: "memory" is "1M"; it must be at least 16M']),
    (A + "[scripts.a.limits]\ncpu = '5s'\nmemroy = '64M'",
     ['line 5: "limits" has no "memroy"; you may mean "memory"']),
    (A + "limits = 1", ['line 3: "limits" must be an object']),
    (A + "memory = 512", ['line 3: "memory" is 512; it must be at least 16M']),
    (A + "memory = '64M'\nlimits.memory = '64M'",
     ['"memory" stands in "limits" already']),
    (A + "pool = {ready = 3,\n\n total = 2}", []),
    (A + "[scripts.a.pool]\nready = 3\ntotal = 2",
     ['line 3: "pool" has 3 "ready", more than its "total" of 2']),
    (A + "isolation = ['wasm',\n 'vm']", ['"isolation" is "vm"']),
    (A + "image = ''", ['line 3: "image" is ""']),
    (A + "image = 'oci:layout'",
     ['line 3: "image" is "oci:layout"; it must be a name of the store: '
      "glovebox image pull oci:layout --name my/app"]),
    (A + "config = 1", ['line 3: "config" is 1; it must be an object']),
    (A + "start = 2026-01-01", ["line 3: a date, a time, inf or nan"]),
    (A + "config = {a = [1, {b = nan}]}", ["line 3: a date"]),
    (A + "mounts = 'x'", ['line 3: "mounts" must be a list of']),
    (A + "mounts = ['x']", ['line 3: "mounts": x: SOURCE:TARGET']),
    (A + "mounts = ['a.py:/a',\n'none:/b']",
     ['line 4: "mounts": ', "none: No such file"]),
    (A + "volumes = ['.:/x:rw']", ["a sandbox writes nothing to the host"]),
    (A + "volumes = ['.:/x']\nmounts = ['.:/y']", ["which is there already"]),
    (A + f"mounts = {['.:/x'] * 17}", ["a list of at most 16"]),
    (A + "cache = 'x'", ['[scripts.a] has no "cache"']),
    (A + "env = 1", ['line 3: "env" must be {NAME = "VALUE"}']),
    (A + "env = {A = 1}", ['line 3: "A" must be a text']),
    (A + "env = {'A B' = 'x'}", ['"A B" is no name of a variable']),
    (A + "envs = ['A=1',\n'B']", ['line 4: "envs" has "B"; it must be '
                                  "NAME=VALUE"]),
    (A + "envs = ['1A=1']", ["it must be NAME=VALUE"]),
    (A + "env = {A = 'x'}\nenvs = ['A=x']", ["config.env, which is there"]),
    # What compose and microsandbox have, and a script has not.
    (A + "cpus = 2", ['line 3: [scripts.a] has no "cpus": a sandbox has one '
                      "processor"]),
    (A + "ports = ['1:2']", ["calls come in by [serve]"]),
    (A + "depends_on = ['b']", ["all scripts are loaded before"]),
    (A + "workdir = '/x'", ["starts in its own folder"]),
    (A + "shell = 'sh'", ["a script is a file: path"]),
    (A + "command = ['x']", ["a script is a file: path"]),
    # Defaults and hosts.
    ("defaults = 1\n" + A, ["line 1: [defaults] must be a table"]),
    ("[defaults]\ntrust = true\n" + A,
     ['line 2: "trust" is true; it must be "untrusted" or "trusted"']),
    ("[defaults]\ncache = 1\n" + A, ['line 2: "cache" must be a text']),
    ("[defaults]\npath = 'x'\n" + A, ['[defaults] has no "path"']),
    ("hosts = 1\n" + A, ['line 1: "hosts" must be a list']),
    ("hosts = ['ws://a',\n'http://b']\n" + A,
     ['line 2: "http://b" is no host']),
    ("hosts = [{url = 'ws://a', token = 'x'}]\n" + A,
     ['line 1: a host has no "token"']),
    # Where calls come in.
    (A + "[serve]\nport = 80", ['line 4: [serve] has no "port"; it may have '
                                "listen, tokens"]),
    (A + "[serve]\nlisten = 80", ['line 4: "listen" must be a text']),
    (A + "[serve]\nlisten = 'localhost:80'",
     ['"listen" is "localhost:80"; it must be ADDRESS:PORT']),
    (A + "[serve]\nlisten = '127.0.0.1:65536'", ["must be ADDRESS:PORT"]),
    (A + "[serve]\nlisten = '127.0.0.1:'", ["must be ADDRESS:PORT"]),
    (A + "[serve]\nlisten = '0.0.0.0:80'",
     ["0.0.0.0:80 can be reached by others", '"tokens" are needed']),
    (A + "[serve]\nlisten = '[::]:80'", ["can be reached by others"]),
    (A + "[serve]\ncert = 'a.py'", ['line 4: "cert" and "key" go together']),
    (A + "[serve]\ntokens = 'none'", ['line 4: "tokens": ', "no such file"]),
    (A + "[serve]\nscripts = 'a.py'", ["there is no such folder"]),
    (A + "[serve]\ntoken = 'x'", ['"tokens" names one']),
    (A + "[serve]\nworkers = 0", ['"workers" must be a whole number, 1 to']),
    (A + "[serve]\nbody = '1M'", ["a whole number of MiB, 1 to 1024"]),
    # Flows.
    (A + "[flows.f]\n", ['line 3: [flows.f] must have a "graph"']),
    (A + "[flows.f]\ngraph = 'a.py'", ['line 4: "graph": ', "a.py"]),
    (A + "[flows.f]\ngraph = 'g.json'", ["No such file"]),
    (A + "[flows.f]\nfile = 'g.json'", ['[flows.f] has no "file"']),
    (A + "[flows.a]\ngraph = 'empty.json'",
     ["line 3: [flows.a]: there is a script of this name"]),
    # Secrets.
    (A + "[secrets]\nKEY = 'hunter2'",
     ['line 4: "KEY" must be a section, [secrets.KEY]', "never stands"]),
    (A + "[secrets.KEY]\nvalue = 'hunter2'",
     ['[secrets.KEY] has no "value": it would stand in this file']),
    (A + "[secrets.KEY]\ncommand = 'pass'", ["no program is started for it"]),
    (A + "[secrets.KEY]\n", ['line 3: [secrets.KEY] must have either "env"']),
    (A + "[secrets.KEY]\nenv = 'A'\nfile = 'b'", ["either"]),
    (A + "secrets = 'KEY'", ["a list of names of [secrets.NAME]"]),
    (A + "secrets = ['KEY']", ['has "KEY": there is no [secrets.KEY]']),
]


class Project(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name).resolve()
        (self.folder / "run").mkdir(mode=0o700)
        (self.folder / "a.py").write_text("def process(c): return 1\n")
        (self.folder / "empty.json").write_text("{}")
        self.env = {**os.environ, "XDG_RUNTIME_DIR": str(self.folder / "run")}

    def check(self, text, code=0, command="--check"):
        (self.folder / "glovebox.toml").write_text(text)
        run = subprocess.run([PROGRAM, "up", command], text=True,
                             capture_output=True, timeout=60, cwd=self.folder,
                             env=self.env)
        self.assertEqual(run.returncode, code, f"{text}\n{run.stderr}")
        return run.stdout if code == 0 else run.stderr

    def test_what_is_wrong_is_told_with_its_line(self):
        for text, said in FAULTS:
            with self.subTest(text):
                err = self.check(text, 2)
                self.assertTrue(err.startswith("glovebox: glovebox.toml"), err)
                for part in said:
                    self.assertIn(part, err)
                self.assertNotIn("hunter2", err)

    def test_nothing_is_started_then(self):
        self.check(A + "x = 1\n", 2, "-d")
        self.assertEqual(list((self.folder / "run").iterdir()), [])

    def test_what_is_right_is_all_well(self):
        for text in [
                A,
                "name = 'ä'\n" + A,
                "scripts.a.path = './a.py'",
                A + "isolation = ['wasm', 'process']\ntrust = 'trusted'\n"
                "floor = 'wasm'\nspin = 0\nstart = '5s'\nhide_folder = true\n"
                "idempotent = false\nhost_calls = []\nwipe = 'per-call'\n"
                "config = {a = [1, 2.5, {b = true}]}\n"
                "[scripts.a.limits]\nmemory = '64M'\ncpu = 2.5\n"
                "[scripts.a.pool]\nready = 1\ntotal = 2\nidle = '1m'\n",
                "hosts = ['ws://h:1', {url = 'wss://i', token_file = 't',"
                " heartbeat = '5s'}]\n[defaults]\ncache = 'c'\n" + A,
                A + "mounts = ['a.py:/a', '/etc:/b/c:ro', '.:/d:cow']",
                "[defaults]\nvolumes = ['.:/x']\n" + A,
                A + "[serve]\nlisten = '[::1]:0'\nworkers = 3\ntimeout = 5\n"
                "body = 1\nscripts = '.'\naudit = 'log'\n",
                A + "[flows.f]\ngraph = 'empty.json'\n"]:
            with self.subTest(text):
                self.assertIn("glovebox.toml: all well: 1 script",
                              self.check(text))

    def test_secrets_are_looked_for_and_not_said(self):
        kept = self.folder / "kept"
        kept.write_text("hunter2\n")
        kept.chmod(0o644)
        by_file = A + "[secrets.KEY]\nfile = 'kept'\n"
        by_name = A + "[secrets.KEY]\nenv = 'GBX_TEST_KEY'\n"
        self.assertIn("others may read it: chmod 600", self.check(by_file, 127))
        kept.chmod(0o600)
        self.check(by_file)
        self.assertIn("the variable GBX_TEST_KEY is not set",
                      self.check(by_name, 127))
        self.env["GBX_TEST_KEY"] = "hunter2"
        self.check(by_name)
        self.check(by_name.replace("[secrets", "secrets = ['KEY']\n[secrets"))

    def test_a_file_that_is_none(self):
        for name, said in [("nowhere.toml", "No such file"),
                           ("a.py", "line 1: "), (".", "not a file")]:
            run = subprocess.run([PROGRAM, "up", "--check", "--file", name],
                                 text=True, capture_output=True, timeout=60,
                                 cwd=self.folder, env=self.env)
            self.assertIn(run.returncode, (2, 127))
            self.assertIn(said, run.stderr)

    def test_the_manuals_project_is_one(self):
        text = MANUAL.read_text()
        example = text.split("```toml\n", 1)[1].split("```", 1)[0]
        for name in ("actors/resize.py", "actors/label.js"):
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text("")
        (self.folder / "photos.json").write_text("{}")
        tokens = self.folder / "tokens"
        tokens.write_text("")
        key = self.folder / "key"
        key.write_text("x")
        key.chmod(0o600)
        self.env["MODEL_TOKEN"] = "x"
        self.assertIn("all well: 2 scripts, 1 flow", self.check(example))


if __name__ == "__main__":
    unittest.main()
