#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Templates on disk, as people meet them: kept, used, damaged, removed.

usage: cache_test.py PROGRAM
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
# Loaded in no time; the other takes long enough to be kept.
SCRIPT = ("n = 0\n"
          "def process(c):\n"
          "    global n\n"
          "    n += 1\n"
          "    return {'out': [n, 'one', c.get_input('in')]}\n")
SLOW = ("import time\n"
        "time.sleep(0.02)\n"
        "import helper\n"
          "n = 0\n"
          "def process(c):\n"
          "    global n\n"
          "    n += 1\n"
          "    return {'out': [n, helper.WORD, c.get_input('in')]}\n")


def has_kvm():
    run = subprocess.run([PROGRAM, "run", "/dev/null/x.py", "--isolation",
                          "microvm"], capture_output=True)
    return os.access("/dev/kvm", os.R_OK | os.W_OK) and run.returncode != 125


class Cache(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.cache = self.folder / "cache"
        (self.folder / "lib").mkdir()
        self.script = self.folder / "lib" / "script.py"
        self.script.write_text(SCRIPT)
        self.helper = self.folder / "lib" / "helper.py"
        self.helper.write_text("WORD = 'one'\n")

    def run_it(self, *words, code=0, want='out: [1,"one",5]\n', **options):
        run = subprocess.run(
            [PROGRAM, "run", str(self.script), "--in", "in=5", "--isolation",
             "microvm", "--cache", str(self.cache), *words],
            capture_output=True, text=True, timeout=60, **options)
        self.assertEqual(run.returncode, code, run.stderr)
        if want is not None:
            self.assertEqual(run.stdout, want)
        return run.stderr

    def files(self):
        return sorted(self.cache.glob("*.template"))

    def test_a_run_keeps_what_the_next_starts_from(self):
        self.assertEqual(self.run_it(), "")
        kept = self.files()
        self.assertGreaterEqual(len(kept), 1)
        self.assertEqual(self.run_it(), "")
        self.assertEqual(self.files()[:len(kept)], kept)

    def test_a_script_that_loads_long_is_kept_as_well(self):
        self.script.write_text(
            SLOW.replace("def process(c):\n",
                         "import os, sys\n"
                         "LOADED = os.urandom(8).hex()\n"
                         "def process(c):\n"
                         "    sys.stderr.write(LOADED)\n"))
        loaded = self.run_it()
        self.assertEqual(len(self.files()), 2)
        self.assertEqual(self.run_it(), loaded)

    def test_a_script_or_a_module_that_changed_is_loaded_anew(self):
        self.script.write_text(SLOW)
        self.run_it()
        self.helper.write_text("WORD = 'other'\n")
        self.assertIn("helper.py has changed",
                      self.run_it(want='out: [1,"other",5]\n'))
        self.run_it(want='out: [1,"other",5]\n')
        self.script.write_text("def process(c): return {'out': 'new'}\n")
        self.assertEqual(self.run_it(want='out: "new"\n'), "")

    def test_a_module_that_was_not_there_is_found(self):
        self.script.write_text(
            "import time\ntime.sleep(0.02)\n"
            "try:\n    import late\nexcept ImportError:\n    late = None\n"
            "def process(c): return {'out': late is not None}\n")
        self.run_it(want="out: false\n")
        (self.folder / "lib" / "late.py").write_text("")
        self.run_it(want="out: true\n")

    def test_other_limits_have_a_template_of_their_own(self):
        self.run_it()
        usual = self.files()
        self.run_it("--memory", "100M")
        self.assertGreater(len(self.files()), len(usual))

    def spoil(self, how):
        for file in self.files():
            how(file)
        text = self.run_it()
        self.assertIn("made anew", text)
        self.assertEqual(self.run_it(), "")

    def test_what_is_damaged_is_made_anew(self):
        def flip(at):
            def do(file):
                with open(file, "r+b") as f:
                    f.seek(at, 0 if at >= 0 else 2)
                    byte = f.read(1)[0]
                    f.seek(-1, 1)
                    f.write(bytes([byte ^ 1]))
            return do
        self.run_it()
        size = min(file.stat().st_size for file in self.files())
        for at in 0, 9, 40, 60, 4096, 4200, 50000, size // 2, -1:
            with self.subTest(at=at):
                self.spoil(flip(at))

    def test_what_is_cut_off_or_empty_or_longer_is_made_anew(self):
        def cut(length_of):
            return lambda file: os.truncate(file,
                                            length_of(file.stat().st_size))
        self.run_it()
        for name, length_of in (
                ("empty", lambda size: 0), ("10", lambda size: 10),
                ("4096", lambda size: 4096), ("half", lambda size: size // 2),
                ("less", lambda size: size - 1),
                ("more", lambda size: size + 4096)):
            with self.subTest(length=name):
                self.spoil(cut(length_of))

    def test_what_is_no_file_of_ours_is_not_used(self):
        def link(file):
            other = self.folder / file.name
            os.rename(file, other)
            file.symlink_to(other)

        def fifo(file):
            file.unlink()
            os.mkfifo(file)
        self.run_it()
        self.spoil(lambda file: file.chmod(0o622))
        self.spoil(link)
        self.spoil(fifo)

    def test_a_template_of_another_script_is_not_used(self):
        self.script.write_text(SLOW)
        self.run_it()
        one = {file: file.read_bytes() for file in self.files()}
        self.script.write_text(SLOW + "# another")
        self.run_it()
        new = [file for file in self.files() if file not in one]
        self.assertEqual(len(new), 1)
        for data in one.values():
            new[0].write_bytes(data)
            self.assertIn("something else", self.run_it())

    def test_a_directory_that_others_may_write_is_not_used(self):
        self.cache.mkdir()
        self.cache.chmod(0o777)
        self.assertIn("others may write", self.run_it())
        self.assertEqual(self.files(), [])

    def test_a_directory_that_cannot_be_is_only_a_note(self):
        self.cache.write_text("a file")
        self.assertIn("no template cache", self.run_it())

    def test_a_full_disk_leaves_no_half_a_file(self):
        mount = self.folder / "small"
        mount.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700",
                           "none", str(mount)],
                          capture_output=True).returncode != 0:
            self.skipTest("no mount")
        try:
            self.cache = mount / "cache"
            self.assertIn("not kept", self.run_it())
            self.assertEqual(list(self.cache.iterdir()), [])
        finally:
            subprocess.run(["umount", str(mount)])

    def test_two_may_make_one_at_once(self):
        command = [PROGRAM, "run", str(self.script), "--in", "in=5",
                   "--isolation", "microvm", "--cache", str(self.cache)]
        runs = [subprocess.Popen(command, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
                for _ in range(6)]
        for run in runs:
            out, err = run.communicate(timeout=60)
            self.assertEqual((out, err), ('out: [1,"one",5]\n', ""))
        self.assertLessEqual(len(self.files()), 2)
        self.assertEqual([f for f in self.cache.iterdir()
                          if f not in self.files()], [])
        self.assertEqual(self.run_it(), "")

    def test_a_file_in_use_cannot_be_cut_off_under_it(self):
        self.script.write_text("def process(c): return {}\n")
        self.run_it(want="")
        self.script.write_text(
            "import time\n"
            "def process(c):\n"
            "    time.sleep(1)\n"
            "    import json, decimal, fractions\n"
            "    return {'out': [1, 'one', 5]}\n")
        run = subprocess.Popen(
            [PROGRAM, "run", str(self.script), "--in", "in=5", "--isolation",
             "microvm", "--cache", str(self.cache)], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        time.sleep(0.5)
        blocked = 0
        for file in self.files():
            try:
                os.close(os.open(file,
                                 os.O_WRONLY | os.O_TRUNC | os.O_NONBLOCK))
            except BlockingIOError:
                blocked += 1
                os.replace(self.helper, file)  # but it may be replaced
                self.helper.write_text("")
        self.assertEqual(blocked, 1)
        self.assertEqual(run.communicate(timeout=60),
                         ('out: [1,"one",5]\n', ""))

    def test_one_that_was_copied_may_be_cut_off(self):
        self.run_it()
        run = subprocess.Popen(
            [PROGRAM, "run", str(self.script), "--in", "in=@-", "--isolation",
             "microvm", "--cache", str(self.cache)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(0.5)
        for file in self.files():
            os.truncate(file, 0)
        out, err = run.communicate(b"1", timeout=60)
        self.assertEqual(run.returncode, 1 if b"Error" in err else 0, err)

    def test_nothing_is_kept_or_used_when_not_wanted(self):
        self.run_it()
        self.assertNotEqual(self.files(), [])
        subprocess.run([PROGRAM, "cache", "prune", "--cache",
                        str(self.cache)], check=True, capture_output=True)
        env = {**os.environ, "XDG_CACHE_HOME": str(self.folder / "xdg")}
        subprocess.run([PROGRAM, "run", str(self.script), "--no-cache"],
                       env=env, check=True, capture_output=True)
        self.assertFalse((self.folder / "xdg").exists())
        self.assertEqual(self.files(), [])

    def test_they_are_listed_and_removed_oldest_first(self):
        self.cache.mkdir(mode=0o700)
        old, new = self.cache / "b.template", self.cache / "a.template"
        for file in old, new, self.cache / "no matter":
            file.write_bytes(b"x" * (12 << 20))
        os.utime(old, (1000000000, 1000000000))

        def cache(*words, code=0):
            run = subprocess.run([PROGRAM, "cache", *words, "--cache",
                                  str(self.cache)], capture_output=True,
                                 text=True)
            self.assertEqual(run.returncode, code, run.stderr)
            return run.stdout

        listed = cache("ls")
        self.assertLess(listed.index(old.name), listed.index(new.name))
        self.assertIn("2 files", listed)
        self.assertIn("2001-09-09", listed)
        self.assertIn(old.name, cache("prune", "--max", "20M"))
        self.assertEqual(self.files(), [new])
        self.assertIn("1 files", cache("prune"))
        self.assertEqual(self.files(), [])
        (self.cache / "no matter").unlink()
        self.cache.rmdir()
        cache("ls", code=127)
        cache("sweep", code=2)
        cache(code=2)
        cache("ls", "--max", "1M", code=2)

    def test_the_default_directory_follows_xdg(self):
        env = {k: v for k, v in os.environ.items() if k != "XDG_CACHE_HOME"}
        env["HOME"] = str(self.folder / "home")
        run = [PROGRAM, "run", str(self.script)]
        subprocess.run(run, env=env, check=True, capture_output=True)
        self.assertNotEqual(list((self.folder / "home" / ".cache" /
                                  "glovebox").iterdir()), [])

    def test_many_calls_are_each_the_first(self):
        run = subprocess.run(
            [PROGRAM, "run", str(self.script), "--in", "in=5", "--isolation",
             "microvm", "--cache", str(self.cache), "--repeat", "50",
             "--parallel", "3", "--stats"], capture_output=True, text=True,
            timeout=60)
        self.assertEqual(run.stdout, 'out: [1,"one",5]\n' * 50)
        self.assertIn("50 in", run.stderr)
        self.assertIn("0 broke", run.stderr)
        self.run_it("--repeat", "2", "--out", "out=/dev/null", code=2,
                    want="")

    def test_branches_begin_where_one_call_left(self):
        self.script.write_text("n = 0\n"
                               "def process(c):\n"
                               "    global n\n"
                               "    n += 1\n"
                               "    return {'n': n}\n")
        run = [PROGRAM, "run", str(self.script), "--isolation"]
        tried = subprocess.run(run + ["microvm", "--repeat", "5", "--parallel",
                                      "2", "--branch"],
                               capture_output=True, text=True, timeout=60)
        self.assertEqual(tried.stdout, "n: 1\n" + "n: 2\n" * 5, tried.stderr)
        for isolation, options, code, text in (
                ("microvm", [], 2, "--repeat"),
                ("microvm", ["--repeat", "2", "--wipe", "never"], 2, "--wipe"),
                ("process", ["--repeat", "2"], 125, "micro-VM")):
            tried = subprocess.run(run + [isolation, "--branch"] + options,
                                   capture_output=True, text=True, timeout=60)
            self.assertEqual(tried.returncode, code, tried.stderr)
            self.assertIn(text, tried.stderr)


if __name__ == "__main__":
    if not has_kvm():
        print("skipped: no KVM here")
        sys.exit(77)
    unittest.main(verbosity=1)
