#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`glovebox exec`, and what `run` and `doctor` say of micro-VMs.

usage: exec_test.py PROGRAM FOLDER (of the programs in tests/linux/programs)
"""
import grp
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import time
import unittest

from program import PROGRAM, Program, no_kvm

FOLDER = pathlib.Path(sys.argv.pop(1)).resolve()
PYTHON = "/usr/bin/python3"
SCRIPT = "def process(c): return {'out': 1}\n"


NO_KVM = no_kvm()
if NO_KVM:
    print(f"no micro-VM here: {NO_KVM}")
    sys.exit(77)


class Base(Program):
    def glovebox(self, *words, stdin=b"", code=0, **options):
        run = subprocess.run([PROGRAM, *map(str, words)], input=stdin,
                             capture_output=True, timeout=60, **options)
        self.assertEqual(run.returncode, code,
                         f"{words}\n{run.stdout[-2000:]}\n{run.stderr}")
        return run.stdout.decode(errors="replace"), run.stderr.decode()

    def exec(self, *words, **options):
        return self.glovebox("exec", *words, **options)

    def python(self, text, *words, **options):
        return self.exec(*words, PYTHON, "-c", text, **options)

    def refused(self, code, words, *said):
        out, err = self.exec(*words, code=code)
        self.assertEqual(out, "")
        for word in said:
            self.assertIn(word, err)
        return err


class Streams(Base):
    def test_the_status_is_the_programs(self):
        for status in 0, 1, 7, 124, 255:
            out, err = self.exec("sh", "-c", f"exit {status}", code=status)
            self.assertEqual((out, err), ("", ""))

    def test_options_end_at_the_program(self):
        words = ["--trace", "-t", "x", "--", "-h", ""]
        out, _ = self.exec(PYTHON, "-c", "import sys; print(sys.argv[1:])",
                           *words)
        self.assertEqual(out, f"{words}\n")

    def test_streams_are_the_callers(self):
        out, err = self.python("import sys; print(input()[::-1]);"
                               "print('e', file=sys.stderr)", stdin=b"abc\n")
        self.assertEqual((out, err), ("cba\n", "e\n"))

    def test_megabytes_go_through_pipes_and_files(self):
        data = os.urandom(1 << 16) * 80
        run = subprocess.run([PROGRAM, "exec", "cat"], input=data,
                             capture_output=True)
        self.assertEqual((run.returncode, run.stdout), (0, data))
        source, target = self.folder / "source", self.folder / "target"
        source.write_bytes(data)
        with open(source) as stdin, open(target, "w") as stdout:
            subprocess.run([PROGRAM, "exec", "cat"], stdin=stdin,
                           stdout=stdout, check=True)
        self.assertEqual(target.read_bytes(), data)

    def test_a_file_as_a_stream_is_one(self):
        """It has a position, which others see; and a size, and a time."""
        source = self.folder / "source"
        source.write_text("".join(f"{i}\n" for i in range(1, 101)))
        os.utime(source, (1e9, 1e9))
        with open(source) as stdin:
            def out(*words):
                return subprocess.run([PROGRAM, "exec", *words], stdin=stdin,
                                      capture_output=True, check=True,
                                      timeout=60).stdout
            self.assertEqual(out("head", "-n1"), b"1\n")
            self.assertEqual(stdin.buffer.raw.tell(), 2)
            self.assertEqual(out("cat")[:4], b"2\n3\n")
            self.assertEqual(out("stat", "-L", "-c%s %Y", "/dev/stdin"),
                             b"292 1000000000\n")
            text = ("import os, mmap; print(os.lseek(0, -4, os.SEEK_END),"
                    "os.pread(0, 2, 0), mmap.mmap(0, 0, prot=1)[:2],"
                    "os.readlink('/proc/self/fd/0'))")
            self.assertEqual(out(PYTHON, "-c", text),
                             b"288 b'1\\n' b'1\\n' anon_inode:[stream]\n")
            self.assertEqual(os.read(stdin.fileno(), 9), b"100\n")

    def test_descriptors_have_names(self):
        out, _ = self.python(
            "import os\n"
            "with open('/tmp/a', 'w+b') as f:\n"
            "    f.write(b'hello'); f.flush(); name = f'/proc/self/fd/"
            "{f.fileno()}'\n"
            "    print(open(name, 'rb').read(), os.readlink(name))\n"
            "    os.unlink('/tmp/a')\n"
            "    print(open(name, 'rb').read(), os.readlink(name))\n"
            "    print(os.path.islink(name), os.stat(name).st_size)\n")
        self.assertEqual(out, "b'hello' /tmp/a\nb'hello' / (deleted)\n"
                              "True 5\n")

    def test_streams_that_are_one_file_go_on_behind_each_other(self):
        target = self.folder / "target"
        with open(target, "wb") as stdout:
            for _ in range(2):
                subprocess.run([PROGRAM, "exec", "sh", "-c",
                                "echo a; echo b >&2; echo c"], stdout=stdout,
                               stderr=stdout, check=True, timeout=60)
        self.assertEqual(target.read_text(), "a\nb\nc\n" * 2)

    def test_others_who_fill_its_pipe_do_not_hold_the_deadline(self):
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb", buffering=0) as pipe:
            programs = [subprocess.Popen(words, stdout=writer,
                                         stderr=subprocess.DEVNULL)
                        for words in (["cat", "/dev/zero"],
                                      ["cat", "/dev/zero"],
                                      [PROGRAM, "exec", "--timeout", "1s",
                                       "cat", "/dev/zero"])]
            os.close(writer)
            until = time.monotonic() + 0.8
            while time.monotonic() < until:
                pipe.read(4096)
            try:
                self.assertEqual(programs[2].wait(timeout=30), 124)
            finally:
                for program in programs:
                    program.kill()
                    program.wait()

    def test_a_slow_reader_misses_nothing(self):
        with subprocess.Popen([PROGRAM, "exec", "seq", "100000"],
                              stdout=subprocess.PIPE) as run:
            time.sleep(0.3)
            self.assertEqual(len(run.stdout.read()), 588895)
        self.assertEqual(run.returncode, 0)

    def test_a_reader_that_leaves_ends_it(self):
        for _ in range(20): # it may be writing, or wait for room
            with subprocess.Popen([PROGRAM, "exec", "yes"],
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE) as run:
                run.stdout.read(10)
                run.stdout.close()
                self.assertEqual(run.wait(20), 128 + signal.SIGPIPE)
                self.assertEqual(run.stderr.read(), b"")

    def test_input_wakes_a_thread_while_another_computes(self):
        text = ("import sys, threading\n"
                "lines = []\n"
                "def read(): lines.append(sys.stdin.readline())\n"
                "thread = threading.Thread(target=read)\n"
                "thread.start(); print('reads', flush=True)\n"
                "while not lines: pass\n"
                "print(lines)\n")
        with subprocess.Popen([PROGRAM, "exec", PYTHON, "-c", text],
                              stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as run:
            self.assertEqual(run.stdout.readline(), b"reads\n")
            out, _ = run.communicate(b"late\n", timeout=20)
        self.assertEqual(out, b"['late\\n']\n")

    def test_a_stream_that_is_closed_is_no_other_file(self):
        run = subprocess.run(f"exec {PROGRAM} exec cat <&-", shell=True,
                             capture_output=True)
        self.assertIn(b"Bad file descriptor", run.stderr)
        run = subprocess.run(f"exec {PROGRAM} exec echo x >&-", shell=True,
                             capture_output=True)
        self.assertNotEqual(run.returncode, 0)


class View(Base):
    def test_a_program_of_the_host_comes_with_its_folder(self):
        for name in ("hello", "hello-fixed", "hello-static",
                     "hello-static-pie"):
            out, _ = self.exec(FOLDER / name, "a", "b c", code=3)
            self.assertEqual(out, "hello 1 3 - [a] [b c]\ngoodbye\n")
        out, _ = self.exec("./hello", code=3, cwd=FOLDER)
        self.assertEqual(out, "hello 1 1 -\ngoodbye\n")

    def test_a_folder_is_shown_and_cannot_be_changed(self):
        (self.folder / "data").write_text("seen\n")
        out, _ = self.exec("--folder", self.folder, "cat", "data")
        self.assertEqual(out, "seen\n")
        self.exec("--folder", self.folder, "touch", "data", code=1)
        self.exec("--folder", self.folder, "touch", "new", code=1)
        out, _ = self.exec("--folder", self.folder, "--workdir", "/tmp", "pwd")
        self.assertEqual(out, "/tmp\n")
        self.refused(127, ["--folder", self.folder, FOLDER / "hello"],
                     f"{FOLDER}/hello: neither in /usr nor in the folder that "
                     f"is shown, {self.folder}: show one that it lies in\n")

    def test_folders_that_are_none_are_told(self):
        file = self.folder / "file"
        file.touch()
        for option in "--root", "--folder":
            for name in "busybox", "/bin/busybox":
                self.refused(127, [option, "nodir", name],
                             "nodir: no such folder\n")
                self.refused(127, [option, file, name], f"{file}: not a folder")

    def test_it_sees_nothing_else(self):
        out, _ = self.exec("ls", "/")
        self.assertNotIn("home", out.split())
        self.exec("ls", FOLDER, code=2)

    def test_the_environment_is_its_own(self):
        env = {**os.environ, "WORD": "mine", "SECRET": "s"}
        out, _ = self.exec("env", env=env)
        self.assertEqual(sorted(line.split("=")[0] for line in out.split()),
                         ["HOME", "LANG", "PATH", "TMPDIR"])
        out, _ = self.exec("--env", "WORD=w", FOLDER / "hello", code=3)
        self.assertIn(" w\n", out)
        out, _ = self.exec("--env", "WORD", "--env", "NONE", "--env",
                           "LANG=C", "env", env=env)
        self.assertIn("WORD=mine\n", out)
        self.assertIn("LANG=C\n", out)
        self.assertNotIn("NONE", out)

    @unittest.skipIf(os.geteuid() != 0, "the kernel sees to it")
    def test_of_root_it_has_no_rights_but_a_folders_owners(self):
        for name, mode, owner in (("own", 0o600, 0), ("none", 0, 0),
                                  ("others", 0o600, 1), ("all", 0o604, 1)):
            (self.folder / name).write_text(name)
            os.chown(self.folder / name, owner, owner)
            (self.folder / name).chmod(mode)
        (self.folder / "sub").mkdir(mode=0o700)
        (self.folder / "sub" / "all").write_text("sub")
        os.chown(self.folder / "sub", 1, 1)
        text = ("for n in ['own', 'none', 'others', 'all', 'sub/all']:\n"
                "    try: print(open(n).read())\n"
                "    except PermissionError: print('-')")
        out, _ = self.python(text, "--folder", self.folder)
        self.assertEqual(out.split(), ["own", "-", "-", "all", "-"])
        script = self.folder / "script.py"
        script.write_text("def process(c):\n"
                          "    import contextlib, io\n"
                          "    with contextlib.redirect_stdout(io.StringIO()) "
                          "as f:\n        exec(" + repr(text.replace(
                              "open(n", "open('/script/' + n")) + ")\n"
                          "    return {'out': f.getvalue().split()}\n")
        for isolation in "microvm", "process":
            out, _ = self.glovebox("run", "--json", "--isolation", isolation,
                                   script)
            self.assertEqual(json.loads(out)["data"],
                             ["own", "-", "-", "all", "-"], isolation)

    def test_a_root_of_its_own_is_all_it_sees(self):
        shutil.copy(FOLDER / "hello-static", self.folder / "there")
        (self.folder / "sub").mkdir()
        for words in (["/there"], ["--workdir", "/sub", "../there"],
                      ["--env", "PATH=/nowhere:/", "there"]):
            out, _ = self.exec("--root", self.folder, *words, code=3)
            self.assertTrue(out.startswith("hello"))
        self.refused(127, ["--root", self.folder, "ls"], "ls", "no such")
        self.refused(127, ["--root", self.folder, "/bin/ls"], "/bin/ls")
        self.refused(127, ["--root", "/nowhere", "/there"], "/nowhere")

    def test_what_a_root_has_as_devices_is_covered(self):
        shutil.copy("/bin/busybox", self.folder / "busybox")
        (self.folder / "dev" / "null").mkdir(parents=True)
        (self.folder / "dev" / "shm").mkdir()
        (self.folder / "proc").write_text("no folder")
        (self.folder / "sys").symlink_to("/nowhere")
        out, _ = self.exec("--root", self.folder, "/busybox", "ls", "-d",
                           "/dev/null", "/dev/shm", "/proc/stat", "/sys")
        self.assertEqual(out.split(),
                         ["/dev/null", "/dev/shm", "/proc/stat", "/sys"])

    def test_what_it_writes_to_its_root_stays_in_memory(self):
        shutil.copy(FOLDER / "writes", self.folder / "writes")
        before = sorted(os.listdir(self.folder))
        self.exec("--root", self.folder, "/writes", "/new")
        self.assertEqual(sorted(os.listdir(self.folder)), before)


class Ends(Base):
    def test_threads_that_end_under_a_quick_timer_are_well(self):
        self.python("import signal, threading, time\n"
                    "signal.signal(signal.SIGALRM, signal.SIG_IGN)\n"
                    "signal.setitimer(signal.ITIMER_REAL, 7e-5, 7e-5)\n"
                    "end = time.monotonic() + 1\n"
                    "while time.monotonic() < end:\n"
                    "    t = threading.Thread(target=int); t.start()\n"
                    "    t.join()\n", "--timeout", "30s")

    def test_a_signal_of_its_own_is_told(self):
        _, err = self.exec(FOLDER / "faulty", "abort", code=134)
        self.assertIn("signal 6 (Aborted)", err)
        self.python("import os; os.kill(os.getpid(), 15)", code=143)

    def test_a_null_pointer_is_told_with_place_and_symbol(self):
        _, err = self.exec(FOLDER / "faulty", "null", code=139)
        self.assertRegex(err, r"^glovebox: signal 11 \(Segmentation fault\) "
                              r"killed the guest: write to address 0x0, a NULL "
                              r"pointer, at 0x[0-9a-f]+ "
                              r"\(poke\+0x[0-9a-f]+ in /script/faulty\)\n$")

    def test_a_stack_overflow_is_told(self):
        _, err = self.exec(FOLDER / "faulty", "dive", code=139)
        self.assertIn("below its stack: too deep a recursion", err)
        self.assertIn("(dive+0x", err)

    def test_what_is_not_supported_is_told_by_name(self):
        _, err = self.exec(FOLDER / "faulty", "fork", code=9)
        self.assertEqual(err, f"glovebox: {FOLDER}/faulty exited with status 9"
                              "; the last thing it asked for in vain: "
                              "processes: a micro-VM has one\n")
        _, err = self.exec("--trace", FOLDER / "faulty", "fork", code=9)
        self.assertRegex(err, r"(?m)^(clone|fork|vfork)\(.*\(not supported: "
                              r"processes|^clone\(.*= -1 ")

    def test_what_spoils_the_work_is_told_even_if_it_ended_well(self):
        for name, lacked in (("processes", "os.fork()"),
                             ("another program", "os.execv('/bin/ls', ['x'])"),
                             ("the network", "socket.socket()")):
            _, err = self.python("import os, socket\n"
                                 f"try: {lacked}\nexcept OSError: pass\n")
            self.assertIn(f"exited with status 0; the last thing it asked for "
                          f"in vain: {name}:", err)
        for quiet in ("socket.socketpair()", "socket.gethostname()",
                      "os.getlogin()", "os.mkfifo('/tmp/x')"):
            _, err = self.python("import os, socket\n"
                                 f"try: {quiet}\nexcept OSError: pass\n")
            self.assertEqual(err, "", quiet)

    def test_time_is_124(self):
        for words in ([FOLDER / "faulty", "loop"], ["sleep", "100"], ["cat"]):
            began = time.monotonic()
            with subprocess.Popen([PROGRAM, "exec", "-t", "300ms", *words],
                                  stdin=subprocess.PIPE,
                                  stderr=subprocess.PIPE) as run:
                self.assertIn(b"in time", run.stderr.read())
                self.assertEqual(run.wait(), 124)
            self.assertLess(time.monotonic() - began, 10)

    def test_output_that_nobody_reads_does_not_hold_the_deadline(self):
        with subprocess.Popen([PROGRAM, "exec", "-t", "300ms", "yes"],
                              stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as run:
            self.assertEqual(run.wait(20), 124)

    def test_processor_time_is_152(self):
        _, err = self.exec("--cpu", "1s", FOLDER / "faulty", "loop", code=152)
        self.assertIn("CPU time limit", err)

    def test_signals_to_it_end_it(self):
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            for words in [FOLDER / "faulty", "loop"], ["cat"]:
                # These tests may run in the background, or under nohup.
                with subprocess.Popen(
                        [PROGRAM, "exec", *words], stdin=subprocess.PIPE,
                        stderr=subprocess.PIPE,
                        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL)
                ) as run:
                    self.addCleanup(run.kill)
                    time.sleep(0.2)
                    run.send_signal(number)
                    self.assertEqual(run.wait(20), 128 + number)
                    self.assertEqual(run.stderr.read(), b"")

    def test_signals_that_were_ignored_stay_so(self):
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            with subprocess.Popen(
                    [PROGRAM, "exec", "cat"], stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    preexec_fn=lambda: signal.signal(number, signal.SIG_IGN)
            ) as run:
                run.stdin.write(b"a")
                run.stdin.flush()
                run.stdout.read(1)
                run.send_signal(number)
                self.assertEqual(run.communicate(b"b", timeout=20)[0], b"b")
                self.assertEqual(run.returncode, 0)

    def test_few_open_files_are_named_or_enough(self):
        """Of this program's own: each step of opening may find no more."""
        ends = set()
        for files in range(4, 40):
            run = subprocess.run(
                ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", PROGRAM,
                 "exec", FOLDER / "hello-static"], stdin=subprocess.DEVNULL,
                capture_output=True, text=True, timeout=60)
            if run.returncode == 125:
                self.assertRegex(run.stderr, "Too many open files.*ulimit -n")
            elif run.returncode != 3:
                self.assertIn("Too many open files", run.stderr)
            ends.add(run.returncode)
        self.assertLessEqual({3, 125}, ends)

    def test_a_memory_limit_is_named(self):
        self.refused(125, ["--memory", "16M", FOLDER / "large"],
                     "memory limit of 16384 KiB is too small", "large")
        self.exec("--memory", "96M", FOLDER / "large")
        self.python("bytearray(1 << 28)", "--memory", "64M", code=1)


