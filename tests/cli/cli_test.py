#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The `glovebox` program as people meet it: words, files and exit codes.

usage: cli_test.py PROGRAM
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
COMPLETION = (pathlib.Path(__file__).resolve().parents[2] / "cli" /
              "completion" / "glovebox.bash")

ECHO = "def process(c): return {'out': c.get_input('in')}\n"


class Cli(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def script(self, text, name="script.py"):
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def glovebox(self, *words, stdin=b"", code=0, **options):
        run = subprocess.run([PROGRAM, *words], input=stdin,
                             capture_output=True, timeout=60, **options)
        out, err = run.stdout.decode(), run.stderr.decode()
        self.assertEqual(run.returncode, code, f"{words}\n{out}\n{err}")
        return out, err

    def run_script(self, text, *words, **options):
        return self.glovebox("run", self.script(text), *words, **options)

    # ---- what it does ----

    def test_outputs_are_lines_for_people(self):
        out, err = self.run_script(
            "import array\n"
            "def process(c):\n"
            "    return {'n': 1, 's': 'x\\n', 'b': b'123', 'o': {'k': [1]},\n"
            "            'a': array.array('f', [1, 2])}\n")
        self.assertEqual(out, 'n: 1\ns: "x\\n"\nb: <Stream of 3 bytes>\n'
                              'o: {"k":[1]}\na: <Array of f32 2>\n')
        self.assertEqual(err, "")

    def test_outputs_are_lines_of_json_when_asked(self):
        out, err = self.run_script(
            "def process(c):\n"
            "    print('hello')\n"
            "    return {'n': 1, 's': b'\\x00\\xff', 'q\"': None}\n", "--json")
        self.assertEqual(
            [json.loads(line) for line in out.splitlines()],
            [{"port": "n", "type": "Integer", "data": 1},
             {"port": "s", "type": "Stream", "data": [0, 255]},
             {"port": 'q"', "type": "Optional", "data": None}])
        self.assertEqual(err, "hello\n")

    def test_inputs_are_json_in_either_form(self):
        for given, shown in [("3", "3"), ('"x"', '"x"'), ("[1, 2.5]", "[1,2.5]"),
                             ('{"type": "Float", "data": 3}', "3.0"),
                             ('{"type": "walrus"}', '{"type":"walrus"}')]:
            out, _ = self.run_script(ECHO, "--in", f"in={given}")
            self.assertEqual(out, f"out: {shown}\n")

    def test_files_go_in_and_out_as_they_are(self):
        data = os.urandom(3_000_000)
        source, target = self.folder / "in.bin", self.folder / "out.bin"
        source.write_bytes(data)
        self.run_script(ECHO, "--in", f"in=@{source}", "--out",
                        f"out={target}")
        self.assertEqual(target.read_bytes(), data)
        self.run_script(ECHO, "--in", "in=@-", f"--out=out={target}",
                        stdin=data[:100_000])
        self.assertEqual(target.read_bytes(), data[:100_000])

    def test_prints_go_to_the_same_streams(self):
        out, err = self.run_script(
            "import sys\n"
            "def process(c):\n"
            "    print('a'); print('b', file=sys.stderr)\n")
        self.assertEqual((out, err), ("a\n", "b\n"))

    def test_stats_say_how_it_went(self):
        _, err = self.run_script(ECHO, "--in", "in=1", "--stats")
        self.assertRegex(err, "isolation (microvm|process)\nroute     .")
        self.assertIn("handler", err)

    def test_the_folder_is_visible_unless_hidden(self):
        (self.folder / "helper.py").write_text("VALUE = 7\n")
        text = "import helper\ndef process(c): return {'v': helper.VALUE}\n"
        self.assertEqual(self.run_script(text)[0], "v: 7\n")
        self.run_script(text, "--hide-folder", code=126)

    def test_a_script_cannot_forge_lines_or_move_the_cursor(self):
        out, err = self.run_script(
            "def process(c): return {'n: 1\\n\\x1b[2J': '\\x7f\\x9b'}\n")
        self.assertEqual(out, 'n: 1^J^[[2J: "^?^?"\n')
        _, err = self.run_script(
            "def process(c): raise MemoryError('\\x1b\\nglovebox: fine')\n",
            code=3)
        self.assertNotIn("\x1b", err.splitlines()[-1])

    # ---- what it refuses, and with which exit code ----

    def refused(self, text, words, code, *said):
        _, err = self.run_script(text, *words, code=code)
        for word in said:
            self.assertIn(word, err)

    def test_a_missing_script_is_127(self):
        _, err = self.glovebox("run", "/nowhere/x.py", code=127)
        self.assertIn("/nowhere/x.py: No such file", err)

    def test_an_unreadable_script_is_127(self):
        (self.folder / "dir.py").mkdir()
        self.glovebox("run", str(self.folder / "dir.py"), code=127)

    def test_a_script_that_does_not_load_is_126(self):
        self.refused("def x(:\n", [], 126, "SyntaxError", "script.py", "line 1")
        self.refused("x = 1\n", [], 126, "no actor")
        _, err = self.run_script("raise KeyError(5)\n", code=126)
        self.assertEqual(err.splitlines()[-2:],
                         ["KeyError: 5",
                          "glovebox: the script cannot be loaded"])
        _, err = self.run_script("import sys\nprint(5, file=sys.stderr)\n",
                                 "--timeout", "9s", code=126)
        self.assertIn("no actor", err)

    def test_an_exception_is_1_with_its_traceback(self):
        self.refused("def process(c):\n    1 / 0\n", [], 1,
                     "Traceback (most recent call last):",
                     'script.py", line 2, in process', "ZeroDivisionError")

    def test_a_limit_is_3(self):
        self.refused("def process(c): bytearray(1 << 30)\n",
                     ["--memory", "64M"], 3, "MemoryError", "memory limit")
        _, err = self.run_script("def process(c):\n    bytearray(1 << 30)\n",
                                 "--memory", "64M", code=3)
        self.assertEqual(err.splitlines()[1:],
                         ['  File "script.py", line 2, in process',
                          "    bytearray(1 << 30)", "MemoryError",
                          "glovebox: the memory limit was reached"])

    def test_an_endless_file_is_not_read_for_ever(self):
        self.refused(ECHO, ["--in", "in=@/dev/zero", "--message-limit", "4M"],
                     3, "message limit")

    def test_a_file_above_the_limit_is_3(self):
        big = self.folder / "big"
        with open(big, "wb") as file:
            file.truncate(100 << 20)
        self.refused(ECHO, ["--in", f"in=@{big}", "--message-limit", "64M"], 3,
                     "message limit")

    def test_a_dead_sandbox_is_4(self):
        for status in 0, 9:
            self.refused(f"import os\ndef process(c): os._exit({status})\n",
                         [], 4, "the script ended its process without an "
                         f"answer: it exited with status {status}\n")

    def test_time_is_124(self):
        self.refused("def process(c):\n    while True: pass\n",
                     ["--timeout", "200ms"], 124, "did not answer within 0.")
        self.refused("while True: pass\n", ["--timeout", "300ms"], 124)

    def test_wrong_usage_is_2(self):
        for words, said in [
                (["--memory", "1"], "--memory 1: at least 16M"),
                (["--memory", "16777216.5"], "--memory 16777216.5: a size"),
                (["--memory", "18446744073709551616"], "at most 32T"),
                (["--memory", "1e400"], "at most 32T"),
                (["--message-limit", "16G"], "at most 16382M"),
                (["--cpu", "0.9"], "--cpu 0.9: at least 1s"),
                (["--timeout", "0"], "--timeout 0: at least 1us"),
                (["--timeout", "1e30h"], "at most 87600h"),
                (["--files", "7"], "--files 7: at least 8"),
                (["--files", "8.5"], "--files 8.5: a number"),
                (["--memory", "lots"], "--memory lots"),
                (["--timeout", "-1"], "--timeout -1"),
                (["--processes", "0"], "--processes 0"),
                (["--isolation", "hope"], "--isolation hope"),
                (["--in", "x"], "PORT="),
                (["--in", "in=text"], "quotes"),
                (["--in", "in=@/nowhere/file"], "/nowhere/file"),
                (["--in", f"in=@{self.folder}"], "folder"),
                (["--script-config", "[1]"], "object"),
                (["--config", "{}"], "--script-config JSON"),
                (["--config", "/nowhere/x.json"], "/nowhere/x.json"),
                (["--config", "x", "--no-config"], "or --no-config?"),
                (["--walrus"], "walrus")]:
            self.refused(ECHO, words, 2, said)
        self.glovebox("run", code=2)
        self.glovebox("walrus", code=2)
        self.glovebox("help", "walrus", code=2)
        self.glovebox(code=2)

    def test_an_unknown_port_is_2_and_the_known_ones_are_named(self):
        self.refused("@actor(inports=['left'])\ndef process(c): pass\n",
                     ["--in", "right=1"], 2, '"right"', "left")

    def test_a_full_disk_is_told_however_late(self):
        big = "def process(c): return {'out': bytes(10_000_000), 'n': 1}\n"
        self.refused(big, ["--out", "out=/dev/full"], 125, "No space left")
        for words in [], ["--json"]:
            with open("/dev/full", "w") as full:
                run = subprocess.run(
                    [PROGRAM, "run", self.script(ECHO), "--in", "in=1", *words],
                    stdout=full, stderr=subprocess.PIPE)
            self.assertEqual(run.returncode, 125)
            self.assertIn(b"standard output", run.stderr)

    def test_no_command_loses_what_it_prints(self):
        for words in (["--help"], ["--version"], ["help"], ["doctor"],
                      ["doctor", "--json"], ["run", "--help"],
                      ["exec", "--help"], ["inspect", "--help"],
                      ["bench", "--help"]):
            with open("/dev/full", "w") as full:
                run = subprocess.run([PROGRAM, *words], stdout=full,
                                     stderr=subprocess.PIPE)
            self.assertEqual(run.returncode, 125, words)
            self.assertRegex(run.stderr.decode(),
                             "^glovebox.*: standard output: No space left on "
                             "device\n$")

    def test_closed_streams_are_errors_and_nothing_else(self):
        path = self.script("def process(c): print('p'); return {'out': 1}\n")
        run = subprocess.run(f"exec {PROGRAM} run {path} <&- >&-", shell=True,
                             stderr=subprocess.PIPE)
        self.assertEqual(run.returncode, 125)
        self.assertIn(b"standard output", run.stderr)
        run = subprocess.run(f"exec {PROGRAM} run {path} <&- 2>&-", shell=True,
                             stdout=subprocess.PIPE)
        self.assertEqual((run.returncode, run.stdout), (0, b"p\nout: 1\n"))

    def test_a_file_is_replaced_only_by_what_comes(self):
        file = self.folder / "file"
        file.write_text("old")
        _, err = self.run_script(ECHO, "--in", "in=1", "--out",
                                 f"nothing={file}")
        self.assertEqual(file.read_text(), "old")
        self.assertIn("nothing came for --out nothing=", err)
        self.run_script(ECHO, "--in", f"in=@{file}", "--out", f"out={file}")
        self.assertEqual(file.read_text(), "old")
        self.refused(ECHO, ["--out", "out=a", "--out", "out=b"], 2, "each port once")

    def test_an_output_file_that_cannot_be_written_is_125(self):
        self.refused(ECHO, ["--out", "out=/nowhere/file"], 125,
                     "/nowhere/file")
        self.refused(ECHO, ["--in", 'in="x"', "--out", "out=/dev/full"], 125,
                     "No space left")

    def test_a_value_without_json_is_told_by_name(self):
        self.refused("def process(c): return {'f': float('nan')}\n",
                     ["--json"], 1, "NaN")
        out, _ = self.run_script("def process(c): return {'f': float('nan')}\n",
                                 code=1)
        self.assertEqual(out, "")

    # ---- words ----

    def complete(self, *words):
        """What bash offers for the last word; it parts them at "=" and "@"."""
        parts = [part for word in words
                 for part in re.split("(=@?)", word) if part or not word]
        line = ('. "$0"; compopt() { :; }; COMP_WORDS=("$@"); '
                'COMP_CWORD=$(($# - 1)); _glovebox; '
                'printf "%s\n" "${COMPREPLY[@]}"')
        run = subprocess.run(["bash", "-c", line, COMPLETION, "glovebox",
                              *parts], cwd=self.folder, capture_output=True,
                             text=True, check=True)
        self.assertEqual(run.stderr, "")
        return run.stdout.split()

    @unittest.skipUnless(shutil.which("bash"), "no bash here")
    def test_bash_completes(self):
        self.script("")
        (self.folder / "dir").mkdir()
        (self.folder / "dir.py").mkdir()
        (self.folder / "other.mjs").write_text("")
        for words, offered in [
                (["bench", ""], ["call", "payload", "start", "wipe", "written",
                                 "density", "floor", "isolation",
                                 "languages", "compute", "wasm", "serve",
                                 "nats", "flow", "image", "--json",
                                 "--help"]),
                (["run", "--w"], ["--why", "--wipe"]),
                (["run", "--co"], ["--config"]),
                (["run", "--s"], ["--script-config", "--secret", "--stats",
                                  "--store"]),
                (["run", "--mo"], ["--mount"]),
                (["exec", "--u"], ["--user"]),
                (["up", "--f"], ["--file", "--foreground"]),
                (["down", "--t"], ["--timeout"]),
                (["ps", "--file", "s"], ["script.py"]),
                (["logs", "--t"], ["--tail"]),
                (["run", "--config", "s"], ["script.py"]),
                (["run", "--script-config", ""], []),
                (["inspect", "--no"], ["--no-config"]),
                (["exec", "--config=o"], ["other.mjs"]),
                (["config", ""], ["check", "show", "--help"]),
                (["config", "check", "s"], ["script.py"]),
                (["config", "show", "--f"], ["--for"]),
                (["config", "show", "--for", "s"], ["script.py"]),
                (["co"], ["config"]),
                (["run", ""], ["dir", "dir.py", "other.mjs", "script.py"]),
                (["inspect", "s"], ["script.py"]),
                (["inspect", "--j"], ["--json"]),
                (["build", "--r"], ["--ready"]),
                (["run", "--isolation", "m"], ["microvm"]),
                (["run", "--isolation="], ["auto", "microvm", "process",
                                           "remote", "wasm"]),
                (["run", "--isolation=p"], ["process"]),
                (["exec", "--root=di"], ["dir", "dir.py"]),
                (["exec", "--folder="], ["dir", "dir.py"]),
                (["exec", "--folder", "dir.p"], ["dir.py"]),
                (["exec", "--work"], ["--workdir"]),
                (["run", "--in", "port=@scr"], ["script.py"]),
                (["run", "--in=port=@scr"], ["script.py"]),
                (["run", "--out", "port=scr"], ["script.py"]),
                (["run", "--cpu", ""], [])]:
            self.assertEqual(sorted(self.complete(*words)), sorted(offered),
                             words)
        found = self.complete("exec", "t")
        self.assertEqual(sorted(set(found)), sorted(found))
        self.assertIn("true", found)

    def test_help_teaches_every_command(self):
        out, _ = self.glovebox("--help")
        for word in ("run", "inspect", "doctor", "bench", "glovebox run x.py"):
            self.assertIn(word, out)
        out, _ = self.glovebox("help", "run")
        self.assertIn("--timeout", out)
        self.assertIn("Exit status", out)
        out, _ = self.glovebox("doctor", "--help")
        self.assertIn("--json", out)

    def test_version_is_a_line(self):
        out, _ = self.glovebox("--version")
        self.assertRegex(out, r"^glovebox \d+\.\d+\.\d+\n$")

    def test_doctor_finds_what_the_tests_need(self):
        out, _ = self.glovebox("doctor")
        self.assertIn("ok", out)
        found = json.loads(self.glovebox("doctor", "--json")[0])
        self.assertTrue(found["able"])
        names = [check["name"] for check in found["checks"]]
        self.assertIn("user namespaces", names)

    def test_doctor_says_what_is_missing(self):
        env = {**os.environ, "GLOVEBOX_LIBEXEC": "/nowhere"}
        copy = self.folder / "glovebox"
        copy.write_bytes(pathlib.Path(PROGRAM).read_bytes())
        copy.chmod(0o755)
        env["LD_LIBRARY_PATH"] = str(pathlib.Path(PROGRAM).parent)
        run = subprocess.run([copy, "doctor"], env=env, capture_output=True)
        self.assertEqual(run.returncode, 125)
        self.assertIn(b"/nowhere/glovebox-init", run.stdout)
        self.assertIn(b"->", run.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
