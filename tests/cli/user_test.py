#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whom a guest takes itself for: `--user`, and an image's User.

usage: user_test.py PROGRAM
"""
import json
import os
import pathlib
import sys
import unittest

from program import Program, no_kvm

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "image"))
from images import Image, write_layout

PYTHON = "/usr/bin/python3"
PASSWD = "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/app:/bin/sh\n"
GROUP = "root:x:0:\nstaff:x:50:\n"
SYSTEM = [word for path in ("/usr:/usr", "/usr/lib:/lib", "/usr/lib64:/lib64")
          for word in ("--mount", path)]

# What a guest knows of itself, and of files: its own, the image's.
WHO = ("import os, pwd\n"
       "open('/tmp/x', 'w').close(); made, found = os.stat('/tmp/x'), "
       "os.stat('/etc/passwd')\n"
       "try: name = pwd.getpwuid(os.getuid()).pw_name\n"
       "except KeyError: name = None\n"
       "who = [os.getuid(), os.geteuid(), os.getgid(), os.getegid(), "
       "list(os.getresuid()), list(os.getresgid()), os.getgroups(), name, "
       "[made.st_uid, made.st_gid], [found.st_uid, found.st_gid]]\n")

# What root would be allowed.
RIGHTS = ("import os, socket\n"
          "def can(act, *words):\n"
          "    try: act(*words)\n"
          "    except (PermissionError, OSError): return False\n"
          "    return True\n"
          "open('/tmp/x', 'w').close(); os.chmod('/tmp/x', 0)\n"
          "who = [can(os.chown, '/tmp/x', 5, 5), can(open, '/tmp/x'), "
          "can(os.setuid, os.getuid() + 1), can(os.setgroups, [7]), "
          "can(os.mknod, '/tmp/dev', 0o20666, 259), can(os.chroot, '/tmp'), "
          "can(socket.sethostname, 'x')]\n")


HAS_KVM = not no_kvm()


class Base(Program):
    def setUp(self):
        super().setUp()
        self.root = self.folder / "root"
        (self.root / "etc").mkdir(parents=True)
        (self.root / "etc/passwd").write_text(PASSWD)
        (self.root / "etc/group").write_text(GROUP)

    def glovebox(self, *words, code=0):
        return super().glovebox(*words, code=code)[code != 0]

    def image(self, **config):
        layout = write_layout(self.folder / "layout", {"latest": Image(
            [{"etc": None, "etc/passwd": PASSWD.encode(),
              "etc/group": GROUP.encode()}], config)})
        return ["--store", self.folder / "store", "--image", f"oci:{layout}"]


class Acts:
    """ask(text, *words) is what a guest has as `who` then."""

    def is_it(self, who, uid, gid, name):
        self.assertEqual(who[:6], [uid, uid, gid, gid, [uid] * 3, [gid] * 3])
        self.assertLessEqual(set(who[6]), {gid})
        self.assertEqual(who[7], name)
        self.assertEqual(who[8:], [[uid, gid], [uid, gid]])

    def test_it_is_who_it_was_told(self):
        image = self.rooted()
        for text, uid, gid, name in (
                ("app", 1000, 1001, "app"), ("app:staff", 1000, 50, "app"),
                ("0", 0, 0, "root"), ("root:1001", 0, 1001, "root"),
                ("1000", 1000, 1001, "app"), ("77", 77, 0, None),
                ("4294967294:7", 4294967294, 7, None),
                ("65534:65534", 65534, 65534, None), ("65534", 65534, 0, None)):
            self.is_it(self.ask(WHO, *image, "--user", text), uid, gid, name)

    def test_without_an_image_there_are_numbers(self):
        for text, uid, gid in (("0", 0, 0), ("12:34", 12, 34)):
            who = self.ask(WHO, "--user", text)
            self.assertEqual(who[:6], [uid, uid, gid, gid, [uid] * 3,
                                       [gid] * 3])
            self.assertEqual(who[7:9], ["guest", [uid, gid]])
        self.assertIn("give a number", self.refused("--user", "app"))

    def test_an_images_user_is_honoured(self):
        for text, uid, gid, name in (("app", 1000, 1001, "app"),
                                     ("1000:50", 1000, 50, "app"),
                                     ("root", 0, 0, "root")):
            self.is_it(self.ask(WHO, *self.image(User=text), *SYSTEM), uid, gid,
                       name)
        words = self.image(User="app")
        self.is_it(self.ask(WHO, *words, *SYSTEM, "--user", "0:0"), 0, 0,
                   "root")
        words = self.image(User="")
        mine = os.geteuid() or 65534
        self.assertEqual(self.ask(WHO, *words, *SYSTEM)[0], mine)

    def test_who_is_not_there_is_told_with_the_file(self):
        said = self.refused(*self.image(User="nobody"), *SYSTEM)
        self.assertIn('user "nobody" is not in', said)
        self.assertIn("/etc/passwd", said)
        said = self.refused(*self.rooted(), "--user", "app:nobody")
        self.assertIn('group "nobody" is not in', said)
        self.assertIn("/etc/group", said)
        self.assertIn("is no user", self.refused(*self.rooted(), "--user",
                                                 ":50"))

    def test_nobody_has_rights_from_it(self):
        for user in "root", "app", "12345:0":
            self.assertEqual(self.ask(RIGHTS, *self.rooted(), "--user", user),
                             [False] * 7, user)


@unittest.skipUnless(HAS_KVM, "no KVM here")
class Programs(Acts, Base):
    def rooted(self):
        return ["--root", self.root, *SYSTEM]

    def ask(self, text, *words):
        return json.loads(self.glovebox(
            "exec", *words, PYTHON, "-c",
            text + "import json; print(json.dumps(who))"))

    def refused(self, *words):
        return self.glovebox("exec", *words, "/usr/bin/true", code=125)

    def test_no_file_of_the_host_is_opened_by_it(self):
        secret = self.folder / "data/secret"
        secret.parent.mkdir()
        secret.write_text("secret")
        if os.geteuid() == 0:
            os.chown(secret, 4242, 4242)
        secret.chmod(0o640 if os.geteuid() == 0 else 0)
        for user in "0:0", "4242:4242", "65534:0", "0:65534":
            said = self.glovebox(
                "exec", "--mount", f"{secret.parent}:/data:cow", "--user", user,
                PYTHON, "-c", "open('/data/secret')", code=1)
            self.assertIn("PermissionError", said)


class Scripts(Acts):
    isolation = None

    def rooted(self):
        return ["--image", f"rootfs:{self.root}", *SYSTEM]

    def run_it(self, text, words, code=0):
        script = self.folder / "script"
        script.mkdir(exist_ok=True)
        (script / "x.py").write_text(
            "def process(c):\n    names = {}\n    exec(c.get_input('do'), names)"
            "\n    import json\n    return {'out': json.dumps(names['who'])}\n")
        return self.glovebox("run", "--isolation", self.isolation,
                             script / "x.py", "--in", f"do={json.dumps(text)}",
                             *words, code=code)

    def ask(self, text, *words):
        if "--store" in words:
            self.glovebox("image", "pull", words[words.index("--image") + 1],
                          "--store", self.folder / "store")
        out = [json.loads(json.loads(line.split(": ", 1)[1])) for line in
               self.run_it(text, [*words, "--repeat", "2"]).splitlines()]
        self.assertEqual(out[0], out[1])
        return out[0]

    def refused(self, *words):
        return self.run_it("", words, code=2)


@unittest.skipUnless(HAS_KVM, "no KVM here")
class InMicroVm(Scripts, Base):
    isolation = "microvm"


class InProcess(Scripts, Base):
    isolation = "process"


class Wasm(Base):
    def test_it_knows_no_users(self):
        js = self.folder / "x.js"
        js.write_text("export default c => 1;\n")
        said = self.glovebox("run", "--isolation", "wasm", "--user", "0", js,
                             code=125)
        self.assertIn("only microvm and process show who the user is", said)
        module = self.folder / "x.wasm"
        module.write_bytes(b"\0asm\1\0\0\0")
        said = self.glovebox("exec", "--user", "0", module, code=125)
        self.assertIn("a module knows no users", said)


if __name__ == "__main__":
    unittest.main()
