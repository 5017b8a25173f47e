#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Calls through NATS servers that are careful, and through several of them.

usage: secure_test.py GLOVEBOXD CALLER GLOVEBOX-NATS.SO GLOVEBOX
"""
import socket
import subprocess
import time
import unittest

from cluster import DAEMON, GLOVEBOX, SERVER, Cluster, Process


class SecureTest(Cluster):
    def openssl(self, *words):
        subprocess.run(["openssl", *map(str, words)], check=True,
                       cwd=self.folder, capture_output=True)

    def authority(self, name):
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
                     2, "-subj", "/CN=" + name, "-keyout", name + ".key",
                     "-out", name + ".pem")

    def certificate(self, name, authority):
        (self.folder / "ext").write_text("subjectAltName=IP:127.0.0.1")
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj",
                     "/CN=" + name, "-keyout", name + ".key", "-out",
                     name + ".csr")
        self.openssl("x509", "-req", "-days", 2, "-in", name + ".csr", "-CA",
                     authority + ".pem", "-CAkey", authority + ".key",
                     "-CAcreateserial", "-extfile", "ext", "-out",
                     name + ".pem")

    def check(self, caller, number=99):
        caller.say(f"int {number} #1/k {number} 0")
        return caller.await_line(f"done {number}")

    def nodes(self, url):
        return subprocess.run([GLOVEBOX, "nodes", url], check=False,
                              capture_output=True, text=True)

    def test_tls_with_certificates_of_both(self):
        for name in ("ours", "other"):
            self.authority(name)
        self.certificate("server", "ours")
        self.certificate("client", "ours")
        f = self.folder
        self.start_server(config=f"""
            tls {{ cert_file: {f}/server.pem, key_file: {f}/server.key,
                   ca_file: {f}/ours.pem, verify: true }}
            jetstream {{ store_dir: {f}/data }}""")
        at = f"127.0.0.1:{self.port}"
        good = (f"tls://{at}?ca={f}/ours.pem&cert={f}/client.pem"
                f"&key={f}/client.key")
        self.worker(url=good)
        caller = self.caller(url=good)
        caller.load(1, self.echo())
        self.check(caller)
        listed = self.nodes(good)
        self.assertEqual(listed.returncode, 0, listed.stderr)
        for url, words in (
                (f"tls://{at}?ca={f}/other.pem&cert={f}/client.pem"
                 f"&key={f}/client.key", "TLS does not work out"),
                (f"tls://{at}?ca={f}/ours.pem", ""),
                (f"nats://{at}", ""),
                (f"tls://{at}?ca={f}/none.pem", "cannot be read")):
            bad = self.caller(url=url, is_up=False)
            self.assertIn(words, bad.await_line("down"), url)
            refused = self.nodes(url)
            self.assertNotEqual(refused.returncode, 0, url)
            self.assertNotIn("client.key", refused.stderr)

    def test_users_and_what_they_may(self):
        self.start_server(config=f"""
            authorization {{ users: [
              {{ user: worker, password: w1 }},
              {{ user: blind, password: b1,
                 permissions: {{ publish: "nothing" }} }} ] }}
            jetstream {{ store_dir: {self.folder}/data }}""")
        at = f"127.0.0.1:{self.port}"
        self.worker(url=f"nats://worker:w1@{at}")
        caller = self.caller(url=f"nats://worker:w1@{at}")
        caller.load(1, self.echo())
        self.check(caller)
        bad = self.caller(url=f"nats://worker:secret7@{at}", is_up=False)
        line = bad.await_line("down")
        self.assertIn("it refuses the token, user or credentials", line)
        self.assertNotIn("secret7", line)
        # One that may publish nothing is told so, and not left waiting.
        blind = self.caller(url=f"nats://blind:b1@{at}", is_up=False)
        blind.await_line("down", timeout=60)

    def test_several_servers_of_which_one_dies(self):
        ports, routes = [], []
        holders = []
        for _ in range(6):
            one = socket.socket()
            one.bind(("127.0.0.1", 0))
            holders.append(one)
        numbers = [one.getsockname()[1] for one in holders]
        for one in holders:
            one.close()
        ports, routes = numbers[:3], numbers[3:]
        servers = []
        for i in range(3):
            config = self.folder / f"{i}.conf"
            others = ",".join(f'"nats://127.0.0.1:{r}"' for r in routes)
            config.write_text(f"""
                server_name: s{i}
                listen: 127.0.0.1:{ports[i]}
                jetstream {{ store_dir: {self.folder}/data{i} }}
                cluster {{ name: c, listen: 127.0.0.1:{routes[i]},
                           routes: [{others}] }}""")
            servers.append(Process([SERVER, "-c", config]))
            self.addCleanup(servers[i].end)
        url = ("nats://" + ",".join(f"127.0.0.1:{p}" for p in ports) +
               "?replicas=3")
        until = time.monotonic() + 60
        while self.nodes(url).returncode != 0:  # until they have a leader
            self.assertLess(time.monotonic(), until, self.nodes(url).stderr)
            time.sleep(0.5)
        self.worker(url=url)
        caller = self.caller(url=url, is_up=False)
        until = time.monotonic() + 60
        # A stream may have no leader yet; this caller connects once alone.
        while caller.await_line("up 1", "down ").startswith("down"):
            self.assertLess(time.monotonic(), until, caller.said)
            time.sleep(0.5)
            caller = self.caller(url=url, is_up=False)
        caller.load(1, self.echo())
        self.check(caller, 1)
        servers[0].end()  # whoever was connected there goes to another
        for number in range(20, 30):
            self.check(caller, number)


if __name__ == "__main__":
    unittest.main()
