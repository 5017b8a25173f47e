#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A real registry, docker-registry on loopback, with images that run Python
and numpy; and images that umoci makes.

usage: registry_test.py PROGRAM
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import images
from images import Image, write_layout

PROGRAM = os.path.abspath(sys.argv.pop(1))
NUMPY = "import numpy; print(int(numpy.arange(5).sum()), VERSION)"


def run(*words, **options):
    done = subprocess.run([str(word) for word in words], text=True,
                          capture_output=True, timeout=100, **options)
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)
    return done.stdout


def lacks(*programs):
    missing = [name for name in programs if shutil.which(name) is None]
    return " and ".join(missing)


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.store = self.folder / "store"

    def image(self, *words):
        return run(PROGRAM, "image", *words, "--store", self.store)

    def python(self, name, code):
        return run(PROGRAM, "exec", "--store", self.store, "--memory", "1G",
                   "--image", name, "/usr/bin/python3.11", "-c", code)


@unittest.skipIf(lacks("docker-registry", "skopeo"),
                 "no " + lacks("docker-registry", "skopeo") + " here")
class Real(Case):
    def setUp(self):
        super().setUp()
        server, self.host = images.serve_docker_registry(self.folder)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)

    def push(self, image, name, *how):
        layout = write_layout(self.folder / "pushed", {"x": image})
        run("skopeo", "copy", "--quiet", "--dest-tls-verify=false", *how,
            f"oci:{layout}:x", f"docker://{self.host}/{name}")

    def test_a_tag_moves_and_both_images_run_side_by_side(self):
        base, numpy = images.host_python(), images.host_python(True)
        if base is None or not numpy:
            self.skipTest("no Python 3.11 and numpy here")
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            self.skipTest("no KVM here")
        first, second = (
            Image([base, numpy, {"opt/version.py": b"VERSION = %d" % n}],
                  {"Env": ["PYTHONPATH=/usr/lib/python3/dist-packages:/opt"]})
            for n in (1, 2))
        name = self.host + "/science/python:3"
        self.push(first, "science/python:3")
        self.image("pull", name)
        self.assertEqual(self.python(name, "from version import *;" + NUMPY),
                         "10 1\n")
        self.push(second, "science/python:3")
        self.image("pull", name)
        self.assertEqual(self.python(name, "from version import *;" + NUMPY),
                         "10 2\n")
        old = self.image("ls", "--json")
        self.assertIn(first.digest, old)
        self.assertEqual(
            self.python(first.digest, "from version import *;" + NUMPY),
            "10 1\n")
        script = self.folder / "x.py"
        script.write_text(
            "import sys\n"
            "sys.path.insert(0, '/opt')\n"
            "import numpy\n"
            "from version import VERSION\n"
            "def process(c):\n"
            "    return {'out': [VERSION, int(numpy.arange(5).sum())]}\n")
        for image, version in ((name, 2), (first.digest, 1)):
            self.assertEqual(
                run(PROGRAM, "run", "--store", self.store, "--image", image,
                    "--memory", "1G", script, "--cache",
                    self.folder / "cache"), f"out: [{version},10]\n")
        self.assertEqual(len(os.listdir(self.store / "layers")), 4)
        self.image("verify")

    def test_docker_s_own_manifests_keep_their_digests(self):
        self.push(Image([{"a": b"a"}, {"b": b"b"}]), "d:1", "--format", "v2s2")
        there = run("skopeo", "inspect", "--tls-verify=false", "--format",
                    "{{.Digest}}", f"docker://{self.host}/d:1").strip()
        self.assertIn(there, self.image("pull", f"{self.host}/d:1"))
        self.image("verify")
        self.image("prune")
        self.image("verify")


@unittest.skipIf(lacks("umoci"), "no umoci here")
class Umoci(Case):
    def test_its_layers_and_whiteouts_are_understood(self):
        layout = self.folder / "layout"
        for name in ("one", "two"):
            (self.folder / name).write_text(name)
        os.chmod(self.folder / "one", 0o640)
        how = [] if os.geteuid() == 0 else ["--rootless"]
        run("umoci", "init", "--layout", layout)
        run("umoci", "new", "--image", f"{layout}:x")
        for name in ("one", "two"):
            run("umoci", "insert", *how, "--image", f"{layout}:x",
                self.folder / name, f"/data/{name}")
        run("umoci", "insert", *how, "--image", f"{layout}:x", "--whiteout",
            "/data/one")
        self.image("pull", f"oci:{layout}:x")
        said = self.image("inspect", f"oci:{layout}:x")
        root = [line.split()[1] for line in said.splitlines()
                if line.startswith("root")][0]
        self.assertEqual(os.listdir(root + "/data"), ["two"])
        self.image("verify")


if __name__ == "__main__":
    unittest.main()
