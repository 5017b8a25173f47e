# SPDX-License-Identifier: Apache-2.0
"""A gloveboxd that runs, for the tests of it."""
import asyncio
import contextlib
import http.client
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

import websockets

PROGRAM = os.path.abspath(sys.argv.pop(1))  # of the test's words, the first

DOUBLE = ('@actor(name="double", inports=["in"], outports=["out"])\n'
          "def double(c):\n"
          '    return {"out": c.get_input("in") * 2}\n')
SECRET = "0123456789abcdef0123"


class Server:
    """One that runs, and its address."""

    def __init__(self, *words, fds=(), env=None):
        self.run = subprocess.Popen(
            [PROGRAM, "--isolation", "process", *map(str, words)],
            stderr=subprocess.PIPE, encoding="utf-8", errors="replace",
            pass_fds=fds,
            env={**os.environ, **(env or {})})
        self.said = []
        for line in self.run.stderr:
            self.said.append(line)
            if "listens at" in line:
                self.port = int(line.rsplit(":", 1)[1])
                break
        self.reader = threading.Thread(
            target=lambda: self.said.extend(self.run.stderr))
        self.reader.start()

    def end(self):
        if self.run.poll() is None:
            self.run.terminate()
        code = self.run.wait(timeout=60)
        self.reader.join()
        self.run.stderr.close()
        return code


class Daemon(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def file(self, name, text, mode=0o600):
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def serve(self, *words, **how):
        server = Server("--listen", "127.0.0.1:0", *words, **how)
        self.addCleanup(lambda: self.assertEqual(server.end(), 0, server.said))
        return server

    def ask(self, server, method, path, body=None, token=None, timeout=30):
        connection = http.client.HTTPConnection("127.0.0.1", server.port,
                                                timeout=timeout)
        with contextlib.closing(connection):
            connection.request(method, path, body, {
                "Authorization": f"Bearer {token}"} if token else {})
            reply = connection.getresponse()
            text = reply.read().decode()
        if reply.getheader("content-type") == "application/json":
            return reply.status, json.loads(text)
        return reply.status, text

    def run_script(self, server, script, code=200, **members):
        status, reply = self.ask(server, "POST", "/v1/run", json.dumps(
            {"script": script, **members}))
        self.assertEqual(status, code, reply)
        return reply

    def talk(self, server, *requests, replies=None, **how):
        """What comes for these, sent at once."""
        async def main():
            address = f"ws://127.0.0.1:{server.port}/"
            async with websockets.connect(address, max_size=None,
                                          **how) as peer:
                for one in requests:
                    await peer.send(one if isinstance(one, (str, bytes))
                                    else json.dumps(
                                        {"jsonrpc": "2.0", **one}))
                return [json.loads(await asyncio.wait_for(peer.recv(), 30))
                        for _ in range(replies or len(requests))]
        return asyncio.run(main())

    def exchange(self, server, *sent, replies, pause=0):
        """What comes back: (kind, call, scalar, port, body)."""
        async def main():
            got = []
            address = f"ws://127.0.0.1:{server.port}/"
            async with websockets.connect(address, max_size=None) as peer:
                for one in sent:
                    await peer.send(one)
                    await asyncio.sleep(pause)
                for _ in range(replies):
                    data = await asyncio.wait_for(peer.recv(), 30)
                    (magic, kind, _, _, port, call, actor, scalar,
                     size) = struct.unpack_from("<4sBBBBIIQQ", data)
                    self.assertEqual((magic, actor), (b"GBX1", 0))
                    self.assertEqual(len(data), 32 + port + size)
                    got.append((kind, call, scalar, data[32:32 + port].decode(),
                                data[32 + port:]))
            return got
        return asyncio.run(main())

    @staticmethod
    def graph(nodes, wires, **members):
        def end(place):
            node, port = place.split(".")
            return {"nodeId": node, "portId": port, "portName": port,
                    "expose": False, "portType": {"type": "any"}}
        return json.dumps({
            "caseSensitive": True, "properties": {"name": "t"},
            "processes": {name: {"id": name, "component": component}
                          for name, component in nodes.items()},
            "connections": [{"from": end(a), "to": end(b)} for a, b in wires],
            **{kind: {port: end(place) for port, place in ports.items()}
               for kind, ports in members.items()}})
