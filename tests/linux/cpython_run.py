# SPDX-License-Identifier: Apache-2.0
"""Runs in the micro-VM: CPython's own tests of the modules that are named, as
on a platform without processes, of which there are others (WASI)."""
import os
import sys
import test.support
from test.libregrtest import main

sys.path.pop(0)
os.chdir("/tmp")
test.support.has_subprocess_support = test.support.has_fork_support = False
main()
