# SPDX-License-Identifier: Apache-2.0
"""A NATS server, workers and callers, for the tests of calls through NATS."""
import json
import os
import pathlib
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "daemon"))

DAEMON, CALLER, MODULE, GLOVEBOX = (
    os.path.abspath(word) for word in sys.argv[1:5])
del sys.argv[1:5]
SERVER = shutil.which("nats-server")


def cbor(value):
    """As RFC 8949 has it, of what LOAD is made of."""
    def head(major, count):
        if count < 24:
            return bytes([major << 5 | count])
        size = 1 if count < 1 << 8 else 2 if count < 1 << 16 else 4
        return bytes([major << 5 | 23 + size.bit_length()]) + \
            count.to_bytes(size, "big")
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    return head(5, len(value)) + b"".join(
        cbor(key) + cbor(item) for key, item in value.items())


class Raw:
    """A client of NATS that says whatever it is told to."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.settimeout(10)
        self.file = self.socket.makefile("rb")
        self.info = json.loads(self.file.readline().split(b" ", 1)[1])
        self.write(b'CONNECT {"verbose":false,"headers":true,'
                   b'"no_responders":true}\r\nSUB _INBOX.raw.> 1\r\n')

    def write(self, data):
        self.socket.sendall(data)

    def publish(self, subject, data=b"", headers=None, reply=""):
        head = b""
        if headers is not None:
            head = b"NATS/1.0\r\n" + "".join(
                f"{key}: {value}\r\n" for key, value in headers.items()
            ).encode() + b"\r\n"
        self.write((f"HPUB {subject} {reply} {len(head)} "
                    f"{len(head) + len(data)}\r\n" if head else
                    f"PUB {subject} {reply} {len(data)}\r\n").encode() +
                   head + data + b"\r\n")

    def listen(self, subject):
        self.write(f"SUB {subject} 2\r\n".encode())
        self.flush()

    def flush(self):
        self.write(b"PING\r\n")
        while self.file.readline() != b"PONG\r\n":
            pass

    def next(self):
        """(subject, reply, head and data)"""
        while True:
            line = self.file.readline()
            if line == b"PING\r\n":
                self.write(b"PONG\r\n")
            words = line.decode().split()
            if words and words[0] in ("MSG", "HMSG"):
                data = self.file.read(int(words[-1]) + 2)[:-2]
                sizes = 2 if words[0] == "HMSG" else 1
                rest = words[3:-sizes]
                return words[1], rest[0] if rest else "", data

    def api(self, subject, body=None):
        """JetStream's answer."""
        self.publish("$JS.API." + subject,
                     json.dumps(body).encode() if body is not None else b"",
                     reply="_INBOX.raw.1")
        while True:
            where, _, data = self.next()
            if where == "_INBOX.raw.1":
                return json.loads(data)

    def stream(self, name):
        return self.api("STREAM.INFO." + name)

    def change(self, name, **config):
        said = self.api("STREAM.UPDATE." + name,
                        {**self.stream(name)["config"], **config})
        assert "error" not in said, said

    def close(self):
        self.file.close()
        self.socket.close()


class Process:
    """One that says lines."""

    def __init__(self, words, stdin=None, **env):
        self.run = subprocess.Popen(
            [str(word) for word in words], stdin=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            encoding="utf-8", errors="replace", env={**os.environ, **env})
        self.said, self.lines = [], queue.Queue()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.run.stdout:
            self.said.append(line.rstrip("\n"))
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def await_line(self, *starts, timeout=30):
        """The next line that begins with one of these; others are dropped."""
        until = time.monotonic() + timeout
        while True:
            try:
                line = self.lines.get(timeout=max(
                    0.001, until - time.monotonic()))
            except queue.Empty:
                raise AssertionError((starts, self.said[-20:])) from None
            if line is None:
                raise AssertionError(("it has ended", starts,
                                      self.said[-20:]))
            if line.startswith(starts):
                return line

    def end(self, how=signal.SIGTERM):
        if self.run.poll() is None:
            self.run.send_signal(how)
        code = self.run.wait(timeout=60)
        self.reader.join()
        self.run.stdout.close()
        return code


