#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Three hosts on a network of their own, one of which is cut off and heals.

Each gloveboxd is in a network namespace; the caller is in a fourth.  Needs root
and ip(8), else it is skipped.

usage: netns_test.py GLOVEBOXD GLOVEBOX
"""
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

DAEMON, GLOVEBOX = map(os.path.abspath, sys.argv[1:3])
del sys.argv[1:3]
SECRET = "0123456789abcdef0123"
WORK = ("import time\n"
        "def process(c):\n"
        "    time.sleep(0.01)\n"
        "    return {'out': c.state.increment('n')}\n")


def sh(*words):
    subprocess.run([str(word) for word in words], check=True,
                   capture_output=True)


def lacks():
    """Why it cannot be tested here, or None."""
    if os.getuid() != 0 or shutil.which("ip") is None:
        return "this needs root and ip(8)"
    name = f"gbx{os.getpid()}try"
    try:
        sh("ip", "netns", "add", name)
        sh("ip", "netns", "exec", name, "true")
        sh("ip", "-n", name, "link", "add", "veth0", "type", "veth", "peer",
           "name", "veth1")
    except subprocess.CalledProcessError as why:
        return f"no network namespaces here: {why.stderr.decode().strip()}"
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False,
                       capture_output=True)
    return None


class Network:
    """Host 0 is the caller's; 1, 2 and 3 have a link to it."""

    def __init__(self, count, stack):
        self.names = [f"gbx{os.getpid()}h{n}" for n in range(count)]
        for name in self.names:
            sh("ip", "netns", "add", name)
            stack.callback(sh, "ip", "netns", "del", name)
            sh("ip", "-n", name, "link", "set", "lo", "up")
        for n, name in enumerate(self.names[1:], 1):
            sh("ip", "-n", name, "link", "add", "eth0", "type", "veth", "peer",
               "name", f"to{n}", "netns", self.names[0])
            for where, link, end in ((self.names[0], f"to{n}", 1),
                                     (name, "eth0", 2)):
                sh("ip", "-n", where, "addr", "add", f"10.99.{n}.{end}/24",
                   "dev", link)
                sh("ip", "-n", where, "link", "set", link, "up")

    @staticmethod
    def address(n):
        return f"10.99.{n}.2"

    def on(self, n, *words):
        return ["ip", "netns", "exec", self.names[n], *map(str, words)]

    def cut(self, n, is_cut):
        sh("ip", "-n", self.names[0], "link", "set", f"to{n}",
           "down" if is_cut else "up")


class NetnsTest(unittest.TestCase):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.network = Network(4, self.stack)
        self.write("tokens", f"ann {SECRET}\n")
        self.write("token", SECRET)
        self.write("s.py", WORK)
        sh("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
           "-keyout", self.path("key"), "-out", self.path("cert"), "-days",
           "2", "-subj", "/CN=hosts", "-addext", "subjectAltName=" + ",".join(
               f"IP:{self.network.address(n)}" for n in (1, 2, 3)))

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            os.chmod(self.path(name), 0o600)
            file.write(text)

    def start(self, n):
        run = subprocess.Popen(self.network.on(
            n, DAEMON, "--isolation", "process", "--listen",
            f"{self.network.address(n)}:5556", "--workers", "2", "--tokens",
            self.path("tokens"), "--cert", self.path("cert"), "--key",
            self.path("key")), stderr=subprocess.PIPE, encoding="utf-8")
        for line in run.stderr:
            if "listens at" in line:
                break
        threading.Thread(target=run.stderr.read, daemon=True).start()
        self.stack.callback(self.end, run)
        return run

    @staticmethod
    def end(run):
        run.terminate()
        run.wait(30)
        run.stderr.close()

    def test_one_is_cut_off_and_heals(self):
        """All calls are answered, each once, and its state counts each once."""
        for n in (1, 2, 3):
            self.start(n)
        calls = 1200
        caller = subprocess.Popen(self.network.on(
            0, GLOVEBOX, "run", self.path("s.py"), "--no-config", "--no-cache",
            "--idempotent", "--repeat", calls, "--parallel", 6, "--wipe",
            "on-error", "--remote-token", self.path("token"), "--remote-ca",
            self.path("cert"), "--remote-heartbeat", "300ms", "--json",
            *(word for n in (1, 2, 3) for word in (
                "--remote", f"wss://{self.network.address(n)}:5556"))),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
        # Short: TCP carries on.  Long: it is given up, and comes back.
        for seconds in (0.3, 2.0):
            time.sleep(0.7)
            self.network.cut(2, True)
            time.sleep(seconds)
            self.network.cut(2, False)
        out, err = caller.communicate(timeout=120)
        self.assertEqual(caller.returncode, 0, err)
        numbers = [int(line.split('"data":')[1].rstrip("}"))
                   for line in out.splitlines()]
        self.assertEqual(sorted(numbers), list(range(1, calls + 1)))

    def test_what_may_not_run_twice_is_unknown_and_never_lost(self):
        self.start(1)
        self.write("slow.py", "import time\n"
                   "def process(c):\n"
                   "    time.sleep(3)\n"
                   "    return {'out': 1}\n")
        caller = subprocess.Popen(self.network.on(
            0, GLOVEBOX, "run", self.path("slow.py"), "--no-config",
            "--remote", f"wss://{self.network.address(1)}:5556",
            "--remote-token", self.path("token"), "--remote-ca",
            self.path("cert"), "--remote-heartbeat", "300ms"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
        time.sleep(1)
        self.network.cut(1, True)
        # Its answer is on its way when the network heals: nobody takes it.
        time.sleep(3)
        self.network.cut(1, False)
        out, err = caller.communicate(timeout=60)
        self.assertEqual((caller.returncode, out), (125, ""))
        self.assertIn("silent for 900 ms", err)
        self.assertIn("whether the call ran is not known", err)


if __name__ == "__main__":
    reason = lacks()
    if reason is not None:
        print(reason)
        sys.exit(77)
    unittest.main()
