#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`glovebox exec --isolation process`: programs as sealed processes.

usage: exec_process_test.py PROGRAM
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

from program import PROGRAM, Program

PYTHON = "/usr/bin/python3"


def lacking():
    run = subprocess.run([PROGRAM, "exec", "--isolation", "process",
                          "/usr/bin/true"], capture_output=True, text=True,
                         check=False)
    return run.stderr if run.returncode == 125 else ""


if lacking():
    print(f"no process isolation here: {lacking()}")
    sys.exit(77)


class Base(Program):
    def words(self, *words):
        return [PROGRAM, "exec", "--isolation", "process", *map(str, words)]

    def exec(self, *words, stdin=b"", code=0, **options):
        run = subprocess.run(self.words(*words), input=stdin,
                             capture_output=True, timeout=60, check=False,
                             **options)
        self.assertEqual(run.returncode, code,
                         f"{words}\n{run.stdout[-2000:]}\n{run.stderr}")
        return run.stdout.decode(), run.stderr.decode()

    def sh(self, text, *words, **options):
        return self.exec(*words, "sh", "-c", text, **options)

    def says(self, code, said, *words):
        self.assertIn(said, self.exec(*words, code=code)[1])


class Runs(Base):
    def test_programs_start_programs(self):
        out, _ = self.sh("for i in 3 1 2; do echo $i; done | sort | tr -d '\\n'")
        self.assertEqual(out, "123")

    def test_the_status_is_the_programs(self):
        for status in 0, 1, 77:
            self.sh(f"exit {status}", code=status)
        _, err = self.sh("kill -TERM $$", code=143)
        self.assertIn("signal 15", err)

    def test_what_is_not_there_is_127_and_what_is_no_program_126(self):
        self.says(127, "no such program", "no-such-program")
        self.says(126, "Permission denied", "/etc/passwd")
        text = self.folder / "text"
        text.write_text("words\n")
        text.chmod(0o755)
        self.says(126, "/script/text: Exec format error", text)
        script = self.folder / "script"
        script.write_text("#!/no/such/shell\n")
        script.chmod(0o755)
        self.says(127, "/script/script: No such file", script)
        script.write_text("#!/bin/sh\necho \"$0 $1\"\n")
        self.assertEqual(self.exec(script, "x")[0], "/script/script x\n")
        self.says(127, "/nowhere", "--workdir", "/nowhere", "true")

    def test_words_variables_and_the_folder_are_its_own(self):
        out, _ = self.sh("echo $# $1 $A $HOME; pwd", "--env", "A=b",
                         "--workdir", "/usr/share")
        self.assertEqual(out, "0 b /tmp\n/usr/share\n")
        out, _ = self.exec("sh", "-c", "echo $#", *["x"] * 400)
        self.assertEqual(out, "399\n")
        self.says(125, "more than 511 arguments", "true", *["x"] * 600)

    def test_time_is_124_and_a_signal_ends_it(self):
        self.says(124, "did not end in time", "--timeout", "300ms", "sleep",
                  "60")
        run = subprocess.Popen(self.words("sh", "-c", "echo on; sleep 60"),
                               stdout=subprocess.PIPE)
        self.assertEqual(run.stdout.readline(), b"on\n")
        run.send_signal(signal.SIGINT)
        self.assertEqual(run.wait(timeout=30), 130)
        run.stdout.close()

    def test_nothing_of_it_outlives_it(self):
        mark = f"60{os.getpid()}"
        self.sh(f"sleep {mark} & echo on")
        for _ in range(100):
            found = subprocess.run(["pgrep", "-f", f"^sleep {mark}"],
                                   stdout=subprocess.DEVNULL, check=False)
            if found.returncode != 0:
                return
            time.sleep(0.05)
        self.fail("it outlived its sandbox")

    def test_what_cannot_be_is_told(self):
        self.says(125, "traces no system calls", "--trace", "true")
        self.says(125, "a module of WebAssembly", self.folder / "x.wasm")
        run = subprocess.run([PROGRAM, "exec", "--no-config", "--isolation",
                              "remote", "true"], capture_output=True,
                             text=True, check=False)
        self.assertEqual(run.returncode, 125)
        self.assertIn("microvm or process", run.stderr)

    def test_rules_hold(self):
        config = self.folder / "c.json"
        config.write_text(json.dumps({"defaults": {"floor": "microvm"}}))
        self.says(125, "does not allow", "--config", config, "true")


