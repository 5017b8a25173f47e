# SPDX-License-Identifier: Apache-2.0
"""A wall clock that jumps, for processes that are started with it."""
import glob
import pathlib
import random
import tempfile
import threading

FOUND = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")


class Clock:
    """What is started with .env sees the time as off by what jump() says."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.file = pathlib.Path(self.folder.name, "offset")
        self.env = {"LD_PRELOAD": FOUND[0], "FAKETIME_NO_CACHE": "1",
                    "FAKETIME_TIMESTAMP_FILE": str(self.file),
                    "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
        self.over = threading.Event()
        self.thread = None
        self.jumps = 0
        self.jump(0)

    def jump(self, seconds):
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.rename(self.file)

    def go_wild(self, every=0.05):
        """Years to and fro, until the end."""
        def jump():
            while not self.over.wait(every):
                self.jump(random.randint(-10 ** 8, 10 ** 8))
                self.jumps += 1
        self.thread = threading.Thread(target=jump)
        self.thread.start()

    def end(self):
        self.over.set()
        if self.thread is not None:
            self.thread.join()
        self.folder.cleanup()