class Bad(Base):
    def spoiled(self, name, off, data):
        """A good program with some bytes changed."""
        path = self.folder / name
        text = bytearray((FOLDER / "hello").read_bytes())
        text[off:off + len(data)] = data
        path.write_bytes(text)
        path.chmod(0o755)
        return path

    def test_what_is_not_there_is_127(self):
        self.refused(127, ["walrus"], "walrus: no such program in /usr/local")
        self.refused(127, ["./walrus"], "No such file")
        self.refused(127, ["/usr/bin/walrus"], "No such file")
        self.refused(127, ["--root", self.folder, "--workdir", "/nowhere",
                           "/x"], "/x")

    def test_what_is_no_program_is_126(self):
        plain = self.folder / "plain"
        plain.write_text("words\n")
        self.refused(126, [plain], "Permission denied")
        self.refused(126, [self.folder], "directory")
        plain.chmod(0o755)
        self.refused(126, [plain], "not an ELF file")
        plain.write_text("#!/bin/sh\necho x\n")
        self.refused(126, [plain], "a script", "interpreter")
        plain.write_text("")
        self.refused(126, [plain], "empty")
        plain.write_bytes((FOLDER / "hello").read_bytes()[:100])
        self.refused(126, [plain], "plain")

    def test_another_processor_is_126(self):
        self.refused(126, [self.spoiled("arm", 18, struct.pack("<H", 183))],
                     "aarch64")
        self.refused(126, [self.spoiled("old", 4, b"\1")], "32-bit")

    def test_a_root_without_the_interpreter_is_127(self):
        shutil.copy(FOLDER / "hello", self.folder / "hello")
        self.refused(127, ["--root", self.folder, "/hello"],
                     "/hello needs /lib64/ld-linux-x86-64.so.2", "complete?")

    def test_wrong_usage_is_125(self):
        for words, said in [([], "PROGRAM is missing"),
                            (["--walrus", "ls"], "walrus"),
                            (["--timeout", "x", "ls"], "--timeout x"),
                            (["--memory", "0", "ls"], "--memory 0"),
                            (["--memory", "64K", "ls"],
                             "--memory 64K: at least 16M"),
                            (["--cpu", "1ms", "ls"], "--cpu 1ms: at least 1s"),
                            (["--threads", "9" * 9, "ls"],
                             "--threads 999999999: at most 4194304"),
                            (["--env", "=x", "ls"], "NAME=VALUE"),
                            (["--workdir", "tmp", "ls"], "begin with /"),
                            ([""], "empty")]:
            self.refused(125, words, said)
        self.refused(127, ["--workdir", "/nowhere", "ls"], "/nowhere")
        out, _ = self.exec("--help")
        self.assertIn("Exit status", out)
        self.assertEqual(self.glovebox("help", "exec")[0], out)


