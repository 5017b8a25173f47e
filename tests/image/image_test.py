#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Images, as people meet them: pulled, listed, run, removed; damaged, hostile,
cut off, killed.

usage: image_test.py PROGRAM
"""
import fcntl
import gzip
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

import images
from images import Image, Registry, write_layout

PROGRAM = os.path.abspath(sys.argv.pop(1))
SMALL = {"bin/x": b"program", "etc/motd": b"hello"}


def has_kvm():
    return os.access("/dev/kvm", os.R_OK | os.W_OK)


def du(folder):
    """What it has on the disk, each file once."""
    return sum({(st.st_dev, st.st_ino): st.st_blocks * 512
                for st in (os.lstat(os.path.join(root, name))
                           for root, dirs, files in os.walk(folder)
                           for name in dirs + files)}.values())


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.store = self.folder / "store"

    def image(self, *words, code=0, says=None, **options):
        run = subprocess.run(
            [PROGRAM, "image", *map(str, words), "--store", str(self.store)],
            capture_output=True, text=True, timeout=60, **options)
        self.assertEqual(run.returncode, code, run.stdout + run.stderr)
        if says is not None:
            self.assertIn(says, run.stderr if code else run.stdout)
        return run.stdout

    def pull(self, image, tag="latest", **options):
        folder = write_layout(self.folder / "layout", {tag: image})
        return self.image("pull", f"oci:{folder}", **options)

    def inspect(self, reference):
        return json.loads(self.image("inspect", reference, "--json"))

    def list(self):
        return json.loads(self.image("ls", "--json"))

    def root(self, reference):
        return pathlib.Path(self.inspect(reference)["root"])

    def layout(self):
        return f"oci:{self.folder / 'layout'}"

    def drafts(self):
        return os.listdir(self.store / "drafts")


class Local(Case):
    def test_a_layout_is_pulled_listed_and_removed(self):
        image = Image([SMALL, {"etc/.wh.motd": b"", "etc/y": b"two"}],
                      {"Env": ["A=1"], "Cmd": ["x"], "WorkingDir": "/etc",
                       "User": "1000", "Entrypoint": ["/bin/x"]})
        self.pull(image)
        self.assertEqual(len(self.list()), 1)
        facts = self.inspect(self.layout())
        self.assertEqual(facts["digest"], image.digest)
        self.assertEqual(facts["manifest"], image.manifest)
        self.assertEqual(facts["run"], {
            "entrypoint": ["/bin/x"], "command": ["x"], "env": ["A=1"],
            "workdir": "/etc", "user": "1000"})
        root = pathlib.Path(facts["root"])
        self.assertEqual(os.listdir(root / "etc"), ["y"])
        self.assertEqual((root / "bin/x").read_bytes(), b"program")
        self.image("verify")
        self.image("rm", image.digest[:20])
        self.assertEqual(self.list(), [])
        self.assertFalse(root.exists())
        self.assertEqual(os.listdir(self.store / "blobs" / "sha256"), [])

    def test_one_layer_alone_is_the_root(self):
        self.pull(Image([SMALL]))
        self.assertEqual(self.root(self.layout()).parent.parent.name, "layers")
        self.assertEqual(os.listdir(self.store / "roots"), [])

    def test_an_image_without_layers_is_an_empty_root(self):
        self.pull(Image([]))
        self.assertEqual(os.listdir(self.root(self.layout())), [])

    def test_layers_are_shared_and_unpacked_once(self):
        self.pull(Image([SMALL, {"a": b"a"}]))
        layers = self.store / "layers"
        before = {name: os.stat(layers / name).st_ino
                  for name in os.listdir(layers)}
        self.pull(Image([SMALL, {"b": b"b"}]))
        after = {name: os.stat(layers / name).st_ino
                 for name in os.listdir(layers)}
        self.assertEqual(len(after), 3)
        self.assertEqual({n: after[n] for n in before}, before)

    def test_an_archive_of_docker_is_pulled(self):
        path = self.folder / "saved.tar"
        images.write_archive(path, {"a/b:1": Image([SMALL, {"z": b"z"}]),
                                    "c:latest": Image([SMALL])})
        self.image("pull", f"docker-archive:{path}", code=127, says="a/b:1")
        self.image("pull", f"docker-archive:{path}:a/b:1", "--name", "mine")
        self.assertEqual((self.root("mine") / "z").read_bytes(), b"z")
        self.image("pull", f"docker-archive:{path}:docker.io/library/c")
        gz = self.folder / "saved.tar.gz"
        gz.write_bytes(gzip.compress(path.read_bytes()))
        first = self.inspect(f"docker-archive:{path}:a/b:1")["digest"]
        self.image("pull", f"docker-archive:{gz}:a/b:1")
        self.assertEqual(
            self.inspect(f"docker-archive:{gz}:a/b:1")["digest"], first)

    def test_layers_may_be_zstd_or_plain(self):
        self.pull(Image([SMALL], pack=bytes))
        self.assertTrue((self.root(self.layout()) / "bin/x").exists())
        if shutil.which("zstd") is None:
            self.skipTest("no zstd here")
        self.pull(Image([SMALL, {"b": b"b"}], pack=lambda data: subprocess.run(
            ["zstd", "-c"], input=data, capture_output=True).stdout))
        self.assertTrue((self.root(self.layout()) / "b").exists())

    def test_an_index_has_one_for_each_platform(self):
        ours, other = Image([SMALL]), Image([SMALL], architecture="arm64")
        whole = images.index_of({"arm64": other, "amd64": ours})
        self.pull(whole)
        self.assertEqual(self.inspect(self.layout())["digest"], ours.digest)
        self.image("pull", self.layout(), "--platform", "linux/arm64")
        self.assertEqual(self.inspect(self.layout())["digest"], other.digest)
        self.pull(images.index_of({"arm64": other}), code=125,
                  says="it has linux/arm64")
        self.pull(other, code=125, says="is for linux/arm64")
        self.image("pull", self.layout(), "--platform", "x", code=2,
                   says="linux/amd64")

    def test_a_name_that_moves_leaves_the_old_image(self):
        old, new = Image([SMALL]), Image([SMALL, {"new": b"new"}])
        self.pull(old)
        self.pull(new)
        self.assertEqual({i["digest"]: i["name"] is None for i in self.list()},
                         {old.digest: True, new.digest: False})
        self.assertTrue(self.root(old.digest).exists())
        self.image("prune", says="1 images")
        self.assertEqual([i["digest"] for i in self.list()], [new.digest])
        self.assertTrue((self.root(self.layout()) / "new").exists())

    def test_prune_frees_what_it_says(self):
        for number in range(3):
            self.pull(Image([{"big": os.urandom(1 << 20)}, {"n": b"%d" % number,
                                                           "d/e/f": b"x"}]))
        before = du(self.store)
        said = json.loads(self.image("prune", "--json"))
        self.assertEqual(len(said["images"]), 2)
        self.assertEqual(said["freed"], before - du(self.store))
        before = du(self.store)
        said = json.loads(self.image("prune", "--all", "--json"))
        self.assertEqual(said["freed"], before - du(self.store))
        self.assertEqual(os.listdir(self.store / "layers"), [])

    def test_what_is_in_use_stays(self):
        self.pull(Image([SMALL, {"a": b"a"}]))
        root = self.root(self.layout()).parent
        held = os.open(root, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_SH)
        self.image("rm", self.layout(), code=125, says="in use")
        self.image("prune", "--all", says="0 images")
        os.close(held)
        self.image("rm", self.layout())

    def test_who_removes_and_verifies_waits_for_pulls(self):
        self.pull(Image([SMALL]))
        acts = (["verify"], ["prune"], ["rm", self.layout()])
        held = os.open(self.store / "locks/store", os.O_RDWR)
        fcntl.flock(held, fcntl.LOCK_SH)  # as a pull does
        for act in acts:
            self.image(*act, code=125, says="a pull is under way")
        self.pull(Image([SMALL]))  # others are not in its way
        for act in acts:
            fcntl.flock(held, fcntl.LOCK_SH)
            with subprocess.Popen(
                    [PROGRAM, "image", *act, "--store", str(self.store)],
                    stdout=subprocess.DEVNULL) as run:
                time.sleep(0.1)
                fcntl.flock(held, fcntl.LOCK_UN)
                self.assertEqual(run.wait(timeout=60), 0)
        os.close(held)
        self.assertEqual(self.list(), [])

    def test_a_name_more_goes_alone(self):
        self.pull(Image([SMALL]))
        self.image("pull", self.layout(), "--name", "mine:1")
        self.assertEqual(len(self.list()), 2)
        self.image("rm", "mine:1")
        self.assertEqual(len(self.list()), 1)
        self.image("rm", "mine:1", code=127, says="no image")
        self.image("pull", self.layout(), "--name", "Mine", code=2,
                   says="lower case")

    def python_root(self, motd):
        """A folder with all that Python needs, and a file."""
        root = self.folder / motd
        guest = os.path.join(os.path.dirname(PROGRAM), "libexec",
                             "glovebox-python")
        ldd = subprocess.run(["ldd", guest], capture_output=True, text=True)
        files = [word for word in ldd.stdout.split() if word[0] == "/"]
        for file in files:
            copy = root / file[1:]
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
        shutil.copytree("/usr/lib/python3.11", root / "usr/lib/python3.11",
                        symlinks=True, ignore=shutil.ignore_patterns(
                            "test", "__pycache__", "config-*", "*dist*"))
        (root / "etc").mkdir()
        (root / "etc/motd").write_text(motd)
        os.chmod(self.folder, 0o755)
        return root

    READER = ("def process(c):\n"
              "    old = open('/etc/motd').read()\n"
              "    open('/etc/motd', 'w').write('new')\n"
              "    c.send('out', old + open('/etc/motd').read())\n")

    def test_python_sees_a_root_in_a_process(self):
        root = self.python_root("old")
        script = self.folder / "x.py"
        script.write_text(self.READER)
        for more, count in ([], 1), (["--repeat", "3", "--parallel", "2"], 3):
            run = subprocess.run(
                [PROGRAM, "run", "--image", f"rootfs:{root}", "--no-cache",
                 "--isolation", "process", *more, str(script)],
                capture_output=True, text=True, timeout=60)
            self.assertEqual(run.stdout, 'out: "oldnew"\n' * count, run.stderr)
        self.assertEqual((root / "etc/motd").read_text(), "old")

    def test_an_image_may_stand_in_the_configuration(self):
        store = self.folder / "data/glovebox/images"
        self.store = store
        layout = write_layout(self.folder / "layout", {
            "1": Image([SMALL]), "2": Image([{"etc/motd": b"other"}])})
        for name in "one", "two":
            (self.folder / name).with_suffix(".py").write_text(self.READER)
        config = self.folder / "c.json"

        def run(script, one, *words):
            config.write_text(json.dumps({"rules": [
                {"match": "**/one.py", "image": one},
                {"match": "**/two.py",
                 "image": f"rootfs:{self.folder}/second"}]}))
            return subprocess.run(
                [PROGRAM, *words, str(self.folder / script), "--config",
                 str(config), "--isolation", "process"],
                capture_output=True, text=True, timeout=60,
                env={**os.environ, "XDG_DATA_HOME": str(self.folder / "data")})
        run_it = ("run", "--no-cache")
        done = run("one.py", "no/such:1", *run_it)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("glovebox image pull gets it", done.stderr)
        # One in the store is there, and is no Python's.
        self.image("pull", f"oci:{layout}:1", "--name", "app")
        done = run("one.py", "app", *run_it)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("An image needs glibc", done.stderr)
        # Two scripts, each with its own.
        for name in "first", "second":
            self.python_root(name)
        first = f"rootfs:{self.folder}/first"
        self.assertEqual(run("one.py", first, *run_it).stdout,
                         'out: "firstnew"\n')
        self.assertEqual(run("two.py", first, *run_it).stdout,
                         'out: "secondnew"\n')


class Hostile(Case):
    def bad(self, image, says, code=2):
        self.pull(image, code=code, says=says)
        self.assertEqual(self.drafts(), [])
        self.assertEqual(os.listdir(self.store / "images"), [])

    def test_tricks_in_names_are_refused(self):
        self.bad(Image([{"../../../../../../tmp/out": b"x"}]), '".."')
        self.bad(Image([{"h": ("hard", "../../../../etc/passwd")}]), '".."')
        self.pull(Image([{"etc": None, "l": ("link", "/etc"),
                          "l/made": b"x"}]))
        self.assertTrue((self.root(self.layout()) / "etc/made").exists())
        self.assertFalse(os.path.exists("/etc/made"))

    def test_a_bomb_is_named(self):
        zeros = gzip.compress(bytes(1 << 20)) * 1024 # 1 GiB in 1 MiB
        image = Image([SMALL])
        image.layers = [image.put(zeros, images.OCI + "layer.v1.tar+gzip")]
        image.make()
        self.bad(image, "bomb", code=3)
        self.pull(Image([SMALL]))
        self.image("rm", self.layout())
        image = Image([{"big": bytes(4 << 20)}])
        write_layout(self.folder / "layout", {"latest": image})
        self.image("pull", self.layout(), "--max-size", "1M", code=3,
                   says="--max-size")
        self.image("pull", self.layout())

    def test_what_lies_is_refused(self):
        image = Image([SMALL])
        layer = image.layers[0]
        data = image.blobs[layer["digest"]]
        image.blobs[layer["digest"]] = data[:-1]
        self.bad(image, "has the digest")
        image = Image([SMALL])
        image.layers[0]["size"] += 1
        image.make()
        self.bad(image, "its manifest says")
        image = Image([SMALL])
        image.config["rootfs"]["diff_ids"][0] = images.digest_of(b"other")
        image.make()
        self.bad(image, "unpacks to")
        image = Image([SMALL])
        image.config["rootfs"]["diff_ids"] = []
        image.make()
        self.bad(image, "number of layers")
        image = Image([b"no tar, but more than a block" * 100])
        self.bad(image, "is no archive")
        data = gzip.compress(images.tar(SMALL))
        image = Image([SMALL])
        image.layers = [image.put(data[:-20], images.OCI + "layer.v1.tar")]
        image.make()
        self.bad(image, "")

    def test_manifests_of_other_kinds_are_refused(self):
        image = Image([SMALL])
        image.layers[0]["mediaType"] = images.OCI + "layer.v1.squashfs"
        image.make()
        self.bad(image, "squashfs", code=125)
        image = Image([SMALL] * 300)
        self.bad(image, "more than 256 layers", code=3)
        image = Image([SMALL])
        image.digest = image.put(b"{}", "x")["digest"]
        image.descriptor = image.put(b"{}", "x")
        self.bad(image, "no layers")
        image.descriptor = image.put(b"[[[", "x")
        self.bad(image, "no JSON")

    def test_a_layout_without_its_parts_says_which(self):
        folder = write_layout(self.folder / "layout", {"a": Image([SMALL]),
                                                       "b": Image([])})
        self.image("pull", self.layout(), code=2, says="one of a, b")
        self.image("pull", self.layout() + ":c", code=127, says="there is a")
        self.image("pull", self.layout() + ":a")
        shutil.rmtree(folder / "blobs")
        self.image("pull", self.layout() + ":b", code=127, says="OCI layout?")
        self.image("pull", f"oci:{self.folder}/none", code=127, says="No such")
        self.image("pull", "Upper", code=2, says="lower case")
        self.image("pull", "rootfs:/", code=2, says="where it lies")


class Store(Case):
    def test_twenty_pulls_at_once_do_each_thing_once(self):
        image = Image([{"big": os.urandom(2 << 20)}, SMALL, {"z": b"z"}])
        folder = write_layout(self.folder / "layout", {"latest": image})
        pulls = [subprocess.Popen(
            [PROGRAM, "image", "pull", f"oci:{folder}", "--store",
             str(self.store)], stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE) for _ in range(20)]
        for pull in pulls:
            _, said = pull.communicate(timeout=60)
            self.assertEqual(pull.returncode, 0, said)
        self.assertEqual(len(os.listdir(self.store / "layers")), 3)
        self.assertEqual(self.drafts(), [])
        self.image("verify")

    def test_whoever_is_killed_leaves_nothing_but_drafts(self):
        image = Image([{f"{n}": os.urandom(30000) for n in range(100)},
                       {"z": b"z"}])
        folder = write_layout(self.folder / "layout", {"latest": image})
        for step in range(15):
            pull = subprocess.Popen(
                [PROGRAM, "image", "pull", f"oci:{folder}", "--store",
                 str(self.store)], stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
            time.sleep(step * 0.006)
            pull.send_signal(signal.SIGKILL)
            pull.wait()
        self.image("pull", self.layout())
        self.image("verify")
        self.image("prune")
        self.assertEqual(self.drafts(), [])
        self.assertEqual(len(list(self.root(self.layout()).iterdir())), 101)

    def damage(self, path):
        with open(path, "r+b") as file:
            file.seek(20)
            file.write(b"damage")

    def test_damage_is_found_and_a_pull_repairs_it(self):
        image = Image([{"f": bytes(1000)}, SMALL])
        self.pull(image)
        root = self.root(self.layout())
        for damaged in (image.layers[0]["digest"], image.digest,
                        image.manifest["config"]["digest"]):
            self.damage(self.store / "blobs/sha256" / damaged[7:])
            self.image("verify", code=1, says="damaged")
            self.image("pull", self.layout())
            self.image("verify")
        self.damage(root / "f")
        self.assertIn("/f", self.image("verify", code=1))
        self.image("pull", self.layout())
        self.image("verify")
        self.assertEqual((self.root(self.layout()) / "f").read_bytes(),
                         bytes(1000))
        record = next((self.store / "images").iterdir())
        record.write_text("{}")
        self.image("verify", code=1)
        self.image("inspect", self.layout(), code=2, says="pull")
        self.image("pull", self.layout())
        self.image("verify")

    def test_what_was_not_on_the_disk_in_time_is_made_anew(self):
        self.pull(Image([SMALL, {"z": b"z"}]))
        root = self.root(self.layout())
        wait = time.monotonic() + 30
        while not (root.parent / "kept").exists():
            self.assertLess(time.monotonic(), wait)
            time.sleep(0.02)
        for name in ("kept", "boot"):  # as if the computer had gone down
            for path in self.store.glob(f"*/*/{name}"):
                path.unlink()
        (root / "z").unlink()
        self.image("inspect", self.layout(), code=2, says="went down")
        self.image("pull", self.layout())
        self.assertEqual((self.root(self.layout()) / "z").read_bytes(), b"z")
        self.image("verify")

    def test_a_full_disk_is_said_and_leaves_nothing(self):
        self.pull(Image([SMALL]))
        folder = write_layout(self.folder / "layout", {
            "latest": Image([{"big": os.urandom(3 << 20)}])})
        small = self.folder / "small"
        small.mkdir()
        run = subprocess.run(
            ["unshare", "-rm", "sh", "-c",
             f"mount -t tmpfs -o size=4m,mode=700 none {small} || exit 77; "
             f"{PROGRAM} image pull oci:{folder} --store {small}/store; s=$?;"
             f"ls {small}/store/drafts; exit $s"],
            capture_output=True, text=True)
        if run.returncode == 77:
            self.skipTest("no tmpfs of our own here")
        self.assertEqual(run.returncode, 125, run.stderr)
        self.assertIn("No space left", run.stderr)
        self.assertEqual(run.stdout, "")

    def test_a_store_that_others_may_write_is_refused(self):
        self.store.mkdir()
        os.chmod(self.store, 0o777)
        self.image("ls", code=127, says="others may write")


@unittest.skipIf(shutil.which("skopeo") is None, "no skopeo here")
class Pull(Case):
    """From a registry that does what a test wants."""

    def setUp(self):
        super().setUp()
        self.big = Image([{"big": os.urandom(300000)}, SMALL, {"z": b"z"}])
        self.registry = Registry({"a/b:1": self.big})
        self.addCleanup(self.registry.server_close)
        self.name = self.registry.host + "/a/b:1"

    def fault(self, number, fault):
        self.registry.faults[self.big.layers[number]["digest"]] = fault

    def test_an_image_is_pulled_by_tag_and_digest(self):
        self.image("pull", self.name, says=self.big.digest)
        self.assertTrue((self.root(self.name) / "big").exists())
        self.image("verify")
        self.image("prune", "--all")
        self.image("pull", f"{self.registry.host}/a/b@{self.big.digest}")
        self.assertEqual(len(self.list()), 1)

    def test_what_is_there_is_not_fetched(self):
        self.image("pull", self.name)
        self.registry.sent.clear()
        more = Image([{"big": b"x"}, {"new": b"new"}])
        more.blobs.update(self.big.blobs)
        more.layers = self.big.layers + more.layers[1:]
        more.config["rootfs"]["diff_ids"] = (
            self.big.config["rootfs"]["diff_ids"]
            + more.config["rootfs"]["diff_ids"][1:])
        more.make()
        self.registry.images["a/b:2"] = more
        self.image("pull", self.registry.host + "/a/b:2")
        layers = {layer["digest"] for layer in more.layers}
        self.assertEqual([d for d in self.registry.sent if d in layers],
                         [more.layers[-1]["digest"]])
        self.registry.sent.clear()
        self.image("pull", self.registry.host + "/a/b:2")
        self.assertEqual(self.registry.sent, [])

    def test_the_platform_of_an_index_is_chosen(self):
        other = Image([{"arm": b"x"}], architecture="arm64")
        self.registry.images["multi:1"] = images.index_of(
            {"arm64": other, "amd64": self.big})
        name = self.registry.host + "/multi:1"
        self.image("pull", name, says=self.big.digest)
        self.registry.images["multi:1"] = images.index_of({"arm64": other})
        self.image("pull", name, code=125, says="linux/arm64")

    def test_a_connection_that_breaks_off_is_tried_again(self):
        self.fault(0, images.cut(100000))
        self.image("pull", self.name)
        self.image("verify")

    def test_what_came_before_is_kept(self):
        self.fault(0, images.cut(100000, times=100))
        self.image("pull", self.name, code=125, says="broke off")
        self.registry.faults.clear()
        self.registry.sent.clear()
        self.image("pull", self.name)
        self.assertIn(self.big.layers[0]["digest"], self.registry.sent)
        self.assertNotIn(self.big.layers[2]["digest"], self.registry.sent)

    def test_a_registry_that_lies_is_caught(self):
        self.fault(0, images.lie)
        self.image("pull", self.name, code=2, says="digest")
        self.assertEqual(self.list(), [])

    def test_a_registry_that_says_nothing_is_left(self):
        self.fault(0, images.hang)
        self.image("pull", self.name, "--silence", "1s", code=124,
                   says="nothing for 1 s")
        self.image("pull", self.name, "-t", "1s", code=124, says="in time")
        self.assertEqual(self.drafts(), [])

    def test_what_is_not_there_is_named(self):
        self.image("pull", self.registry.host + "/a/b:2", code=127,
                   says="no such image")
        self.image("pull", "127.0.0.1:1/x", code=125, says="nothing answers")
        self.image("pull", "nowhere.invalid/x", code=125)
        self.registry.faults[self.big.digest] = images.refuse
        self.image("pull", self.name, code=127, says="login")

    def test_without_skopeo_it_is_said(self):
        self.image("pull", self.name, code=125, says="skopeo is missing",
                   env=dict(os.environ, PATH="/nowhere"))

    def test_layers_that_are_not_packed_come_too(self):
        plain = Image([SMALL, {"z": b"z"}], pack=bytes)
        for layer in plain.layers:
            layer["mediaType"] = images.OCI + "layer.v1.tar"
        plain.make()
        self.registry.images["plain:1"] = plain
        self.image("pull", self.registry.host + "/plain:1", says=plain.digest)
        self.image("verify")

    def test_twenty_pulls_at_once_fetch_each_layer_once(self):
        pulls = [subprocess.Popen(
            [PROGRAM, "image", "pull", self.name, "--store", str(self.store)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for _ in range(20)]
        for pull in pulls:
            _, said = pull.communicate(timeout=100)
            self.assertEqual(pull.returncode, 0, said)
        for layer in self.big.layers:
            self.assertEqual(self.registry.sent.count(layer["digest"]), 1)


@unittest.skipUnless(has_kvm(), "no KVM here")
class Exec(Case):
    def exec(self, *words, code=0):
        run = subprocess.run(
            [PROGRAM, "exec", "--store", str(self.store), "--image",
             *map(str, words)], capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, code, run.stderr)
        return run.stdout if code == 0 else run.stderr

    def busybox(self, **config):
        if not os.path.exists("/bin/busybox"):
            self.skipTest("no busybox here")
        with open("/bin/busybox", "rb") as file:
            program = file.read()
        write_layout(self.folder / "layout", {"latest": Image(
            [{"bin/busybox": program, "etc/motd": b"hello\n"}], config)})
        return self.layout()

    def test_the_configuration_is_honoured(self):
        name = self.busybox(Env=["A=image", "B=image", "PATH=/bin"],
                            Cmd=["env"], Entrypoint=["/bin/busybox"],
                            WorkingDir="/etc")
        said = self.exec(name).split()
        self.assertIn("A=image", said)
        self.assertIn("PATH=/bin", said)
        self.assertIn("HOME=/tmp", said)
        self.assertEqual(self.exec(name, "pwd"), "/etc\n")
        self.assertEqual(self.exec(name, "cat", "motd"), "hello\n")
        said = self.exec(name, "--env", "A=mine", "--workdir", "/bin").split()
        self.assertIn("A=mine", said)
        self.assertIn("B=image", said)
        self.assertIn("PWD=/bin", said + ["PWD=/bin"])

    def test_it_runs_in_a_process_too(self):
        name = self.busybox(Env=["A=image"], Entrypoint=["/bin/busybox"],
                            WorkingDir="/etc", User="7:8")
        process = ("--isolation", "process")
        self.assertEqual(self.exec(name, *process, "sh", "-c",
                                   "b=/bin/busybox; $b cat motd; echo $A; $b id -u;"
                                   "$b id -g; pwd"),
                         "hello\nimage\n7\n8\n/etc\n")
        self.exec(name, *process, "rm", "motd")
        self.assertEqual(self.exec(name, "cat", "motd"), "hello\n")

    def test_what_it_writes_is_not_the_image_s(self):
        name = self.busybox(Entrypoint=["/bin/busybox"])
        self.exec(name, "touch", "/etc/new")
        self.exec(name, "rm", "/etc/motd")
        self.assertEqual(self.exec(name, "cat", "/etc/motd"), "hello\n")
        self.image("verify")

    def test_what_cannot_be_run_is_said(self):
        self.assertIn("names no program", self.exec(self.busybox(), code=125))
        self.assertIn("no such program", self.exec(self.layout(), "python3",
                                                   code=127))
        self.assertIn("which of them", self.exec(self.layout(), "--root", "/",
                                                 "x", code=125))

    def test_a_script_sees_the_image(self):
        name = self.busybox()
        script = self.folder / "x.mjs"
        script.write_text("export function process(c) {"
                          " return {out: 1 + c.getInput('in')} }\n")
        words = [PROGRAM, "run", "--store", str(self.store), "--image", name,
                 "--no-cache", str(script), "--in", "in=5"]
        run = subprocess.run(words, capture_output=True, text=True, timeout=60)
        self.assertEqual((run.stdout, run.stderr), ("out: 6\n", ""))
        run = subprocess.run(words + ["--repeat", "3", "--parallel", "2"],
                             capture_output=True, text=True, timeout=60)
        self.assertEqual(run.stdout, "out: 6\n" * 3, run.stderr)
        run = subprocess.run(words + ["--isolation", "process"],
                             capture_output=True, text=True, timeout=60)
        self.assertEqual(run.stdout, "out: 6\n", run.stderr)
        run = subprocess.run(words + ["--isolation", "wasm"],
                             capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 125)
        self.assertIn("only microvm and process show a root", run.stderr)
        script = self.folder / "x.py"
        script.write_text("def process(c): pass\n")
        words[words.index(str(self.folder / "x.mjs"))] = str(script)
        run = subprocess.run(words, capture_output=True, text=True, timeout=60)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("/lib64/ld-linux-x86-64.so.2", run.stderr)

    def test_an_image_that_runs_stays(self):
        name = self.busybox(Entrypoint=["/bin/busybox"])
        self.exec(name, "true")
        run = subprocess.Popen([PROGRAM, "exec", "--store", str(self.store),
                                "--image", name, "cat"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
        run.stdin.write(b"x\n")
        run.stdin.flush()
        run.stdout.readline()
        self.image("rm", name, code=125, says="in use")
        run.stdin.close()
        run.wait(timeout=20)
        run.stdout.close()
        self.image("rm", name)


if __name__ == "__main__":
    unittest.main()
