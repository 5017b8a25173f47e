# SPDX-License-Identifier: Apache-2.0
"""ratchet - numbers that are allowed to be too high, but only to fall.

A file of lines "number name...".  A thing above its limit must be in it with
the number it has today.  When the number falls, the file must follow (--lower
writes it), so that it cannot rise again unseen.
"""
import pathlib


class Ratchet:
    def __init__(self, path, limit=0):
        self.path = pathlib.Path(path)
        self.limit = limit
        self.head = []    # the comment at the top, kept as it is
        self.allowed = {}
        self.line = {}
        self.now = {}     # what was measured in this run
        if not self.path.is_file():
            return
        for number, line in enumerate(self.path.read_text().splitlines(), 1):
            if line.startswith("#") or not line.strip():
                if not self.allowed:
                    self.head.append(line)
                continue
            value, name = line.split(maxsplit=1)
            self.allowed[name.strip()] = int(value)
            self.line[name.strip()] = number

    def measure(self, name, value, limit):
        """Returns the limit that was passed, or None where all is well."""
        allowed = self.allowed.get(name, limit)
        if value > limit:
            self.now[name] = value
        return max(allowed, limit) if value > max(allowed, limit) else None

    def stale(self, faults):
        """Complain about numbers that have fallen below what is allowed."""
        for name, value in self.allowed.items():
            now = self.now.get(name, 0)
            if now < value:
                faults.add(self.path, self.line[name],
                           f"{name}: {value} is allowed, "
                           + (f"{now} are left" if now else "none is needed")
                           + ": make lower")

    def lower(self):
        """Write what is left.  Never raises a number, never adds a name."""
        lines = list(self.head)
        for name, value in self.allowed.items():
            if name in self.now:
                lines.append(f"{min(value, self.now[name])} {name}")
        self.path.write_text("\n".join(lines) + "\n")
