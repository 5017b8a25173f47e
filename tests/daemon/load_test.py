#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""gloveboxd under wrk: many clients at once, and none of them is answered
wrongly.

usage: load_test.py GLOVEBOXD
"""
import json
import re
import shutil
import socket
import subprocess
import unittest

from server import DOUBLE, Daemon

# Each answer is looked at; what is wrong is counted in the thread it came to.
ASK = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '%s'
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() wrong = 0 end
function response(status, headers, body)
    if status ~= 200 or not body:find('"data":42', 1, true) then
        wrong = wrong + 1
    end
end
function done()
    local all = 0
    for _, thread in ipairs(threads) do all = all + thread:get("wrong") end
    print("wrong: " .. all)
end
"""


@unittest.skipIf(shutil.which("wrk") is None, "there is no wrk here")
class Load(Daemon):
    def wrk(self, server, path, *words):
        return subprocess.run(
            ["wrk", "-t2", "-c64", "-d3s", "--timeout", "20s", *map(str, words),
             f"http://127.0.0.1:{server.port}{path}"],
            check=True, capture_output=True, text=True).stdout

    def test_all_are_answered_rightly(self):
        server = self.serve("--actor", self.file("double.py", DOUBLE))
        asked = json.dumps({"actor": "double", "inputs": {"in": 21}})
        said = self.wrk(server, "/v1/run", "-s",
                        self.file("ask.lua", ASK % asked))
        self.assertIn("wrong: 0", said)
        self.assertNotIn("Socket errors", said)
        self.assertGreater(int(re.search(r"(\d+) requests in", said)[1]), 0)

    def test_who_says_nothing_does_not_hold_up_the_others(self):
        server = self.serve()
        for _ in range(500):  # each has begun, and never ends
            peer = socket.create_connection(("127.0.0.1", server.port))
            self.addCleanup(peer.close)
            peer.sendall(b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\nX-")
        said = self.wrk(server, "/healthz")
        self.assertNotIn("Socket errors", said)
        self.assertNotIn("Non-2xx", said)


if __name__ == "__main__":
    unittest.main()
