#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An image that mmdebstrap and umoci make, of Debian's packages: numpy is
installed in it, and a script of ours imports it from there.

usage: debian_test.py PROGRAM CALLER
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import unittest

import images

PROGRAM, CALLER = map(os.path.abspath, sys.argv[1:3])
del sys.argv[1:3]
TOOLS = ("mmdebstrap", "umoci", "skopeo", "docker-registry")

SCRIPT = """
import numpy
import version

def process(c):
    a = numpy.arange(6).reshape(2, 3)
    return {'out': [version.VERSION, (a @ a.T).tolist(), numpy.__file__]}
"""
NUMPY = "/usr/lib/python3/dist-packages/numpy/__init__.py"


def run(*words, **options):
    done = subprocess.run(list(map(str, words)), text=True,
                          capture_output=True, timeout=200, **options)
    if done.returncode != 0:
        raise AssertionError(f"{words}\n{done.stdout}{done.stderr}")
    return done.stdout


def bootstrap(tar):
    """Debian's packages, installed.  Returns why they cannot be had, or ""."""
    sources = [name for pattern in ("sources.list", "sources.list.d/*.list",
                                    "sources.list.d/*.sources")
               for name in sorted(glob.glob("/etc/apt/" + pattern))
               if os.path.getsize(name) > 0]
    done = subprocess.run(
        ["mmdebstrap", "--variant=essential",
         "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
         "--include=usr-is-merged,python3-numpy",
         *(f"--dpkgopt=path-exclude=/usr/share/{name}/*"
           for name in ("doc", "man", "locale")),
         "bookworm", str(tar), *sources],
        text=True, capture_output=True, timeout=280)
    if done.returncode == 0:
        return ""
    if re.search("Could not (resolve|connect)|Temporary failure|timed out|"
                 "unreachable|Connection (refused|failed)|Failed to fetch|"
                 "cannot be authenticated", done.stderr):
        return "Debian's packages cannot be reached"
    if re.search("unshare|newuidmap|not permitted|ermission denied", done.stderr):
        return "mmdebstrap needs rights that we have not got"
    raise AssertionError(done.stderr)


@unittest.skipIf(any(shutil.which(name) is None for name in TOOLS),
                 "it takes " + ", ".join(TOOLS))
class Debian(images.Stored):
    def setUp(self):
        super().setUp()
        self.script = self.folder / "x.py"
        self.script.write_text(SCRIPT)

    def build(self):
        """A layout with the tags one and two, which share all but a file."""
        tar, layout = self.folder / "debian.tar", self.folder / "layout"
        why = bootstrap(tar)
        if why:
            self.skipTest(why)
        run("umoci", "init", "--layout", layout)
        run("umoci", "new", "--image", f"{layout}:base")
        run("umoci", "raw", "add-layer", "--image", f"{layout}:base", tar)
        tar.unlink()
        for tag in "one", "two":
            version = self.folder / tag  # not beside the script
            version.write_text(f"VERSION = '{tag}'\n")
            how = [] if os.geteuid() == 0 else ["--rootless"]
            run("umoci", "insert", *how, "--image", f"{layout}:base", "--tag",
                tag, version, "/usr/lib/python3/dist-packages/version.py")
        return layout

    def image(self, *words):
        return run(PROGRAM, "image", *words, env=self.env)

    def says(self, tag):
        return f'["{tag}",[[5,14],[14,50]],"{NUMPY}"]'

    def side_by_side(self, layout, name, isolation):
        """The tag moves while a script of it is open.  Returns both digests."""
        caller = images.Caller(CALLER, self.folder / "cache", self.env)

        def move(tag):
            run("skopeo", "copy", "--quiet", "--dest-tls-verify=false",
                f"oci:{layout}:{tag}", f"docker://{name}")
            return self.image("pull", name).split()[-1]

        def opened(script, image):
            self.assertEqual(caller.ask("open", script, isolation, image,
                                        self.script), "opened")
        try:
            digests = [move("one")]
            opened("a", name)
            digests.append(move("two"))
            opened("b", name)
            opened("c", digests[0])
            for script, tag in ("b", "two"), ("a", "one"), ("c", "one"):
                for _ in range(2):
                    self.assertEqual(caller.ask("call", script),
                                     self.says(tag))
        finally:
            self.assertEqual(caller.end(), 0)
        return digests

    def test_numpy_of_an_image_whose_tag_moves(self):
        layout = self.build()
        server, host = images.serve_docker_registry(self.folder)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        name = f"{host}/science/python:3"
        kinds = ["process"] + ["microvm"] * os.access("/dev/kvm",
                                                      os.R_OK | os.W_OK)
        for isolation in kinds:
            with self.subTest(isolation=isolation):
                digests = self.side_by_side(layout, name, isolation)
                self.assertNotEqual(*digests)
                for image, tag in (name, "two"), (digests[0], "one"):
                    said = run(PROGRAM, "run", "--image", image, "--isolation",
                               isolation, "--no-config", "--cache",
                               self.folder / "cache", self.script,
                               env=self.env)
                    self.assertEqual(said, f"out: {self.says(tag)}\n")
        # What they share is there once.
        store = self.folder / "data/glovebox/images"
        self.assertEqual(len(os.listdir(store / "layers")), 3)
        self.image("verify")


if __name__ == "__main__":
    unittest.main()
