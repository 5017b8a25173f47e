#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A project: glovebox up, ps, logs, status, down.

usage: up_test.py PROGRAM
"""
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "image"))
from images import Image, Registry

PROGRAM = os.path.abspath(sys.argv.pop(1))

PY = """import time
print('loaded')
def process(c):
    print('called', c.actor_id, c.config)
    time.sleep(c.get_input('sleep') or 0)
    return {'out': c.actor_id}
"""
JS = "function process(c) { console.log('in js', c.config); return {out: 1}; }\n"

BASIC = """name = "shop"
[defaults]
isolation = "process"
[scripts.a]
path = "a.py"
[serve]
listen = "127.0.0.1:0"
"""


class Project(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name).resolve()
        self.run_dir = self.folder / "run"
        self.run_dir.mkdir(mode=0o700)
        self.home = self.folder / "shop"
        self.home.mkdir(mode=0o755)
        self.env = {key: value for key, value in os.environ.items()
                    if not key.startswith("GLOVEBOX")}
        self.env["XDG_RUNTIME_DIR"] = str(self.run_dir)
        self.env.setdefault("XDG_CACHE_HOME", str(self.folder / "cache"))
        self.projects = {self.home}
        self.addCleanup(self.end)
        self.write("a.py", PY)

    def end(self):
        for home in self.projects:
            if home.exists():
                self.run_one("down", "--timeout", "0.1s", cwd=home)

    def write(self, name, text, mode=0o644):
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def toml(self, text=BASIC):
        return self.write("glovebox.toml", text)

    def run_one(self, *words, cwd=None, **how):
        return subprocess.run([PROGRAM, *map(str, words)], text=True,
                              capture_output=True, timeout=120,
                              cwd=cwd or self.home, env=self.env, **how)

    def glovebox(self, *words, code=0, **how):
        run = self.run_one(*words, **how)
        self.assertEqual(run.returncode, code,
                         f"{words}\n{run.stdout}\n{run.stderr}")
        return run.stdout, run.stderr

    def ps(self, **how):
        return json.loads(self.glovebox("ps", "--json", **how)[0])

    def ask(self, body, url=None, method="POST", path="/v1/run"):
        host = (url or self.ps()["url"]).removeprefix("http://")
        with contextlib.closing(
                http.client.HTTPConnection(host, timeout=60)) as connection:
            connection.request(method, path, body)
            reply = connection.getresponse()
            return reply.status, reply.read().decode()

    def call(self, actor, **inputs):
        status, text = self.ask(json.dumps({"actor": actor, "inputs": inputs}))
        self.assertEqual(status, 200, text)
        return {o["port"]: o["data"] for o in json.loads(text)["outputs"]}

    def place(self):
        found = list((self.run_dir / "glovebox").iterdir())
        self.assertEqual(len(found), 1)
        return found[0]

    def wait_for(self, fact):
        for _ in range(3000):
            if fact():
                return
            time.sleep(0.01)
        self.fail("it did not come about")


class Life(Project):
    def test_one_command_brings_all_up_and_one_ends_it(self):
        self.write("b.js", JS)
        self.toml("""name = "shop"
