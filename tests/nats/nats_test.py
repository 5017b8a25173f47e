#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Calls through NATS: gloveboxd --worker, and glovebox-nats.so.

usage: nats_test.py DAEMON CALLER MODULE GLOVEBOX
"""
import unittest

from cluster import Cluster


class NatsTest(Cluster):
    def test_a_call_goes_there_and_back(self):
        self.start_server()
        self.worker("--workers", 2)
        caller = self.caller()
        caller.load(1, self.echo())
        caller.say("int 5 #1/k 42 0")
        self.assertEqual(caller.await_line("output", "failed"),
                         "output 5 out 3 42")
        caller.await_line("done 5")
        self.assertEqual(caller.close(), 0)


if __name__ == "__main__":
    unittest.main()