class Streams(Base):
    def test_they_are_the_callers(self):
        big = os.urandom(1 << 20) * 80
        out = subprocess.run(self.words("cat"), input=big, capture_output=True,
                             check=True)
        self.assertTrue(out.stdout == big)
        source, target = self.folder / "in", self.folder / "out"
        source.write_bytes(big)
        with source.open("rb") as stdin, target.open("wb") as stdout:
            subprocess.run(self.words("cat"), stdin=stdin, stdout=stdout,
                           check=True)
        self.assertTrue(target.read_bytes() == big)

    def test_one_that_is_closed_is_none(self):
        out = subprocess.run(["sh", "-c", '"$@" <&- 2>&-', "sh",
                              *self.words("sh", "-c", "cat; echo on; echo x >&2")],
                             capture_output=True, check=False)
        self.assertEqual((out.returncode, out.stdout), (1, b"on\n"))

    def test_a_reader_that_leaves_ends_it(self):
        run = subprocess.Popen(self.words("yes"), stdout=subprocess.PIPE)
        self.assertEqual(run.stdout.read(4), b"y\ny\n")
        run.stdout.close()
        self.assertEqual(run.wait(timeout=30), 128 + signal.SIGPIPE)

    def test_what_leads_out_is_not_given(self):
        fd = os.open("/usr", os.O_RDONLY)
        path = os.open("/usr/bin/sh", os.O_PATH)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for stdin in fd, path, theirs.fileno():
            run = subprocess.run(self.words("cat"), stdin=stdin, check=False,
                                 capture_output=True, text=True)
            self.assertEqual(run.returncode, 125)
            self.assertIn("standard stream 0", run.stderr)
        os.close(fd)
        os.close(path)
        ours.close()
        theirs.close()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(b"hello")
            ours.shutdown(socket.SHUT_WR)
            run = subprocess.run(self.words("cat"), stdin=theirs.fileno(),
                                 check=True, capture_output=True)
            self.assertEqual(run.stdout, b"hello")

    def test_it_cannot_open_them_to_others(self):
        target = self.folder / "out"
        change = ("import os\n"
                  "for fd in 0, 1, 2:\n"
                  "    try: os.fchmod(fd, 0o4777)\n"
                  "    except OSError: pass\n"
                  "try: os.close(os.dup2(1, 9)); os.fchmod(1, 0o666)\n"
                  "except OSError: pass\n"
                  "open('/tmp/x', 'w').close(); os.chmod('/tmp/x', 0o600)\n"
                  "print(oct(os.stat('/tmp/x').st_mode))\n")
        with target.open("w") as out:
            os.fchmod(out.fileno(), 0o640)
            subprocess.run(self.words(PYTHON, "-c", change), stdout=out,
                           check=True)
        self.assertEqual(target.read_text(), "0o100600\n")
        self.assertEqual(target.stat().st_mode & 0o7777, 0o640)
        out, _ = self.exec(PYTHON, "-c", "import os\n"
                           "file = open('/tmp/x', 'w')\n"
                           "os.fchmod(file.fileno(), 0o600)\n"
                           "print(oct(os.stat('/tmp/x').st_mode))\n")
        self.assertEqual(out, "0o100600\n")

    def test_it_has_no_others(self):
        secret = (self.folder / "secret").open("wb")
        out, _ = self.exec(PYTHON, "-c", "import os\n"
                           "for fd in range(3, 64):\n"
                           "    try: os.fstat(fd); print(fd)\n"
                           "    except OSError: pass",
                           pass_fds=[secret.fileno()])
        secret.close()
        self.assertEqual(out, "")


class View(Base):
    def test_it_sees_nothing_else(self):
        out, _ = self.sh("ls -d /home /root /proc/1 /.glovebox /var 2>/dev/null;"
                         " touch /tmp/x && ls /tmp; touch /usr/x /x 2>&1 | wc -l",
                         code=0)
        self.assertEqual(out, "x\n2\n")

    def test_mounts_users_and_roots(self):
        root, data = self.folder / "root", self.folder / "data"
        (root / "etc").mkdir(parents=True)
        (root / "etc/passwd").write_text("app:x:1000:1001::/:/bin/sh\n")
        data.mkdir()
        (data / "name").write_text("host\n")
        words = ["--root", root, "--mount", "/usr:/usr", "--mount",
                 "/usr/lib:/lib", "--mount", "/usr/lib64:/lib64", "--mount",
                 f"{data}:/work/data:cow", "--user", "app", "--workdir",
                 "/work/data"]
        out, _ = self.exec(*words, "/usr/bin/sh", "-c",
                           "id -un; id -g; cat name; echo x >> name; cat name;"
                           " echo y > /etc/new; cat /etc/new")
        self.assertEqual(out, "app\n1001\nhost\nhost\nx\ny\n")
        self.assertEqual((data / "name").read_text(), "host\n")
        self.assertEqual(os.listdir(root / "etc"), ["passwd"])
        shutil.copy("/usr/bin/echo", data / "tool")
        out, _ = self.exec(*words, "./tool", "x")
        self.assertEqual(out, "x\n")

    def test_its_limits_hold(self):
        _, err = self.exec("--memory", "64M", PYTHON, "-c", "bytes(1 << 30)",
                           code=1)
        self.assertIn("MemoryError", err)
        out, _ = self.sh("for i in 1 2 3; do head -c 900K /dev/urandom > /tmp/$i;"
                         " done 2>&1 | grep -c 'No space'", "--disk", "1M")
        self.assertEqual(out, "2\n")
        self.says(152, "CPU time", "--cpu", "1s", "sh", "-c", "while :; do :; done")


if __name__ == "__main__":
    unittest.main()