class Trace(Base):
    def test_system_calls_are_lines_as_of_strace(self):
        out, err = self.exec("--trace", "echo", "a\tb")
        self.assertEqual(out, "a\tb\n")
        self.assertRegex(err, r'(?m)^write\(1, "a\\x09b\\n", 4\) = 4$')
        self.assertRegex(err, r"(?m)^exit_group\(0\) = \?$")

    def script(self):
        path = self.folder / "script.py"
        path.write_text(SCRIPT)
        return path

    def test_a_script_is_traced(self):
        out, err = self.glovebox("run", "--trace", self.script())
        self.assertEqual(out, "out: 1\n")
        self.assertRegex(err, r"(?m)^openat\(AT_FDCWD, ")
        _, err = self.glovebox("run", "--isolation", "process", "--trace",
                               self.script(), code=125)
        self.assertIn("microvm", err)

    def test_why_is_a_line(self):
        for words, said in [
                ([], "isolation microvm: the strongest that this host offers"),
                (["--isolation", "microvm"],
                 "isolation microvm: it was asked for"),
                (["--isolation", "process"],
                 "isolation process: it was asked for")]:
            _, err = self.glovebox("run", "--why", "--no-cache", *words,
                                   self.script())
            self.assertEqual(err.splitlines()[0], said)
            self.assertRegex(err, r"(?m)^  process  \w+ +\w+")
            self.assertRegex(err, r"(?m)^  remote   (refused|impossible) ")


