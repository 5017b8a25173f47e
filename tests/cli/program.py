# SPDX-License-Identifier: Apache-2.0
"""The program, for the tests of its commands, and a folder for each."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))  # of the test's words, the first


def no_kvm():
    """What there is in place of KVM; False: there is one."""
    run = subprocess.run([PROGRAM, "doctor", "--json"], capture_output=True,
                         check=False)
    found = {c["name"]: c for c in json.loads(run.stdout)["checks"]}
    return found["KVM"]["state"] != "ok" and found["KVM"]["found"]


class Program(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.folder.chmod(0o755)

    def glovebox(self, *words, code=0):
        run = subprocess.run([PROGRAM, *map(str, words)], text=True,
                             capture_output=True, timeout=60, check=False)
        self.assertEqual(run.returncode, code,
                         f"{words}\n{run.stdout[-2000:]}\n{run.stderr}")
        return run.stdout, run.stderr
