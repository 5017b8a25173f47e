# SPDX-License-Identifier: Apache-2.0
"""Images made by hand: layers of small tars, OCI layouts, docker's archives;
and a registry that does what a test wants of it."""
import gzip
import hashlib
import http.server
import io
import json
import os
import pathlib
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
import unittest

OCI = "application/vnd.oci.image."
INDEX = OCI + "index.v1+json"
MANIFEST = OCI + "manifest.v1+json"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar(files):
    """Of {name: bytes, None (a folder), or ("link" or "hard", target)}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as to:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            info.mtime = 1000000000
            if data is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(data, tuple):
                info.type = {"link": tarfile.SYMTYPE,
                             "hard": tarfile.LNKTYPE}[data[0]]
                info.linkname = data[1]
            else:
                info.size = len(data)
            to.addfile(info, io.BytesIO(data) if info.size else None)
    return out.getvalue()


class Image:
    """Blobs by digest, and the manifest's digest."""

    def __init__(self, layers, config=None, pack=None, architecture="amd64"):
        pack = pack or (lambda data: gzip.compress(data, 1, mtime=0))
        self.blobs = {}
        raws = [layer if isinstance(layer, bytes) else tar(layer)
                for layer in layers]
        self.config = {
            "os": "linux", "architecture": architecture,
            "config": config or {},
            "rootfs": {"type": "layers",
                       "diff_ids": [digest_of(raw) for raw in raws]}}
        self.layers = [self.put(pack(raw), OCI + "layer.v1.tar+gzip")
                       for raw in raws]
        self.make()

    def make(self):
        """Anew, of what may have been changed."""
        self.manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": self.put(json.dumps(self.config).encode(),
                               OCI + "config.v1+json"),
            "layers": self.layers}
        self.descriptor = self.put(json.dumps(self.manifest).encode(),
                                   MANIFEST)
        self.digest = self.descriptor["digest"]

    def put(self, data, kind):
        self.blobs[digest_of(data)] = data
        return {"mediaType": kind, "digest": digest_of(data),
                "size": len(data)}


def index_of(images):
    """Of {"amd64": image}: an image that is one for each platform."""
    whole = Image([])
    for image in images.values():
        whole.blobs.update(image.blobs)
    text = json.dumps({
        "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [dict(image.descriptor,
                           platform={"os": "linux", "architecture": name})
                      for name, image in images.items()]}).encode()
    whole.descriptor = whole.put(text, INDEX)
    whole.digest = whole.descriptor["digest"]
    return whole


def write_layout(folder, images):
    """Of {tag: image}."""
    folder = pathlib.Path(folder)
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for image in images.values():
        for digest, data in image.blobs.items():
            (blobs / digest[7:]).write_bytes(data)
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({
        "schemaVersion": 2,
        "manifests": [dict(image.descriptor, annotations={
            "org.opencontainers.image.ref.name": tag})
            for tag, image in images.items()]}))
    return folder


def write_archive(path, images):
    """As docker save does, of {name: image}."""
    with tarfile.open(path, "w") as to:
        def add(name, data):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            to.addfile(info, io.BytesIO(data))
        items = []
        for number, (name, image) in enumerate(images.items()):
            config = image.manifest["config"]["digest"][7:] + ".json"
            layers = []
            for at, layer in enumerate(image.layers):
                layers.append(f"{number}-{at}/layer.tar")
                add(layers[-1], gzip.decompress(
                    image.blobs[layer["digest"]]))
            add(config, json.dumps(image.config).encode())
            items.append({"Config": config, "RepoTags": [name],
                          "Layers": layers})
        add("manifest.json", json.dumps(items).encode())


class Registry(http.server.ThreadingHTTPServer):
    """Of {"name:tag": image}.  faults: {digest: function(handler, data)}."""
    daemon_threads = True

    def __init__(self, images):
        super().__init__(("127.0.0.1", 0), Handler)
        self.images = images
        self.faults = {}
        self.sent = []  # digests of blobs
        self.host = f"127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def find(self, name, what):
        image = self.images.get(f"{name}:{what}")
        if image is not None:
            return image.blobs[image.digest]
        for key, image in self.images.items():
            if key.split(":")[0] == name and what in image.blobs:
                return image.blobs[what]
        return None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code, data, kind="application/json"):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_GET(self):
        words = self.path.strip("/").split("/")
        if words == ["v2"]:
            return self.answer(200, b"{}")
        name, kind, what = "/".join(words[1:-2]), words[-2], words[-1]
        data = self.server.find(name, what)
        if data is None:
            return self.answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN",'
                                    b'"message":"manifest unknown"}]}')
        fault = self.server.faults.get(digest_of(data))
        if kind == "blobs":
            self.server.sent.append(what)
        if fault is not None:
            return fault(self, data)
        media = "application/octet-stream"
        if kind == "manifests":
            media = json.loads(data).get("mediaType", MANIFEST)
        return self.answer(200, data, media)

    do_HEAD = do_GET