class WithoutKvm(Base):
    """A host as it is not: something else lies over /dev/kvm."""
    def setUp(self):
        super().setUp()
        self.before = ["unshare", "-m"] if os.getuid() == 0 else ["unshare",
                                                                  "-rm"]
        if subprocess.run([*self.before, "sh", "-c",
                           "mount --bind /dev/null /dev/kvm"],
                          capture_output=True).returncode != 0:
            self.skipTest("nothing can be mounted over /dev/kvm")

    def hidden(self, *words, code=0):
        line = 'mount --bind /dev/null /dev/kvm; exec "$@"'
        run = subprocess.run([*self.before, "sh", "-c", line, "sh", PROGRAM,
                              *map(str, words)], capture_output=True)
        self.assertEqual(run.returncode, code, f"{run.stdout} {run.stderr}")
        return run.stdout.decode(), run.stderr.decode()

    def test_doctor_says_what_works_and_is_content(self):
        out, _ = self.hidden("doctor")
        self.assertRegex(out, r"(?m)^partly +KVM +/dev/kvm: something else.*"
                              r"\n +-> in a container, hand the host's in$")
        self.assertRegex(out, r"(?m)^partly +isolation +auto takes process")
        out, _ = self.glovebox("doctor")
        self.assertRegex(out, r"(?m)^ok +isolation +auto takes microvm")

    @unittest.skipIf(os.geteuid() != 0, "root alone becomes somebody else")
    def test_who_may_not_open_it_is_told_what_to_do(self):
        if subprocess.run(["setpriv", "--reuid=54321", "--regid=54321",
                           "--clear-groups", PROGRAM, "--version"],
                          capture_output=True).returncode != 0:
            self.skipTest("the build folder is root's alone")
        group = grp.getgrgid(1).gr_name
        device = self.folder / "kvm"
        device.touch()
        line = (f'mount --bind {device} /dev/kvm; exec setpriv --reuid=54321 '
                '--regid=54321 --clear-groups "$@"')
        for gid, mode, said, remedy in [
                (1, 0o660, f"owner root, group {group}, mode 0660",
                 f"add the user to its group ({group})"),
                (1, 0o600, "mode 0600", "chgrp kvm /dev/kvm; chmod 660"),
                (0, 0o660, "group root, mode 0660", "chgrp kvm /dev/kvm")]:
            os.chown(device, 0, gid)
            device.chmod(mode)
            for words in ["doctor"], ["exec", "ls"]:
                run = subprocess.run(
                    [*self.before, "sh", "-c", line, "sh", PROGRAM, *words],
                    capture_output=True, text=True)
                self.assertIn(said, run.stdout + run.stderr)
                self.assertIn(remedy, run.stdout + run.stderr)

    def test_scripts_run_in_the_process_isolation(self):
        path = self.folder / "script.py"
        path.write_text(SCRIPT)
        out, err = self.hidden("run", "--why", path)
        self.assertEqual(out, "out: 1\n")
        self.assertRegex(err, "^isolation process: no micro-VM: /dev/kvm: ")
        for words in ["--isolation", "microvm"], ["--trace"]:
            _, err = self.hidden("run", *words, path, code=125)
            self.assertIn("/dev/kvm", err)

    def test_programs_do_not(self):
        _, err = self.hidden("exec", "ls", code=125)
        self.assertIn("/dev/kvm", err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