[defaults]
isolation = "process"
[scripts.first]
path = "a.py"
pool = {ready = 2, total = 3}
env = {COLOR = "red"}
config = {size = 3}
[scripts.second]
path = "a.py"
envs = ["COLOR=blue=green"]
[scripts.third]
path = "b.js"
memory = "64M"
[serve]
listen = "127.0.0.1:0"
""")
        out, err = self.glovebox("up")
        self.assertRegex(out, r"^shop is up: 3 scripts, http://127.0.0.1:\d+\n")
        self.assertEqual(err, "")
        found = self.ps()
        self.assertTrue(found["is_up"])
        self.assertEqual([s["name"] for s in found["scripts"]],
                         ["first", "second", "third"])
        self.assertGreaterEqual(found["scripts"][0]["ready"], 2)
        self.assertEqual({s["isolation"] for s in found["scripts"]},
                         {"process"})
        self.assertGreater(found["memory_bytes"], 1 << 20)
        self.assertEqual(self.call("first"), {"out": "first"})
        self.assertEqual(self.call("second"), {"out": "second"})
        self.assertEqual(self.call("third"), {"out": 1})
        calls = {s["name"]: s["calls"] for s in self.ps()["scripts"]}
        self.assertEqual(calls, {"first": 1, "second": 1, "third": 1})
        log, _ = self.glovebox("logs")
        self.assertRegex(log, r"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "
                         "first called first "
                         r"\{'size': 3, 'env': \{'COLOR': 'red'\}\}$")
        self.assertIn("second called second {'env': {'COLOR': 'blue=green'}}\n",
                      log)
        self.assertIn(" third in js", log)
        out, _ = self.glovebox("ps")
        self.assertRegex(out, r"(?m)^shop is up \d+s, pid \d+, [\d.]+ MiB, ")
        self.assertRegex(out, r"(?m)^first +process +- ")
        self.assertIn("shop is up, pid ", self.glovebox("status")[0])
        self.assertEqual(self.glovebox("down")[0], "shop is down: 3 scripts\n")
        out, _ = self.glovebox("status", code=3)
        self.assertIn("shop is not up: it was ended", out)
        self.assertFalse(self.ps()["is_up"])
        self.assertEqual(self.glovebox("down")[0], "shop is not up\n")
        # What it printed can still be read.
        self.assertEqual(self.glovebox("logs", "--tail", "1")[0][25:],
                         "gloveboxd it was ended\n")

    def test_a_flow_runs(self):
        def end(place):
            node, port = place.split(".")
            return {"nodeId": node, "portId": port, "portName": port,
                    "expose": False, "portType": {"type": "any"}}
        graph = {"caseSensitive": True, "properties": {"name": "t"},
                 "processes": {"n": {"id": "n", "component": "a"}},
                 "connections": [], "inports": {"go": end("n.in")}}
        self.write("g.json", json.dumps(graph))
        self.toml(BASIC + "[flows.main]\ngraph = 'g.json'\n")
        self.assertIn("1 script, 1 flow", self.glovebox("up")[0])
        status, _ = self.ask("1", path="/v1/flows/main/go")
        self.assertEqual(status, 202)
        self.wait_for(lambda: self.ps()["flows"][0]["nodes"][0]["runs"] == 1)
        out, _ = self.glovebox("ps")
        self.assertRegex(out, r"(?m)^FLOW main: \d+ outputs")
        self.wait_for(lambda: "main called n" in self.glovebox(
            "logs", "main")[0])
        graph["processes"]["n"]["component"] = "b"
        self.write("g.json", json.dumps(graph))
        _, err = self.glovebox("up", "--check", code=2)
        self.assertIn('line 8: [flows.main] runs "b": there is no [scripts.b]',
                      err)
        self.toml(BASIC.replace("[serve]", "[scripts.b]\npath='a.py'\n[serve]")
                  + "[flows.main]\ngraph = 'g.json'\n")
        _, err = self.glovebox("up", "--check", code=2)
        self.assertIn('runs the file of both "b" and "a"', err)

    def test_up_again_applies_what_has_changed(self):
        self.toml()
        self.glovebox("up")
        pid = self.ps()["pid"]
        self.assertEqual(self.glovebox("up")[0],
                         "shop is up already, and nothing has changed\n")
        self.assertEqual(self.ps()["pid"], pid)
        for change, said in [
                (lambda: self.write("a.py", PY + "# more\n"), "script a"),
                (lambda: self.toml(BASIC.replace("[serve]", "wipe = 'never'\n"
                                                 "[serve]")),
                 "what scripts may have"),
                (lambda: self.toml(BASIC + "timeout = 7\n"),
                 "[serve], what scripts may have"),
                (lambda: self.toml(BASIC.replace("shop", "store")),
                 "the name, [serve]")]:
            change()
            out, _ = self.glovebox("up")
            self.assertIn(f"changed: {said}\nit ends, and starts anew\n", out)
            self.assertNotEqual(self.ps()["pid"], pid)
            pid = self.ps()["pid"]

    def test_what_cannot_be_loaded_ends_nothing(self):
        self.toml()
        self.glovebox("up")
        pid = self.ps()["pid"]
        self.write("a.py", "import nothing_of_this_name\n")
        out, err = self.glovebox("up", code=126)
        self.assertEqual(out, "changed: script a\n")
        self.assertIn("a: ModuleNotFoundError: No module named "
                      "'nothing_of_this_name'\n", err)
        self.assertIn("it cannot be loaded; what is up stays as it was", err)
        self.assertEqual(self.ps()["pid"], pid)
        self.assertEqual(self.call("a"), {"out": "a"})
        self.assertNotIn("nothing_of", self.glovebox("logs")[0])
        self.assertFalse((self.place() / "trial.json").exists())
        self.write("a.py", PY)
        self.assertIn("nothing has changed", self.glovebox("up")[0])

    def test_what_is_wrong_changes_nothing_that_is_up(self):
        self.toml()
        self.glovebox("up")
        pid = self.ps()["pid"]
        self.toml(BASIC.replace("isolation", "isolaton"))
        _, err = self.glovebox("up", code=2)
        self.assertIn('line 3: [defaults] has no "isolaton"', err)
        self.assertEqual(self.ps()["pid"], pid)
        self.glovebox("down") # it need not be right to be ended
        (self.home / "glovebox.toml").unlink()
        self.assertIn("shop is not up", self.glovebox(
            "status", "--file", "glovebox.toml", code=3)[0])

    def test_what_runs_may_end_and_is_killed_if_it_does_not(self):
        self.toml()
        self.glovebox("up")
        url = self.ps()["url"]

        def sleep(seconds):
            run = subprocess.Popen(
                ["curl", "-s", "-d", json.dumps(
                    {"actor": "a", "inputs": {"sleep": seconds}}),
                 f"{url}/v1/run"], stdout=subprocess.PIPE, text=True)
            self.wait_for(lambda: self.ps()["scripts"][0]["running"] == 1)
            return run
        with sleep(1) as run:
            out, _ = self.glovebox("down")
            self.assertIn("a runs 1 call, which may end\n", out)
            self.assertIn('"out"', run.stdout.read())
        self.glovebox("up")
        url = self.ps()["url"]
        with sleep(20) as run:
            out, _ = self.glovebox("down", "--timeout", "100ms")
            self.assertIn("and was killed: what ran did not end", out)
        self.assertIn("killed by SIGKILL (9)", self.glovebox("status",
                                                             code=3)[0])

    def test_in_the_foreground_it_prints_the_log_and_ends_with_it(self):
        self.toml()
        with subprocess.Popen([PROGRAM, "up", "--foreground"], cwd=self.home,
                              env=self.env, text=True, bufsize=1,
                              stdout=subprocess.PIPE) as run:
            lines = iter(run.stdout.readline, "")
            self.assertRegex(next(lines), "^shop is up")
            for line in lines:
                if "listens at" in line:
                    break
            self.call("a")
            for line in lines:
                if "called a" in line:
                    break
            run.send_signal(signal.SIGINT)
            self.assertIn("gloveboxd it was ended\n", "".join(lines)[-40:])
            self.assertEqual(run.wait(timeout=60), 0)
        self.glovebox("status", code=3)

    def test_a_script_sees_what_is_mounted(self):
        self.write("data/x", "kept")
        self.write("a.py", "def process(c):\n"
                   "    open('/srv/own/x', 'a').write(' and more')\n"
                   "    return {'out': [open('/srv/x').read(),\n"
                   "                    open('/srv/own/x').read()]}\n")
        self.toml(BASIC.replace("[serve]", "mounts = ['data/x:/srv/x', "
                                "'./data:/srv/own:cow']\n[serve]"))
        self.glovebox("up", cwd=self.home / "data")
        self.assertEqual(self.call("a"), {"out": ["kept", "kept and more"]})
        self.assertEqual((self.home / "data/x").read_text(), "kept")

    def test_with_no_serve_it_listens_nowhere(self):
        self.toml("[scripts.a]\npath = 'a.py'\nisolation = 'process'\n")
        self.assertEqual(self.glovebox("up")[0], "shop is up: 1 script\n")
        self.assertIsNone(self.ps()["url"])
        log, _ = self.glovebox("logs", "gloveboxd")
        self.assertNotIn("listens", log)


class Apart(Project):
    def test_it_works_in_any_folder_of_the_project(self):
        self.toml()
        below = self.home / "x/y"
        below.mkdir(parents=True)
        self.glovebox("up", cwd=below)
        self.assertTrue(self.ps()["is_up"])
        self.assertTrue(self.ps(cwd=self.home / "x")["is_up"])
        self.glovebox("down", cwd=below)
        for words, code in ((["up"], 127), (["ps"], 127), (["status"], 4)):
            _, err = self.glovebox(*words, code=code, cwd=self.folder)
            self.assertIn("there is no glovebox.toml here, nor in a folder "
                          "above", err)

    def test_two_projects_do_not_touch_each_other(self):
        other = self.folder / "other"
        shutil.copytree(self.home, other)
        self.projects.add(other)
        self.toml()
        (other / "glovebox.toml").write_text(BASIC)
        self.glovebox("up")
        self.glovebox("up", cwd=other)
        self.assertNotEqual(self.ps()["pid"], self.ps(cwd=other)["pid"])
        self.call("a")
        self.assertEqual(self.ps(cwd=other)["scripts"][0]["calls"], 0)
        self.glovebox("down")
        self.assertTrue(self.ps(cwd=other)["is_up"])

    def test_what_others_may_write_is_not_believed(self):
        self.toml().chmod(0o666)
        _, err = self.glovebox("up", code=127)
        self.assertIn("others may write there; chmod go-w it", err)
        self.glovebox("up", "--check", "--file", "glovebox.toml")

    def test_two_at_once_start_one(self):
        self.toml()
        runs = [subprocess.Popen([PROGRAM, "up"], cwd=self.home, env=self.env,
                                 stdout=subprocess.PIPE, text=True)
                for _ in range(6)]
        said = [run.communicate(timeout=60)[0] for run in runs]
        self.assertEqual([run.returncode for run in runs], [0] * 6)
        self.assertEqual(sum("is up:" in text for text in said), 1, said)
        self.assertEqual(sum("nothing has changed" in text for text in said),
                         5, said)

    def test_a_daemon_that_was_killed_is_told_of_and_started_anew(self):
        self.toml()
        self.glovebox("up")
        pid = self.ps()["pid"]
        os.kill(pid, signal.SIGKILL)
        self.wait_for(lambda: not self.ps()["is_up"])
        self.assertRegex(self.ps()["how"], r"^it was killed by SIGKILL \(9\)")
        self.assertRegex(self.glovebox("ps")[0],
                         r"^shop is not up: it was killed by SIGKILL")
        self.assertIn("gloveboxd it was killed by SIGKILL", self.glovebox(
            "logs")[0])
        self.assertIn("shop is up: 1 script", self.glovebox("up")[0])
        self.assertNotEqual(self.ps()["pid"], pid)

    def test_without_its_watcher_it_goes_on_and_can_be_ended(self):
        self.toml()
        self.glovebox("up")
        pid = self.ps()["pid"]
        watcher = int(pathlib.Path(f"/proc/{pid}/stat").read_text()
                      .rsplit(")", 1)[1].split()[1])
        os.kill(watcher, signal.SIGKILL)
        self.wait_for(lambda: not os.path.exists(f"/proc/{watcher}/exe"))
        self.assertEqual(self.call("a"), {"out": "a"})
        self.glovebox("down")
        self.assertIn("nobody has seen", self.glovebox("status", code=3)[0])

    def test_a_stale_lock_is_none(self):
        self.toml()
        self.glovebox("up")
        self.glovebox("down")
        # A number of somebody else's, whom nobody may end.
        with subprocess.Popen(["sleep", "60"]) as other:
            (self.place() / "lock").write_text(f"{other.pid}\n")
            self.assertFalse(self.ps()["is_up"])
            self.assertEqual(self.glovebox("down")[0], "shop is not up\n")
            self.glovebox("up")
            self.assertNotEqual(self.ps()["pid"], other.pid)
            self.glovebox("down")
            self.assertIsNone(other.poll())
            other.kill()

    def test_no_descriptor_is_left_to_who_does_not_need_it(self):
        self.toml()
        self.glovebox("up")
        pid = self.ps()["pid"]
        held = [os.readlink(fd) for fd in
                pathlib.Path(f"/proc/{pid}/fd").iterdir()]
        self.assertFalse([one for one in held if one.endswith(("/up", "/ended",
                                                               "/log"))])
        watcher = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(
            ")", 1)[1].split()[1]
        held = [os.readlink(fd) for fd in
                pathlib.Path(f"/proc/{watcher}/fd").iterdir()]
        self.assertFalse([one for one in held if one.endswith(("/up",
                                                               "/lock"))])


class Places(Project):
    def test_a_path_that_no_sockets_name_can_be(self):
        deep = self.run_dir / ("d" * 100) / ("e" * 100)
        deep.mkdir(parents=True, mode=0o700)
        for folder in deep, deep.parent:
            folder.chmod(0o700)
        self.env["XDG_RUNTIME_DIR"] = str(deep)
        self.toml()
        self.glovebox("up")
        self.assertTrue(self.ps()["is_up"])
        self.glovebox("down")

    def test_a_runtime_folder_that_others_may_write_is_refused(self):
        self.toml()
        self.run_dir.chmod(0o777)
        _, err = self.glovebox("up", code=127)
        self.assertIn("others may write or look there; chmod 700 it", err)
        self.run_dir.chmod(0o700)
        (self.run_dir / "glovebox").mkdir(mode=0o755)
        _, err = self.glovebox("up", code=127)
        self.assertIn("run/glovebox: others may write or look there", err)
        (self.run_dir / "glovebox").rmdir()
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir(mode=0o700)
        (self.run_dir / "glovebox").symlink_to(elsewhere)
        _, err = self.glovebox("up", code=127)
        self.assertIn("run/glovebox: not a folder; remove it", err)
        (self.run_dir / "glovebox").unlink()
        self.env["XDG_RUNTIME_DIR"] = "/nowhere/at/all"
        _, err = self.glovebox("up", code=127)
        self.assertIn("unset it, or make it", err)

    def test_what_is_there_is_the_users_alone(self):
        self.toml()
        self.glovebox("up")
        for path in [self.place(), *self.place().iterdir()]:
            self.assertEqual(path.lstat().st_mode & 0o077, 0, path)

    def test_without_a_runtime_folder_it_is_in_tmp(self):
        del self.env["XDG_RUNTIME_DIR"]
        self.toml()
        self.glovebox("up")
        self.assertTrue(self.ps()["is_up"])
        base = pathlib.Path(f"/tmp/glovebox-{os.geteuid()}")
        self.assertEqual(base.stat().st_mode & 0o777, 0o700)
        self.glovebox("down")
        for place in base.iterdir():
            with contextlib.suppress(OSError):
                plan = json.loads((place / "plan.json").read_text())
                if plan["file"] == str(self.home / "glovebox.toml"):
                    shutil.rmtree(place)


class Logs(Project):
    def test_by_name_by_number_and_as_they_come(self):
        self.write("b.py", "def process(c):\n"
                   "    for i in range(5): print('line', i)\n")
        self.toml(BASIC.replace("[serve]",
                                "[scripts.b]\npath = 'b.py'\n[serve]"))
        _, err = self.glovebox("logs", code=127)
        self.assertIn("glovebox up has not run yet", err)
        self.glovebox("up")
        with subprocess.Popen([PROGRAM, "logs", "-f", "b", "--tail", "0"],
                              cwd=self.home, env=self.env, text=True,
                              stdout=subprocess.PIPE) as run:
            self.call("b")
            self.call("a")
            got = [run.stdout.readline()[25:] for _ in range(5)]
            self.assertEqual(got, [f"b line {i}\n" for i in range(5)])
            out, _ = self.glovebox("logs", "--tail", "2", "b")
            self.assertEqual([line[25:] for line in out.splitlines()],
                             ["b line 3", "b line 4"])
            self.glovebox("down")
            self.assertEqual(run.stdout.read(), "")
            self.assertEqual(run.wait(timeout=30), 0)
        _, err = self.glovebox("logs", "nobody", code=2)
        self.assertIn('no script or flow "nobody"', err)

    def test_a_script_forges_no_line(self):
        self.write("b.py", "def process(c):\n    print('x\\na: y\\n\\x1b[2J')\n"
                   "    print('\\0gloveboxd: z', end='')\n")
        self.toml(BASIC.replace("[serve]",
                                "[scripts.b]\npath = 'b.py'\n[serve]"))
        self.glovebox("up")
        self.call("b")
        self.wait_for(lambda: "z" in self.glovebox("logs", "b")[0])
        out, _ = self.glovebox("logs", "b")
        self.assertEqual([line[25:] for line in out.splitlines()],
                         ["b x", "b a: y", "b \x1b[2J", "b ?gloveboxd: z"])

    def test_it_is_bounded(self):
        self.write("b.py", "def process(c): print(('x' * 999 + '\\n') * 6000)\n")
        self.toml(BASIC.replace("[serve]", "limits = {output-limit = '8M'}\n"
                                "[scripts.b]\npath = 'b.py'\n"
                                "limits = {output-limit = '8M'}\n[serve]"))
        self.glovebox("up")
        for _ in range(4):
            self.call("b")
        self.wait_for(lambda: self.glovebox("logs", "--tail", "1")[0])
        files = {path.name: path.stat().st_size
                 for path in self.place().iterdir()
                 if path.name.startswith("log")}
        self.assertEqual(set(files), {"log", "log.1"})
        self.assertTrue(all(size <= 8 << 20 for size in files.values()), files)

    def test_a_full_disk_loses_lines_and_nothing_else(self):
        inside = (
            "set -e\n"
            "mount -t tmpfs -o size=300k,mode=700 tmpfs \"$XDG_RUNTIME_DIR\"\n"
            "\"$1\" up\n"
            "url=$(\"$1\" ps --json | sed -n 's/.*\"url\": \"\\(.*\\)\",*/\\1/p')\n"
            "for i in 1 2 3; do\n"
            "    curl -sf -d '{\"actor\": \"b\"}' \"$url/v1/run\" >/dev/null\n"
            "done\n"
            "place=$(echo \"$XDG_RUNTIME_DIR\"/glovebox/*)\n"
            "\"$1\" status\n"
            "[ -e \"$place/log\" ] && : >\"$place/log\"\n"
            "curl -sf -d '{\"actor\": \"a\"}' \"$url/v1/run\" >/dev/null\n"
            "for i in 1 2 3 4 5 6 7 8 9 10; do\n"
            "    \"$1\" logs | grep lost && break\n"
            "    sleep 0.2\n"
            "done\n"
            "\"$1\" down\n")
        self.write("b.py", "def process(c): print(('x' * 999 + '\\n') * 1000)\n")
        self.toml(BASIC.replace("[serve]",
                                "[scripts.b]\npath = 'b.py'\n[serve]"))
        run = subprocess.run(
            ["unshare", "-rm", "sh", "-c", inside, "sh", PROGRAM], text=True,
            capture_output=True, timeout=120, cwd=self.home, env=self.env)
        if "unshare failed" in run.stderr or "mount" in run.stderr:
            self.skipTest(run.stderr.strip())
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertRegex(run.stdout, r"gloveboxd \d+ lines were lost: No space")

    def test_why_it_does_not_start_is_told(self):
        self.write("a.py", "import nothing_of_this_name\n")
        self.toml()
        _, err = self.glovebox("up", code=125)
        self.assertIn("No module named 'nothing_of_this_name'", err)
        self.assertIn("gloveboxd did not start: it ended with status 69", err)
        self.glovebox("status", code=3)


# Nobody else's, who runs these tests at the same time.
VALUES = [f"8Zx-of-the-environment-Qk4-{os.getpid()}",
          f"9Yw-of-a-file-Rl5-{os.getpid()}"]
ASKER = """import decimal, email.message, html.parser, http.client, json, random
def process(c):
    if c.get_input('sleep'): time.sleep(c.get_input('sleep'))
    try:
        print('knows', len(c.secret('TOKEN')), len(c.secret('KEY')))
        return {'out': [len(c.secret('TOKEN')), len(c.secret('KEY'))]}
    except Exception as e:
        return {'out': str(e)}
