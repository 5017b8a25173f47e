#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""system_test.py GLOVEBOX SYSTEM.wasm - a WASI program through the command
line: what its system lets it do, and how it ends."""
import os
import signal
import subprocess
import sys
import time

GLOVEBOX, MODULE = sys.argv[1:3]
failed = 0


def run(*words, options=(), give=""):
    return subprocess.run([GLOVEBOX, "exec", *options, MODULE, *words],
                          input=give, capture_output=True, text=True,
                          timeout=60, check=False)


def check(name, got, want):
    global failed
    good = got == want if not callable(want) else want(got)
    print("ok  " if good else "FAIL", name)
    if not good:
        failed += 1
        print(f"     got {got!r}\n     not {want!r}")


def lines(text):
    return text.strip().split("\n")


done = run("files")
check("files are made, read, moved and removed", lines(done.stdout), [
    "create: ok", "write: ok", "seek: ok", "read: ok", "pread: ok",
    "pwrite: ok", "stat: ok", "10 bytes", "truncate: ok", "mkdir: ok",
    "rename: ok", "link: ok", "symlink: ok", "stat: ok", "3 bytes, 2 links",
    "7 characters of a link", "rmdir: Directory not empty", "unlink: ok",
    "rmdir: ok", "unlink: ok"])
check("and are gone with it", os.path.exists("/tmp/three"), False)
check("a directory is listed in parts", run("list").stdout,
      "40: 00-a-longer-name to 39-a-longer-name\n")
check("nothing else is reached", lines(run("escape").stdout), [
    "open /etc/shadow: No such file or directory",
    "open /usr/bin/new: Read-only file system",
    "open ../../etc/passwd: Capabilities insufficient",
    "absolute link: Capabilities insufficient",
    "link out: ok",
    "open /tmp/out: Capabilities insufficient",
    "open /script/system.wasm: ok",
    "open /script/system.wasm: Read-only file system"])
check("clocks run, and it sleeps", lines(run("clocks").stdout),
      ["sleep: ok", "slept: ok", "now: ok"])
check("standard input is streamed", run("echo", give="a\nb\n").stdout,
      "> a\n> b\n")
check("its environment", lines(run("environ", options=["--env", "A=1"]).stdout),
      lambda got: "A=1" in got and "HOME=/tmp" in got)
done = run("fail")
check("its exit status", (done.returncode, done.stderr), (42, "it failed\n"))
done = run("spin", options=["--timeout", "200ms"])
check("a loop ends at the deadline", (done.returncode, done.stderr),
      (124, "glovebox: the program did not end in time\n"))
done = run("sleep", options=["--timeout", "200ms"])
check("so does a sleep", done.returncode, 124)
done = run("spin", options=["--cpu", "1s"])
check("CPU time is limited", (done.returncode, done.stderr),
      (128 + signal.SIGXCPU,
       "glovebox: the module used its 1 s of CPU time\n"))
done = run("memory", options=["--memory", "64M"])
check("memory is limited", (done.returncode, done.stdout, done.stderr),
      lambda got: got[0] == 128 + signal.SIGKILL and got[1] == "some memory\n"
      and "the module wanted more than its 64 MiB" in got[2])

child = subprocess.Popen([GLOVEBOX, "exec", MODULE, "sleep"])
time.sleep(0.5)
child.send_signal(signal.SIGINT)
check("an interrupt ends a sleep", child.wait(10), 128 + signal.SIGINT)
child = subprocess.Popen([GLOVEBOX, "exec", MODULE, "spin"])
time.sleep(0.5)
child.send_signal(signal.SIGTERM)
check("and a loop", child.wait(10), 128 + signal.SIGTERM)

# More than a pipe holds, to a reader that is slow: nothing is lost.
give = "".join(f"line {i}\n" for i in range(20000))
check("a slow reader gets all of it",
      subprocess.run(f"'{GLOVEBOX}' exec '{MODULE}' echo | (sleep 0.3; wc -l)",
                     shell=True, input=give, capture_output=True, text=True,
                     timeout=60, check=False).stdout.strip(), "20000")
sys.exit(failed > 0)
