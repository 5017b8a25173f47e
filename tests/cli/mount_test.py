#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `--mount` grants, to programs and to scripts in each isolation.

usage: mount_test.py PROGRAM
"""
import json
import os
import pathlib
import subprocess
import sys
import unittest

from program import PROGRAM, Program, no_kvm

PYTHON = "/usr/bin/python3"

# A script that does what its input says, and sends what that calls `out`.
SCRIPT = """
import os, errno
def process(c):
    names = {"os": os}
    try:
        exec(c.get_input("do"), names)
        return {"out": names.get("out")}
    except OSError as e:
        return {"out": errno.errorcode[e.errno]}
"""


NO_KVM = no_kvm()
needs_kvm = unittest.skipIf(NO_KVM, f"no micro-VM here: {NO_KVM}")


class Base(Program):
    """data/{name,sub/deep}, links out of it, a file, and a script."""

    def setUp(self):
        super().setUp()
        self.data = self.folder / "data"
        (self.data / "sub").mkdir(parents=True)
        (self.data / "name").write_text("host\n")
        (self.data / "sub/deep").write_text("deep\n")
        (self.data / "up").symlink_to("../../../../../etc/shadow")
        (self.data / "absolute").symlink_to("/etc/hostname")
        (self.data / "inside").symlink_to("name")
        self.file = self.folder / "one.txt"
        self.file.write_text("one\n")
        scripts = self.folder / "scripts"
        scripts.mkdir()
        self.script = scripts / "do.py"
        self.script.write_text(SCRIPT)

    def mount(self, what, target, how=""):
        return ["--mount", f"{what}:{target}{how and ':' + how}"]

    def unchanged(self):
        self.assertEqual((self.data / "name").read_text(), "host\n")
        self.assertEqual((self.data / "sub/deep").read_text(), "deep\n")
        self.assertEqual(sorted(os.listdir(self.data)),
                         ["absolute", "inside", "name", "sub", "up"])
        self.assertEqual(self.file.read_text(), "one\n")


class Acts:
    """What holds for all; do() returns what a guest's code calls `out`, or the
    name of the error that it met."""

    def test_a_folder_is_seen_and_read(self):
        self.assertEqual(
            self.do("out = open('/data/sub/deep').read() +"
                    "' '.join(sorted(os.listdir('/data')))",
                    *self.mount(self.data, "/data")),
            "deep\nabsolute inside name sub up")

    def test_folders_on_the_way_are_made_and_closed(self):
        mount = self.mount(self.data, "/srv/a/b", "cow")
        self.assertEqual(self.do("out = open('/srv/a/b/name').read()", *mount),
                         "host\n")
        self.assertEqual(self.do("open('/srv/a/x', 'w')", *mount), "EROFS")

    def test_nothing_of_it_can_be_changed(self):
        mount = self.mount(self.data, "/data", "ro")
        for act in ("open('/data/name', 'w')", "open('/data/new', 'w')",
                    "os.remove('/data/name')", "os.mkdir('/data/d')",
                    "os.rename('/data/name', '/data/n')",
                    "os.truncate('/data/sub/deep', 0)",
                    "os.chmod('/data/name', 0o777)",
                    "os.symlink('x', '/data/y')"):
            self.assertEqual(self.do(act, *mount), "EROFS", act)
        self.unchanged()

    def test_a_pipe_of_the_hosts_is_not_written_to(self):
        os.mkfifo(self.data / "fifo")
        os.chmod(self.data / "fifo", 0o666)
        pipe = os.open(self.data / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, pipe)
        for target in "/data", "/tmp/data":
            for how in "ro", "cow":
                self.assertIn(
                    self.do(f"fd = os.open('{target}/fifo', os.O_WRONLY |"
                            " os.O_NONBLOCK); os.write(fd, b'guest')",
                            *self.mount(self.data, target, how)),
                    ("EACCES", "ENXIO"))
                self.assertEqual(os.read(pipe, 9), b"")

    def test_below_tmp_it_is_as_elsewhere(self):
        mount = self.mount(self.data, "/tmp/data")
        self.assertEqual(
            self.do("out = open('/tmp/data/sub/deep').read() +"
                    "' '.join(sorted(os.listdir('/tmp/data')))", *mount),
            "deep\nabsolute inside name sub up")
        for act in ("open('/tmp/data/name', 'w')", "os.mkdir('/tmp/data/d')",
                    "os.chmod('/tmp/data/name', 0o777)"):
            self.assertEqual(self.do(act, *mount), "EROFS", act)
        self.unchanged()

    def test_changes_of_ones_own_never_reach_the_host(self):
        self.assertEqual(
            self.do("open('/data/name', 'a').write('guest')\n"
                    "open('/data/sub/new', 'w').write('new')\n"
                    "os.remove('/data/sub/deep'); os.mkdir('/data/d')\n"
                    "os.rename('/data/inside', '/data/d/inside')\n"
                    "out = open('/data/name').read() +"
                    "' '.join(sorted(os.listdir('/data'))) +"
                    "' '.join(sorted(os.listdir('/data/sub')))",
                    *self.mount(self.data, "/data", "cow")),
            "host\nguestabsolute d name sub upnew")
        self.unchanged()

    def test_they_count_as_disk(self):
        self.assertEqual(
            self.do("for name in 'abc': open('/data/' + name, 'wb')"
                    ".write(bytes(range(256)) * 2400)",
                    *self.mount(self.data, "/data", "cow"), "--disk", "1M"),
            "ENOSPC")
        self.assertEqual(
            self.do("open('/tmp/half', 'wb').write(bytes(range(256)) * 2400)\n"
                    "open('/data/half', 'wb').write(bytes(range(256)) * 2400)",
                    *self.mount(self.data, "/data", "cow"), "--disk", "1M"),
            "ENOSPC")
        self.unchanged()

    def test_links_lead_to_where_they_lead_inside(self):
        mount = self.mount(self.data, "/data")
        self.assertEqual(self.do("out = open('/data/inside').read()", *mount),
                         "host\n")
        for link in ("up", "absolute"):
            self.assertEqual(self.do(f"out = open('/data/{link}').read()",
                                     *mount), "ENOENT", link)

    def test_a_file_is_seen(self):
        mount = self.mount(self.file, "/etc/one.conf")
        self.assertEqual(self.do("out = open('/etc/one.conf').read()", *mount),
                         "one\n")
        self.assertEqual(self.do("open('/etc/one.conf', 'w')", *mount),
                         "EROFS")

    def test_a_file_can_be_changed_for_oneself(self):
        self.assertEqual(
            self.do("open('/data/one', 'a').write('two')\n"
                    "out = open('/data/one').read()",
                    *self.mount(self.file, "/data/one", "cow")), "one\ntwo")
        self.unchanged()

    def test_many_lie_beside_each_other(self):
        words = []
        for i in range(16):
            words += self.mount(self.data if i % 2 else self.file,
                                f"/m/{i}", "cow" if i % 4 < 2 else "ro")
        self.assertEqual(
            self.do("out = open('/m/0').read() + open('/m/15/name').read()",
                    *words), "one\nhost\n")

    def test_what_cannot_be_is_named(self):
        closed = self.folder / "closed"
        closed.mkdir(mode=0)
        for words, said in (
                (self.mount(self.folder / "nowhere", "/x"), "No such file"),
                (self.mount("/dev/null", "/x"), "neither a folder nor a file"),
                (self.mount("/", "/x"), "all of this computer"),
                (self.mount(self.data, "/dev/x"), "/dev is the sandbox's own"),
                (self.mount(self.data, "/a/../b"), "has .. in it"),
                (self.mount(self.data, "/x") * 2, "two mounts"),
                (self.mount(self.data, "/x") + self.mount(self.file, "/x/y"),
                 "lie in each other")):
            self.assertIn(said, self.refused(*words))
        if os.geteuid() != 0:
            self.assertIn("cannot be read",
                          self.refused(*self.mount(closed, "/x")))

    @unittest.skipUnless(os.geteuid() == 0, "only root mounts")
    def test_the_hosts_processes_are_not_in_it(self):
        proc = self.data / "sub"
        subprocess.run(["mount", "-t", "proc", "proc", proc], check=True)
        try:
            self.assertIn(f"processes, at {proc}", self.refused(
                *self.mount(self.data, "/data")))
            self.assertIn("processes: ", self.refused(
                *self.mount(proc, "/data")))
            self.do("pass", *self.mount(self.file, "/data"))
            script = self.data / "s.py"
            script.write_text(SCRIPT)
            _, err = self.glovebox("run", script, code=127)
            self.assertIn(f"processes, at {proc}", err)
        finally:
            subprocess.run(["umount", proc], check=True)

    def test_wrong_words_are_wrong_usage(self):
        for text, said in (("data", "SOURCE:TARGET"),
                           ("data:relative", "SOURCE:TARGET"),
                           (":/data", "SOURCE:TARGET"),
                           ("data:/data:rw", "cow")):
            self.assertIn(said, self.misused("--mount", text))
        self.assertIn("16", self.misused(*self.mount(self.data, "/x") * 17))


@needs_kvm
class Programs(Acts, Base):
    def do(self, code, *words):
        out, _ = self.glovebox(
            "exec", *words, PYTHON, "-c",
            "import os, sys, errno\nout = ''\ntry:\n    exec(sys.argv[1])\n"
            "except OSError as e: out = errno.errorcode[e.errno]\n"
            "sys.stdout.write(str(out))", code)
        return out

    def refused(self, *words):
        run = subprocess.run([PROGRAM, "exec", *map(str, words), "/bin/true"],
                             capture_output=True, text=True, check=False)
        self.assertIn(run.returncode, (125, 127))
        return run.stderr

    def misused(self, *words):
        return self.glovebox("exec", *words, "/bin/true", code=125)[1]

    def test_programs_in_it_run(self):
        target = self.data / "tool"
        target.write_bytes(pathlib.Path("/bin/echo").read_bytes())
        target.chmod(0o755)
        for how in "ro", "cow":
            out, _ = self.glovebox("exec", *self.mount(self.data, "/opt", how),
                                   "/opt/tool", "x")
            self.assertEqual(out, "x\n")
        out, _ = self.glovebox("exec", *self.mount(target, "/opt/echo"),
                               "--workdir", "/opt", "/opt/echo", "y")
        self.assertEqual(out, "y\n")

    @unittest.skipUnless(os.geteuid() == 0, "only root mounts")
    def test_a_root_has_not_the_hosts_processes(self):
        root = self.folder / "root"
        (root / "proc").mkdir(parents=True)
        (root / "more").mkdir()
        for name in "proc", "more":
            subprocess.run(["mount", "-t", "proc", "proc", root / name],
                           check=True)
            self.addCleanup(subprocess.run, ["umount", root / name], check=True)
        words = [w for name in ("/usr", "/lib", "/lib64")
                 for w in self.mount(name, name)]
        out, _ = self.glovebox(
            "exec", "--root", root, *words, PYTHON, "-c",
            "import os, sys\n"
            "print([os.path.exists(f'{p}/{sys.argv[1]}')"
            " for p in ('/proc', '/more')], os.path.exists('/proc/self'))",
            os.getpid())
        self.assertEqual(out, "[False, False] True\n")

    def test_it_lies_in_a_root(self):
        root = self.folder / "root"
        (root / "srv").mkdir(parents=True)
        (root / "run").symlink_to("srv")
        (root / "file").write_text("")
        words = ("--root", root, *self.mount("/usr", "/usr"),
                 *self.mount("/lib64", "/lib64"), *self.mount("/lib", "/lib"))
        out, _ = self.glovebox("exec", *words, *self.mount(self.data, "/run/x"),
                               "/usr/bin/cat", "/srv/x/name")
        self.assertEqual(out, "host\n")
        self.assertEqual(os.listdir(root / "srv"), [])
        for target, said in ("/run", "symbolic links"), ("/file", "directory"):
            _, err = self.glovebox("exec", *words,
                                   *self.mount(self.data, target),
                                   "/usr/bin/true", code=127)
            self.assertIn(said, err)


class Scripts(Acts):
    isolation = None

    def run_it(self, code, *words):
        out, _ = self.glovebox("run", "--isolation", self.isolation, "--no-cache",
                               self.script, "--in", f"do={json.dumps(code)}",
                               *words)
        return [json.loads(line.split(": ", 1)[1]) for line in
                out.splitlines() if line.startswith("out: ")]

    def do(self, code, *words):
        return self.run_it(code, *words)[0]

    def refused(self, *words):
        run = subprocess.run([PROGRAM, "run", "--isolation", self.isolation,
                              str(self.script), *map(str, words)],
                             capture_output=True, text=True, check=False)
        self.assertIn(run.returncode, (2, 125, 127), run.stderr)
        return run.stderr

    def misused(self, *words):
        return self.glovebox("run", self.script, *words, code=2)[1]

    def test_calls_find_it_as_the_first_did(self):
        found = self.run_it(
            "out = open('/data/name').read() + str(os.path.exists('/data/x'))\n"
            "open('/data/name', 'a').write('more')\n"
            "open('/data/x', 'w').write('x')",
            *self.mount(self.data, "/data", "cow"),
            *self.mount(self.file, "/one", "cow"), "--repeat", "4")
        self.assertEqual(found, ["host\nFalse"] * 4)
        self.unchanged()


@needs_kvm
class InMicroVm(Scripts, Base):
    isolation = "microvm"

    def test_a_template_on_disk_is_good_for_the_same_files_alone(self):
        other = self.folder / "other"
        other.mkdir()
        (other / "name").write_text("other\n")
        self.script.write_text("was = open('/data/name').read()\n"
                               "def process(c):\n"
                               "    return {'out': was + open('/data/name')"
                               ".read()}\n")

        def run(what, how):
            out, err = self.glovebox(
                "run", "--isolation", "microvm", "--cache", self.folder / "cache",
                self.script, *self.mount(what, "/data", how), "--repeat", "2")
            self.assertEqual(err, "")
            return {json.loads(line.split(": ", 1)[1]) for line in
                    out.splitlines()}

        for _ in range(2):
            self.assertEqual(run(self.data, "ro"), {"host\nhost\n"})
            self.assertEqual(run(other, "ro"), {"other\nother\n"})
            self.assertEqual(run(other, "cow"), {"other\nother\n"})
        (self.data / "name").write_text("new\n")
        out, _ = self.glovebox("run", "--isolation", "microvm", "--cache",
                               self.folder / "cache", self.script,
                               *self.mount(self.data, "/data"))
        self.assertEqual(out, 'out: "new\\nnew\\n"\n')

    def test_others_refuse_in_words(self):
        mount = self.mount(self.data, "/data")
        js = self.folder / "x.js"
        js.write_text("export default c => 1;\n")
        _, err = self.glovebox("run", "--isolation", "wasm", js, *mount,
                               code=125)
        self.assertIn("only microvm and process", err)
        _, err = self.glovebox("run", "--remote", "ws://127.0.0.1:9", js,
                               *mount, code=125)
        self.assertIn("only microvm and process", err)
        module = self.folder / "x.wasm"
        module.write_bytes(b"\0asm\1\0\0\0")
        _, err = self.glovebox("exec", *mount, module, code=125)
        self.assertIn("a module sees nothing that is mounted", err)
        _, err = self.glovebox("run", *mount, module, code=125)
        self.assertIn("only microvm and process", err)


class InProcess(Scripts, Base):
    isolation = "process"

    def test_a_root_does_not_open_pipes_of_what_lies_in_it(self):
        root = self.folder / "root"
        (root / "srv").mkdir(parents=True)
        os.mkfifo(self.data / "fifo")
        os.chmod(self.data / "fifo", 0o666)
        pipe = os.open(self.data / "fifo", os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, pipe)
        words = [w for name in ("/usr", "/lib", "/lib64")
                 for w in self.mount(name, name)]
        out, _ = self.glovebox(
            "exec", "--isolation", "process", "--root", root, *words,
            *self.mount(self.data, "/srv/data"), PYTHON, "-c",
            "import os\n"
            "try: os.open('/srv/data/fifo', os.O_WRONLY | os.O_NONBLOCK)\n"
            "except OSError as e: print(e.strerror)\n"
            "try: open('/srv/data/name', 'w')\n"
            "except OSError as e: print(e.strerror)\n"
            "print(open('/srv/data/name').read())\n"
            "open('/srv/new', 'w')")
        self.assertEqual(out, "No such device or address\n"
                              "Read-only file system\nhost\n\n")
        self.assertEqual(os.read(pipe, 9), b"")


if __name__ == "__main__":
    unittest.main()