class Caller(Process):
    """tests/nats/caller.c"""

    def __init__(self, url, *words, **env):
        super().__init__([CALLER, MODULE, url, *words],
                         stdin=subprocess.PIPE, **env)

    def say(self, *lines):
        for line in lines:
            self.run.stdin.write(line + "\n")
        self.run.stdin.flush()

    def close(self):
        self.run.stdin.close()
        code = self.run.wait(timeout=60)
        self.reader.join()
        self.run.stdout.close()
        return code

    def load(self, number, path):
        self.say(f"load {number} {path}")
        self.await_line(f"loaded {number} ", timeout=60)

    def load_failed(self, number, path):
        self.say(f"load {number} {path}")
        return self.failed(number)

    def failed(self, number, timeout=30):
        """(code, flags, [what, traceback, type, message])"""
        line = self.await_line(f"failed-code {number} ", timeout=timeout)
        words = line.split(" ")
        return int(words[2]), int(words[3]), bytes.fromhex(
            words[-1]).decode().split("\0")


@unittest.skipIf(SERVER is None, "nats-server is not installed")
def graph(nodes, *wires):
    """{name: (component, metadata)} and "a.out b.in"."""
    def end(place):
        node, port = place.split(".")
        return {"nodeId": node, "portId": port, "portName": port,
                "expose": False, "portType": {"type": "any"}}
    return json.dumps({
        "caseSensitive": True, "properties": {"name": "t"}, "inports": {},
        "outports": {}, "groups": [], "processes": {
            name: {"id": name, "component": component, "metadata": metadata}
            for name, (component, metadata) in nodes.items()},
        "connections": [{"from": end(wire.split()[0]),
                         "to": end(wire.split()[1]), "metadata": None}
                        for wire in wires]})


class Cluster(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self.port}"
        self.server = None
        self.addCleanup(self.stop_server)

    def start_server(self, *words, config=None):
        words = [SERVER, "-a", "127.0.0.1", "-p", self.port, *words]
        if config is not None:
            path = self.folder / "nats.conf"
            path.write_text(config)
            words += ["-c", path]
        else:
            words += ["-js", "-sd", self.folder / "data"]
        self.server = Process(words)
        self.server.await_line("[") and self.await_port()

    def await_port(self):
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(self.server.said)

    def stop_server(self, how=signal.SIGTERM):
        if self.server is not None:
            self.server.end(how)
        self.server = None

    def worker(self, *words, url=None, listen="none", **env):
        one = Process([DAEMON, "--isolation", "process", "--listen", listen,
                       "--worker", url or self.url, *words],
                      TMPDIR=str(self.folder), **env)
        self.addCleanup(self.end_worker, one)
        one.await_line("gloveboxd: takes calls")
        return one

    def kill_worker(self, one):
        """As if its computer was off; what it leaves is in our folder."""
        one.end(signal.SIGKILL)

    def raw(self):
        one = Raw(self.port)
        self.addCleanup(one.close)
        return one

    def await_stream(self, raw, name, messages, timeout=30):
        until = time.monotonic() + timeout
        while raw.stream(name)["state"]["messages"] != messages:
            self.assertLess(time.monotonic(), until, raw.stream(name))
            time.sleep(0.05)

    def end_worker(self, one):
        if one.run.poll() is None:
            self.assertEqual(one.end(), 0, one.said)
        elif not one.run.stdout.closed:
            one.end()

    def caller(self, *words, url=None, is_up=True, **env):
        one = Caller(url or self.url, *words, **env)
        self.addCleanup(lambda: one.run.poll() is None and one.close())
        if is_up:
            one.await_line("up 1")
        return one

    def script(self, name, text):
        """A file with what a LOAD of this script carries."""
        path = self.folder / (name + ".load")
        path.write_bytes(cbor({"load": {"file": name, "source": text}}))
        return path

    def echo(self, name="echo.py"):
        return self.script(name, "import time\n"
                           "def process(c):\n"
                           "    v = c.get_input('in')\n"
                           "    if v == 7: time.sleep(20)\n"
                           "    if v == 6: time.sleep(3)\n"
                           "    if v == 8: raise ValueError('eight')\n"
                           "    if v == 9: print('nine')\n"
                           "    return {'out': v}\n")
