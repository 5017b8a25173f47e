#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The configuration file as people meet it: found, checked, obeyed.

usage: config_test.py PROGRAM DOCS
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
DOCS = pathlib.Path(sys.argv.pop(1)).resolve()

PY = "def process(c): return {'out': c.get_input('in')}\n"
JS = "actor({}, c => ({out: c.getInput('in')}));\n"


class Config(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name).resolve()
        os.chmod(self.folder, 0o755)
        (self.folder / "home").mkdir()
        self.env = {key: value for key, value in os.environ.items()
                    if key not in ("GLOVEBOX_CONFIG", "XDG_CONFIG_HOME")}
        self.env["HOME"] = str(self.folder / "home")
        self.env.setdefault("XDG_CACHE_HOME", str(self.folder / "cache"))

    def write(self, name, text, mode=0o644):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        path.chmod(mode)
        return str(path)

    def glovebox(self, *words, code=0):
        run = subprocess.run([PROGRAM, *words], capture_output=True, text=True,
                             timeout=60, cwd=self.folder, env=self.env)
        self.assertEqual(run.returncode, code,
                         f"{words}\n{run.stdout}\n{run.stderr}")
        return run.stdout, run.stderr

    def why(self, script, *words, code=0):
        """The lines of --why, as a table."""
        _, err = self.glovebox("run", "--why", script, "--in", "in=1", *words,
                               code=code)
        found = dict(re.findall(r"(?m)^ *(\w+) +(.*)$", err))
        return found, err

    # ---- found ----

    def test_the_first_that_is_there_is_taken_and_named(self):
        script = self.write("x.py", PY)
        if not os.path.exists("/etc/glovebox/config.json"):
            self.assertEqual(self.why(script)[0]["config"], "none")
        self.write("home/.config/glovebox/config.json", "{}")
        home = str(self.folder / "home/.config/glovebox/config.json")
        self.assertEqual(self.why(script)[0]["config"], home)
        self.write("glovebox.json", "{}")
        self.assertEqual(self.why(script)[0]["config"], "./glovebox.json")
        self.env["GLOVEBOX_CONFIG"] = self.write("named.json", "{}")
        self.assertEqual(self.why(script)[0]["config"],
                         str(self.folder / "named.json"))
        found, _ = self.why(script, "--config", "glovebox.json")
        self.assertEqual(found["config"], "glovebox.json")
        self.assertEqual(self.why(script, "--no-config")[0]["config"], "none")
        out, _ = self.glovebox("config", "check")
        self.assertTrue(out.startswith(f"{self.folder}/named.json: all well"))

    def test_what_others_may_write_is_refused(self):
        self.write("glovebox.json", "{}", 0o666)
        script = self.write("x.py", PY)
        for words, code in [(["run", script], 2), (["inspect", script], 2),
                            (["exec", "true"], 125), (["config", "check"], 1)]:
            _, err = self.glovebox(*words, code=code)
            self.assertIn("./glovebox.json: others may write there", err)
            self.assertIn("chmod go-w", err)
        self.glovebox("config", "check", "glovebox.json")

    # ---- checked ----

    def test_what_is_wrong_is_told_with_its_line(self):
        self.write("bad.json", '{"defaults": {\n  "limits": {\n'
                               '    "memroy": "64M"}}}\n')
        script = self.write("x.py", PY)
        for words, code in [(["config", "check", "bad.json"], 1),
                            (["config", "show", "bad.json"], 1),
                            (["run", "--config", "bad.json", script], 2),
                            (["inspect", "--config=bad.json", script], 2),
                            (["exec", "--config", "bad.json", "true"], 125)]:
            out, err = self.glovebox(*words, code=code)
            self.assertEqual(out, "")
            self.assertIn('bad.json, line 3: "limits" has no "memroy"; you may '
                          'mean "memory"', err)

    def test_wrong_usage_is_2(self):
        for words in ([], ["look"], ["check", "a", "b"], ["check", "--wrong"]):
            self.glovebox("config", *words, code=2)

    def test_what_is_in_force_is_shown(self):
        self.write("c.json", {"defaults": {"limits": {"memory": 1 << 26}},
                              "rules": [{"match": "a/**", "spin": "5us",
                                         "limits": {"memory": "128M"}}]})
        out, _ = self.glovebox("config", "show", "c.json", "--for", "a/x.py")
        self.assertEqual(json.loads(out), {"defaults": {
            "limits": {"memory": "128M"}, "spin": "5us"}})
        out, _ = self.glovebox("config", "show", "c.json", "--for", "x.py")
        self.assertEqual(json.loads(out),
                         {"defaults": {"limits": {"memory": "64M"}}})
        out, _ = self.glovebox("config", "show", "c.json")
        self.write("again.json", out)
        self.assertEqual(self.glovebox("config", "show", "again.json")[0], out)

    # ---- obeyed ----

    def test_a_trusted_folder_is_quick_and_the_rest_is_not(self):
        self.write("glovebox.json", {
            "rules": [{"match": "**/trusted/*", "trust": "trusted"}]})
        trusted = self.write("a/trusted/x.js", JS)
        other = self.write("a/x.js", JS)
        found, err = self.why(trusted)
        self.assertIn("isolation wasm: trusted, and the quickest", err)
        self.assertEqual(found["trust"], "trusted")
        self.assertEqual(found["policy"], "./glovebox.json, line 1")
        found, err = self.why(other)
        self.assertRegex(err, "^isolation (microvm|process): ")
        self.assertEqual(found["trust"], "untrusted")
        self.assertRegex(found["wasm"], "^refused ")

    def test_a_script_does_not_trust_itself(self):
        self.write("glovebox.json", {
            "rules": [{"match": "trusted/*", "trust": "trusted"}]})
        (self.folder / "trusted").mkdir()
        script = self.write("x.js", "export const metadata = {trust: 'trusted',"
                            " isolation: 'wasm'};\n"
                            "export default c => c.getInput('in');\n")
        (self.folder / "trusted/link.js").symlink_to(script)
        for path in script, "trusted/link.js":
            self.assertEqual(self.why(path)[0]["trust"], "untrusted")

    def test_a_floor_is_never_crossed(self):
        self.write("glovebox.json", {"defaults": {"floor": "process"}})
        script = self.write("x.js", JS)
        found, err = self.why(script, "--isolation", "wasm", code=125)
        self.assertRegex(found["wasm"], "^refused +the policy")
        self.assertIn("./glovebox.json, line 1", err)
        self.why(script, "--isolation", "wasm", "--no-config")
        self.write("glovebox.json", {"defaults": {"isolation": "wasm"}})
        _, err = self.glovebox("run", self.write("x.py", PY), code=125)
        self.assertIn("x.py is untrusted and may run in wasm, which cannot be "
                      "had: wasm: Python does not run in WebAssembly", err)
        _, err = self.glovebox("exec", "true", code=125)
        self.assertIn("would run in microvm, which ./glovebox.json, line 1 "
                      "does not allow", err)

    def test_a_list_is_an_order(self):
        self.write("glovebox.json",
                   {"defaults": {"isolation": ["process", "microvm"]}})
        _, err = self.why(self.write("x.py", PY))
        self.assertTrue(err.startswith("isolation process: what comes first"))

    def test_limits_are_those_of_the_rule_unless_an_option_says_more(self):
        self.write("glovebox.json", {
            "rules": [{"match": "*.py", "limits": {"output-limit": 10}}]})
        script = self.write("x.py", "def process(c): print('x' * 100)\n")
        self.glovebox("run", script, code=3)
        self.glovebox("run", script, "--output-limit", "1K")
        self.glovebox("run", script, "--no-config")

    def test_the_cache_is_where_a_named_file_says(self):
        named = self.write("c.json", {"defaults": {"cache": "kept"}})
        script = self.write("x.js", JS)
        for _ in range(2):
            self.glovebox("run", script, "--in", "in=1", "--config", named)
        self.assertTrue((self.folder / "kept").is_dir())
        self.write("glovebox.json", {"defaults": {"cache": "kept"}})
        _, err = self.glovebox("run", script, code=2)
        self.assertIn("name it", err)

    def test_programs_have_limits_too_and_a_name_in_path_the_defaults(self):
        self.write("glovebox.json", {
            "defaults": {"limits": {"memory": "64M"}},
            "rules": [{"match": "true", "isolation": "process"}]})
        self.write("true", "")
        self.glovebox("exec", "true")
        _, err = self.glovebox("exec", "./true", code=125)
        self.assertIn("does not allow", err)
        _, err = self.glovebox("exec", "python3", "-c", "bytes(1 << 27)",
                               code=1)
        self.assertIn("MemoryError", err)
        self.glovebox("exec", "--memory", "512M", "python3", "-c",
                      "bytes(1 << 27)")

    def test_stats_name_the_route(self):
        script = self.write("x.py", PY)
        _, err = self.glovebox("run", script, "--in", "in=1", "--stats")
        self.assertRegex(err, r"(?m)^route     \w")
        _, err = self.glovebox("run", script, "--in", "in=1", "--stats",
                               "--repeat", "3")
        self.assertRegex(err, r"(?m)^route     \w")

    # ---- what the manual shows ----

    def test_the_manuals_example_is_one(self):
        text = (DOCS / "config.md").read_text()
        blocks = re.findall(r"(?s)```json\n(.*?)```", text)
        self.assertGreaterEqual(len(blocks), 1)
        for block in blocks:
            self.write("example.json", block)
            self.glovebox("config", "check", "example.json")
        known = set(re.findall(r'"([a-z_-]+)":', blocks[0]))
        for key in ("trust", "isolation", "floor", "limits", "pool", "wipe",
                    "spin", "start", "host_calls", "hide_folder", "cache",
                    "match", "comment", "memory", "cpu", "message-limit",
                    "output-limit", "disk", "processes", "files", "ready",
                    "total", "recycle", "idle", "idempotent", "hosts", "image",
                    "url", "token_file", "heartbeat"):
            self.assertIn(key, known)
            self.assertIn(f"`{key}`", text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
