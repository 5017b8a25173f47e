#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Images of one tag side by side in one process: who is open keeps what it
had, who is opened has what there is, and neither is warmed by the other.

usage: side_test.py PROGRAM CALLER
"""
import json
import os
import subprocess
import sys
import unittest

import images
from images import Image, write_layout

PROGRAM, CALLER = map(os.path.abspath, sys.argv[1:3])
del sys.argv[1:3]

# colorsys is first looked for when it is called.
READ = ("def process(c):\n"
        "    import colorsys\n"
        "    old = open('/etc/motd').read()\n"
        "    open('/etc/motd', 'w').write('changed')\n"
        "    return {'out': old + ' ' + colorsys.__file__[:19]}\n")


def isolations():
    return ["process"] + ["microvm"] * os.access("/dev/kvm",
                                                 os.R_OK | os.W_OK)


class Side(images.Stored):
    @classmethod
    def setUpClass(cls):
        cls.base = images.host_python()
        if cls.base is None:
            raise unittest.SkipTest("no Python 3.11 here")
        cls.base = images.tar(cls.base)
        cls.first, cls.second = (
            Image([cls.base, {"etc/motd": text}], pack=bytes)
            for text in (b"one", b"two"))

    def setUp(self):
        super().setUp()
        self.script = self.folder / "read.py"
        self.script.write_text(READ)

    def image(self, *words, code=0):
        run = subprocess.run([PROGRAM, "image", *map(str, words)],
                             capture_output=True, text=True, timeout=60,
                             env=self.env)
        self.assertEqual(run.returncode, code, run.stdout + run.stderr)
        return run.stdout + run.stderr

    def pull(self, image):
        layout = write_layout(self.folder / "layout", {"latest": image})
        self.image("pull", f"oci:{layout}", "--name", "app")

    def calling(self, cache="cache"):
        caller = images.Caller(CALLER, self.folder / cache, self.env)
        self.addCleanup(lambda: self.assertEqual(caller.end(), 0))
        return caller

    def test_a_tag_that_moves_leaves_what_is_open(self):
        for isolation in isolations():
            caller = self.calling()

            def opened(name, image):
                self.assertEqual(caller.ask("open", name, isolation, image,
                                            self.script), "opened")

            def says(name, text):
                for _ in range(3):
                    self.assertEqual(caller.ask("call", name),
                                     f'"{text} /usr/lib/python3.11"')
            self.pull(self.first)
            opened("a", "app")
            says("a", "one")
            self.pull(self.second)
            says("a", "one")
            opened("b", "app")
            for name, text in (("b", "two"), ("a", "one"), ("b", "two")):
                says(name, text)
            # Each of a few is warm by now, and by its own.
            for name, image, text in (("c", self.first.digest, "one"),
                                      ("d", self.second.digest, "two"),
                                      ("e", "app", "two")):
                opened(name, image)
                says(name, text)
            self.assertIn("in use", self.image("rm", self.first.digest,
                                               code=125))
            for name in "ac":
                self.assertEqual(caller.ask("close", name), "closed")
            self.image("rm", self.first.digest)
            self.assertIn("no such image", caller.ask(
                "open", "a", isolation, self.first.digest, self.script))
            says("b", "two")

    def test_an_image_that_was_gone_is_as_good_as_new(self):
        for isolation in isolations():
            caller = self.calling()
            for _ in range(2):
                self.pull(self.first)
                for name in "ab":
                    self.assertEqual(caller.ask("open", name, isolation, "app",
                                                self.script), "opened")
                    self.assertEqual(caller.ask("call", name),
                                     '"one /usr/lib/python3.11"')
                for name in "ab":
                    caller.ask("close", name)
                self.image("prune", "--all")

    def test_templates_on_the_disk_are_each_digest_s(self):
        for isolation in isolations():
            for image, text in ((self.first, "one"), (self.second, "two")) * 2:
                self.pull(image)
                caller = self.calling()
                self.assertEqual(caller.ask("open", "a", isolation, "app",
                                            self.script), "opened")
                self.assertEqual(caller.ask("call", "a"),
                                 f'"{text} /usr/lib/python3.11"')

    @unittest.skipIf("microvm" not in isolations(), "no KVM here")
    def test_whose_tag_has_moved_on_holds_nothing(self):
        caller = self.calling()
        files = f"/proc/{caller.run.pid}/fd"
        count = []
        for number in range(12):
            self.pull(Image([self.base, {"etc/motd": b"%d" % number}],
                            pack=bytes))
            for name in "ab":
                caller.ask("open", name, "microvm", "app", self.script)
                self.assertEqual(caller.ask("call", name)[:3],
                                 f'"{number} '[:3])
            for name in "ab":
                caller.ask("close", name)
            count.append(len(os.listdir(files)))
        self.assertEqual(count[-1], count[-3], count)

    def test_each_node_of_a_graph_has_an_image_of_its_own(self):
        for image in self.first, self.second:
            self.pull(image)

        def node(name, **metadata):
            return {"id": name, "component": "read.py", "metadata": metadata}

        def end(name, port):
            return {"nodeId": name, "portId": port, "portName": port,
                    "expose": False, "portType": {"type": "any"}}
        path = self.folder / "g.json"
        path.write_text(json.dumps({
            "caseSensitive": True, "properties": {"name": "t"},
            "processes": {"a": node("a", image=self.first.digest),
                          "b": node("b")},
            "connections": [],
            "outports": {name: end(name, "out") for name in "ab"}}))
        for isolation in isolations():
            done = subprocess.run(
                [PROGRAM, "flow", "run", path, "--no-config", "--isolation",
                 isolation, "--image", "app", "--in", "a.in=1", "--in",
                 "b.in=1"], capture_output=True, text=True, timeout=60,
                env=self.env)
            self.assertEqual(done.returncode, 0, done.stderr)
            sent = [json.loads(line) for line in done.stdout.splitlines()]
            self.assertEqual({one["port"]: one["message"]["data"][:3]
                              for one in sent}, {"a": "one", "b": "two"})


if __name__ == "__main__":
    unittest.main()