"""


class Secrets(Project):
    def setUp(self):
        super().setUp()
        self.env["XDG_CACHE_HOME"] = str(self.folder / "cache")
        self.env["GBX_TEST_TOKEN"] = VALUES[0]
        self.write("kept", VALUES[1] + "\n", 0o600)
        self.write("a.py", ASKER)
        self.toml(BASIC.replace("[serve]", """secrets = ["TOKEN", "KEY"]
wipe = "never"
pool = {ready = 2, total = 2}
[scripts.b]
path = "b.py"
secrets = ["KEY"]
[secrets.KEY]
file = "kept"
[secrets.TOKEN]
env = "GBX_TEST_TOKEN"
[serve]"""))
        self.write("b.py", ASKER)

    def assert_nowhere(self):
        for path in [*self.folder.rglob("*"), *self.place().iterdir()]:
            if path.is_file() and path.name != "kept":
                for value in VALUES:
                    self.assertNotIn(value.encode(), path.read_bytes(), path)
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            for name in ("environ", "cmdline"):
                with contextlib.suppress(OSError):
                    for value in VALUES:
                        self.assertNotIn(value.encode(),
                                         (entry / name).read_bytes(), entry)

    def test_a_script_is_told_those_that_it_was_granted(self):
        self.glovebox("up")
        lengths = [len(value) for value in VALUES]
        self.assertEqual(self.call("a"), {"out": lengths})
        self.assertIn("not granted to this script, which has KEY",
                      self.call("b")["out"])
        self.assert_nowhere()
        self.assertTrue(list((self.folder / "cache").rglob("*")))
        self.glovebox("down")
        self.assert_nowhere()

    def test_another_value_is_a_change(self):
        self.glovebox("up")
        self.assertIn("nothing has changed", self.glovebox("up")[0])
        self.env["GBX_TEST_TOKEN"] = VALUES[0] + "more"
        self.assertIn("changed: secret TOKEN\n", self.glovebox("up")[0])
        self.assertEqual(self.call("a")["out"][0], len(VALUES[0]) + 4)
        self.write("kept", "other\n", 0o600)
        self.assertIn("changed: secret KEY\n", self.glovebox("up")[0])
        self.assertEqual(self.call("a")["out"][1], 5)

    def test_one_that_is_not_there_is_named_and_nothing_is_started(self):
        del self.env["GBX_TEST_TOKEN"]
        _, err = self.glovebox("up", code=127)
        self.assertIn("secret TOKEN: the variable GBX_TEST_TOKEN is not set",
                      err)
        self.assertFalse(self.run_dir.joinpath("glovebox").exists())


@unittest.skipIf(shutil.which("skopeo") is None, "no skopeo here")
class Images(Project):
    def setUp(self):
        super().setUp()
        self.env["XDG_DATA_HOME"] = str(self.folder / "data")
        self.registry = Registry({"a/b:1": self.image(b"first")})
        self.addCleanup(self.registry.server_close)
        self.name = self.registry.host + "/a/b:1"
        self.write("a.py", "def process(c):\n"
                   "    return {'out': open('/etc/motd').read()}\n")
        self.toml(BASIC.replace("[serve]", f"image = '{self.name}'\n[serve]"))

    @staticmethod
    def image(motd):
        """What Python's guest needs, and a file."""
        guest = os.path.join(os.path.dirname(PROGRAM), "libexec",
                             "glovebox-python")
        ldd = subprocess.run(["ldd", guest], capture_output=True, text=True)
        files = [word for word in ldd.stdout.split() if word[0] == "/"]
        files += map(str, pathlib.Path("/usr/lib/python3.11").glob("*.py"))
        return Image([{file[1:]: pathlib.Path(file).read_bytes()
                       for file in files}, {"etc/motd": motd}])

    def test_an_image_that_is_not_there_is_pulled(self):
        self.glovebox("up")
        self.assertEqual(self.call("a"), {"out": "first"})
        self.assertEqual(self.ps()["scripts"][0]["image"], self.name)
        self.assertIn(self.name, self.glovebox("ps")[0])
        sent = len(self.registry.sent)
        self.assertIn("nothing has changed", self.glovebox("up")[0])
        self.assertEqual(len(self.registry.sent), sent)
        # Its name means another one now: that is a change.
        self.registry.images["a/b:1"] = self.image(b"second")
        self.glovebox("image", "pull", self.name)
        self.assertIn("changed: script a", self.glovebox("up")[0])
        self.assertEqual(self.call("a"), {"out": "second"})

    def test_one_that_cannot_be_had_is_named_and_nothing_is_started(self):
        del self.registry.images["a/b:1"]
        _, err = self.glovebox("up", code=127)
        self.assertIn(self.name, err)
        self.assertFalse(self.run_dir.joinpath("glovebox").exists())


if __name__ == "__main__":
    unittest.main()
