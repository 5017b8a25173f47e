# SPDX-License-Identifier: Apache-2.0
"""test262_suite - the suite's files: what a test is, and what it asks for.

Mozilla's import changes little: a line "// |reftest|" in front, a call of
reportCompare() behind, and harness files joined, each with its name above it.
"""
import pathlib
import re

HEAD = re.compile(r"\A// \|reftest\|[^\n]*\n")
TAIL = re.compile(r"\nreportCompare\(0, 0\);\n*\Z")
FRONT = re.compile(r"/\*---(.*?)---\*/", re.S)
PART = re.compile(r"^// file: (\S+)\n", re.M)
MODULE = re.compile(r"^\s*(import\b\s*[\w{*\"']|export\b\s*[\w{*])", re.M)
MADE = ("shell.js", "browser.js")  # by the import
ALWAYS = ["assert.js", "sta.js"]
# Harness files with constants, which an eval would keep to itself.
LEXICAL = re.compile(r"^(const|let|class)\b", re.M)

# What is not asked: (reason, features, words in the text).
LACKS = [
    ("need Intl", (), r"\bIntl\b"),
    ("need another realm", ("cross-realm",), r"\$262\.createRealm"),
    ("need another agent", (), r"\$262\.agent|\batomicsHelper\.js"),
    ("are about global scripts", (), r"\$262\.evalScript"),
    ("need document.all", ("IsHTMLDDA",), r"\$262\.IsHTMLDDA"),
    ("need garbage collection on demand", ("host-gc-required",), None),
    ("need Atomics, which the engine has not", ("Atomics",), r"\bAtomics\."),
    ("need tail calls, which the engine has not",
     ("tail-call-optimization",), None),
    ("ask for a proposal that was dropped", (), r"\bcleanupSome\b"),
]


def field(front, name):
    """A list of the frontmatter's, written in either way."""
    found = re.search(rf"^{name}:\s*(?:\[(.*?)\]|((?:\n\s*-[^\n]*)+))", front,
                      re.M | re.S)
    if not found:
        return []
    return [word for word in re.split(r"[\s,]+|(?:^|\s)-\s", found[1] or found[2])
            if word and word != "-"]


class Test:
    def __init__(self, path, text):
        self.path = path
        self.text = TAIL.sub("\n", HEAD.sub("", text))
        found = FRONT.search(self.text)
        self.front = found[1].replace("\r\n", "\n").replace("\r", "\n") \
            if found else ""
        self.flags = field(self.front, "flags")
        self.includes = field(self.front, "includes")
        self.features = field(self.front, "features")
        negative = re.search(r"^negative:(?:\n\s+.*)+", self.front, re.M)
        kind = negative and re.search(r"\btype:\s*(\w+)", negative[0])
        self.wanted = kind[1] if kind else None
        self.is_module = "module" in self.flags
        self.is_async = "async" in self.flags and not self.wanted

    def why_not(self):
        """Why it is not asked, or None."""
        code = FRONT.sub("", self.text) + " ".join(self.includes)
        if self.path.startswith("intl402/"):
            return "need Intl"
        for reason, features, words in LACKS:
            if set(features) & set(self.features) or \
                    words and re.search(words, code):
                return reason
        return None

    def modes(self):
        """How to run it; raw is without any harness."""
        if "raw" in self.flags:
            return ["raw"]
        if self.is_module:
            return ["module"]
        if "onlyStrict" in self.flags:
            return ["strict"]
        return ["sloppy"] if "noStrict" in self.flags else ["sloppy", "strict"]

    def request(self, harness, mode):
        names = [] if mode == "raw" else ALWAYS + [
            name for name in self.includes if name not in ALWAYS]
        parts = [harness[name] for name in names]
        inner = [part for part in parts
                 if LEXICAL.search(part) and not self.is_module]
        text = "\n".join(['"use strict";'] * (mode == "strict") + inner
                         + [self.text])
        return {"harness": [part for part in parts if part not in inner],
                "text": "" if self.is_module else text,
                "path": f"/script/{pathlib.Path(self.path).name}"
                        if self.is_module else "",
                "wanted": self.wanted or "", "isAsync": self.is_async}


def read_text(path):
    return path.read_bytes().decode("utf-8", errors="replace")


def is_test(path):
    return path.suffix == ".js" and path.name not in MADE \
        and not path.stem.endswith("_FIXTURE")


def read(root, folder, wants):
    """The tests of one folder that are wanted, without those below it."""
    paths = [(path, str(path.relative_to(root)))
             for path in sorted((root / folder).iterdir()) if is_test(path)]
    return [Test(name, read_text(path)) for path, name in paths if wants(name)]


def folders(root):
    """All that have tests."""
    return sorted({str(path.parent.relative_to(root))
                   for path in root.rglob("*.js")
                   if is_test(path) and path.parent != root})


def harness(root):
    """{name: text} of what tests include."""
    found = {}
    for path in root.rglob("shell.js"):
        parts = PART.split(read_text(path))
        found.update(zip(parts[1::2], parts[2::2]))
    return found


def import_files(tests):
    return any(test.is_module or "_FIXTURE" in test.text for test in tests)


def copy_modules(root, folder, to):
    """For import: the files as they were, and modules by their looks, too."""
    for path in (root / folder).iterdir():
        if path.suffix != ".js" or path.name in MADE:
            continue
        text = Test(path.name, read_text(path)).text
        if not MODULE.search(text):
            text += "\nexport {};\n"
        (to / path.name).write_bytes(text.encode())