def cut(at, times=1):
    """A fault: the connection breaks off, so often."""
    left = [times]

    def fault(handler, data):
        if left[0] == 0:
            return handler.answer(200, data, "application/octet-stream")
        left[0] -= 1
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:at])
        handler.wfile.flush()
        handler.close_connection = True
        handler.connection.close()
        return None
    return fault


def lie(handler, data):
    """A fault: other bytes."""
    handler.answer(200, data[:-1] + bytes([data[-1] ^ 1]),
                   "application/octet-stream")


def hang(handler, data):
    """A fault: the beginning, and then nothing."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[:100])
    handler.wfile.flush()
    time.sleep(20)


def refuse(handler, _):
    """A fault: a login is wanted."""
    handler.answer(401, b'{"errors":[{"code":"UNAUTHORIZED",'
                        b'"message":"authentication required"}]}')


def serve_docker_registry(folder):
    """A real one on loopback.  Returns the process and HOST:PORT."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
    host = "%s:%d" % address
    config = folder / "registry.yml"
    config.write_text(
        "version: 0.1\n"
        "storage: {filesystem: {rootdirectory: %s}}\n"
        "http: {addr: '%s'}\n"
        "log: {level: error}\n" % (folder / "registry", host))
    server = subprocess.Popen(["docker-registry", "serve", str(config)],
                              stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(address) == 0:
                return server, host
        time.sleep(0.05)
    server.kill()
    server.wait()
    raise AssertionError("docker-registry did not start")


class Stored(unittest.TestCase):
    """Each with a folder, and a store of its own in it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        os.chmod(self.folder, 0o755)
        self.env = {**os.environ, "XDG_DATA_HOME": str(self.folder / "data")}


class Caller:
    """caller.c: scripts in images, side by side in one process."""

    def __init__(self, program, cache, env):
        self.run = subprocess.Popen(
            [str(program), str(cache)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, encoding="utf-8", env=env)

    def ask(self, *words):
        self.run.stdin.write(" ".join(map(str, words)) + "\n")
        self.run.stdin.flush()
        return self.run.stdout.readline().rstrip("\n")

    def end(self):
        self.run.stdin.close()
        self.run.stdout.close()
        return self.run.wait(timeout=60)


def host_python(with_numpy=False):
    """Layers with this host's Python, to run it in an image: the parts of a
    root, as {name: bytes}; or None where it is not to be found."""
    import glob
    program = "/usr/bin/python3.11"
    if not os.path.exists(program):
        return None
    files = {}

    def add(path):
        path = os.path.realpath(path)
        if path.lstrip("/") not in files:
            with open(path, "rb") as file:
                files[path.lstrip("/")] = file.read()

    def add_program(path):
        add(path)
        said = subprocess.run(["ldd", path], capture_output=True, text=True)
        for line in said.stdout.splitlines():
            for word in line.split():
                if word.startswith("/") and os.path.exists(word):
                    add(word)
                    real = os.path.realpath(word)
                    if real != word:
                        files.setdefault(word.lstrip("/"), ("link", real))

    add_program(program)
    folders = ["/usr/lib/python3.11"]
    if with_numpy:
        folders = ["/usr/lib/python3/dist-packages/numpy"]
        files = {}
    for folder in folders:
        for root, names, found in os.walk(folder):
            names[:] = [n for n in names if n not in
                        ("__pycache__", "test", "tests", "idlelib", "ensurepip",
                         "tkinter", "lib2to3", "f2py")
                        and not n.startswith("config-")]
            for name in found:
                path = os.path.join(root, name)
                if os.path.islink(path) and not os.path.exists(path):
                    continue
                with open(path, "rb") as file:
                    files[path.lstrip("/")] = file.read()
    for path in glob.glob(folders[0] + "/**/*.so", recursive=True):
        said = subprocess.run(["ldd", path], capture_output=True, text=True)
        for word in said.stdout.split():
            if word.startswith("/") and os.path.exists(word):
                add(word)
                if os.path.realpath(word) != word:
                    files.setdefault(word.lstrip("/"),
                                     ("link", os.path.realpath(word)))
    return files
