#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Calls through NATS where the wall clocks of workers and callers jump.

usage: clock_test.py DAEMON CALLER MODULE GLOVEBOX
"""
import os
import pathlib
import subprocess
import sys
import unittest

from cluster import Cluster, GLOVEBOX

sys.path.append(str(pathlib.Path(__file__).parents[1] / "daemon"))
import faked


@unittest.skipIf(not faked.FOUND, "faketime is not installed")
class Clocks(Cluster):
    def clock(self, seconds=None):
        """None: it jumps all the time."""
        clock = faked.Clock()
        self.addCleanup(clock.end)
        if seconds is None:
            clock.go_wild()
        else:
            clock.jump(seconds)
        return clock.env

    def storm(self, *workers, caller):
        self.start_server()
        for env in workers:
            self.worker("--workers", 2, **env)
        one = self.caller(**caller)
        one.load(1, self.echo())
        one.say("storm #1/k 3 16 0")
        self.assertRegex(one.await_line("storm sent", timeout=60),
                         "failed=0 wrong=0 twice=0 open=0", one.said[2:])

    def test_clocks_may_be_years_apart(self):
        self.storm(self.clock(10 ** 8), self.clock(-10 ** 8),
                   caller=self.clock(0))

    def test_clocks_may_jump(self):
        self.storm(self.clock(), self.clock(), caller=self.clock())

    def test_workers_are_listed_all_the_same(self):
        self.start_server()
        self.worker("--workers", 2, **self.clock(10 ** 8))
        for seconds in (10 ** 8, -10 ** 8):
            run = subprocess.run(
                [GLOVEBOX, "nodes", self.url],
                env={**os.environ, **self.clock(seconds)},
                capture_output=True, encoding="utf-8", timeout=30, check=True)
            self.assertEqual(len(run.stdout.splitlines()), 2, run.stdout)


if __name__ == "__main__":
    unittest.main()
