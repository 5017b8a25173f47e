#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each checker is shown a tree that is well, then the same with one fault.

A checker that never complains is worth nothing, so each fault here must be
refused, at its file and line, with a word on what is wrong.
"""
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOOLS))
import verdict

SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
SKIPPED = 77

GOOD = {
    "include/glovebox/abi/word.h":
        SPDX + "#ifndef WORD_H\n#define WORD_H\n\n#include <stdint.h>\n\n"
        "struct word {\n    uint32_t value;\n};\n\n#endif\n",
    "src/base/copy.h":
        SPDX + "#ifndef COPY_H\n#define COPY_H\n\n#include <stddef.h>\n\n"
        "void copy(void *to, const void *from, size_t bytes);\n\n#endif\n",
    "src/base/copy.c":
        SPDX + '#include <string.h>\n\n#include "base/copy.h"\n\n'
        "void copy(void *to, const void *from, size_t bytes)\n{\n"
        "    memcpy(to, from, bytes);\n}\n",
    "src/channel/channel.c":
        SPDX + '#include "base/copy.h"\n#include "glovebox/abi/word.h"\n\n'
        "struct word twice(struct word word);\n\n"
        "struct word twice(struct word word)\n{\n"
        "    return (struct word){word.value * 2};\n}\n",
    "README.md":
        "# A tree\n\n[words](docs/words.md)\n\n```c\n"
        "#include <glovebox/abi/word.h>\n\nint main(void)\n{\n"
        "    struct word word = {0};\n    return (int)word.value;\n}\n```\n",
    "docs/words.md": "# Words\n",
    "docs/decisions/README.md": "- [0001](0001-so.md)\n",
    "docs/decisions/0001-so.md": "# 0001: so\n",
    "tools/ratchets.txt": "# sizes\n",
    "tools/copies.txt": "# copies\n",
}


class Tree(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        for name, text in GOOD.items():
            self.write(name, text)
        for name in ("layers.txt", "../.clang-format"):
            target = self.root / "tools" / name
            shutil.copy(TOOLS / name, target.resolve())

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def append(self, name, text):
        self.write(name, (self.root / name).read_text() + text)

    def run_tool(self, tool, *arguments):
        return subprocess.run(
            [TOOLS / f"{tool}.py", "--root", self.root, *arguments],
            text=True, capture_output=True, check=False)

    def is_well(self, tool):
        run = self.run_tool(tool)
        if run.returncode == SKIPPED:
            self.skipTest(run.stdout.strip())
        self.assertEqual((0, ""), (run.returncode, run.stderr), run.stdout)

    def refuses(self, tool, *words):
        run = self.run_tool(tool)
        if run.returncode == SKIPPED:
            self.skipTest(run.stdout.strip())
        self.assertEqual((1, ""), (run.returncode, run.stderr), run.stdout)
        for word in words:
            self.assertIn(word, run.stdout)

    def test_a_good_tree_is_well(self):
        for tool in ("layers", "tidy", "headers", "format", "copyhound",
                     "pages"):
            with self.subTest(tool):
                self.is_well(tool)

    def test_an_empty_tree_is_no_good_tree(self):
        for name in ("src", "include"):
            shutil.rmtree(self.root / name)
        for tool in ("layers", "headers", "format", "copyhound"):
            with self.subTest(tool):
                self.refuses(tool, "nothing to look at")

    # layers

    def test_a_room_may_not_include_what_stands_above_it(self):
        self.write("src/runtime/runtime.h", SPDX)
        self.append("src/base/copy.c", '#include "runtime/runtime.h"\n')
        self.refuses("layers", "src/base/copy.c:10: base may not include "
                     "runtime")

    def test_another_spelling_of_the_path_is_the_same_include(self):
        self.write("src/runtime/runtime.h", SPDX)
        self.append("src/base/copy.c", '#include "../runtime/runtime.h"\n')
        self.refuses("layers", "base may not include runtime")

    def test_backends_do_not_know_what_calls_them(self):
        self.write("src/runtime/runtime.h", SPDX)
        self.write("src/sandbox/process/process.c",
                   SPDX + '#include "runtime/runtime.h"\n')
        self.refuses("layers", "process may not include runtime")

    def test_programs_stand_on_public_headers_alone(self):
        self.write("cli/main.c", SPDX + '#include "base/copy.h"\n')
        self.refuses("layers", "cli/main.c:2: cli may not include base")

    def test_the_guest_may_not_look_into_the_sandbox_room(self):
        self.write("src/sandbox/sandbox.h", SPDX)
        self.write("guest/lib/guest.c",
                   SPDX + '#include "sandbox/sandbox.h"\n')
        self.refuses("layers", "guest may not include sandbox")

    def test_an_outside_thing_has_one_room(self):
        cases = {
            "#include <seccomp.h>": "<seccomp.h> belongs to process",
            "#include <sys/mount.h>": "<sys/mount.h> belongs to process",
            "#include <linux/kvm.h>":
                "<linux/kvm.h> belongs to bench and microvm",
            "#include <Python.h>": "<Python.h> belongs to python",
            "int f(void) { return unshare(0); }": "unshare() belongs",
            "int f(void) { return clone (0); }": "clone() belongs",
            "int f(void) { printf(\"\"); }": "printf() belongs",
        }
        good = GOOD["src/base/copy.c"]
        for line, words in cases.items():
            with self.subTest(line):
                self.write("src/base/copy.c", good + line + "\n")
                self.refuses("layers", "src/base/copy.c:10: " + words)

    def test_words_in_comments_and_strings_touch_nothing(self):
        self.append("src/base/copy.c",
                    '/* mount() and\n * clone() */\nchar *a = "unshare(";\n'
                    "int x_clone(int y); /* is another function */\n")
        self.is_well("layers")

    def test_a_new_folder_needs_a_layer(self):
        self.write("src/novel/novel.c", SPDX)
        self.refuses("layers", "src/novel/novel.c:1: lies in no layer")

    def test_the_plan_itself_may_have_no_way_up(self):
        plan = (self.root / "tools/layers.txt").read_text()
        self.write("tools/layers.txt", plan.replace(
            "src/base:            abi", "src/base:            runtime abi"))
        self.refuses("layers", "base stands on runtime")

    # tidy

    def function(self, lines):
        return ("int f(void);\n\nint f(void)\n{\n" + "    ;\n" * (lines - 4)
                + "    return 0;\n}\n")

    def test_a_function_may_have_sixty_lines_but_not_more(self):
        self.write("src/base/long.c", SPDX + self.function(60))
        self.is_well("tidy")
        self.write("src/base/long.c", SPDX + self.function(61))
        self.refuses("tidy", "src/base/long.c:4: f has 61 lines, 60")

    def test_a_file_and_a_public_header_have_their_lengths(self):
        self.write("src/base/long.c", SPDX + "\n" * 499)
        self.write("include/glovebox/long.h", SPDX + "\n" * 199)
        self.is_well("tidy")
        self.append("src/base/long.c", "\n")
        self.refuses("tidy", "src/base/long.c:501: 501 lines, 500")
        self.append("include/glovebox/long.h", "\n")
        self.refuses("tidy", "long.h:201: 201 lines, 200")

    def test_a_folder_has_ten_c_files_and_any_number_of_tests(self):
        for i in range(10):
            self.write(f"src/message/m{i}.c", SPDX)
            self.write(f"src/message/m{i}_test.c", SPDX)
        self.is_well("tidy")
        self.write("src/message/one_more.c", SPDX)
        self.refuses("tidy", "src/message:1: 11 C files, 10")

    def test_small_faults_are_found_where_they_are(self):
        cases = {
            "\tint x;\n": "a tab",
            "int " + "x" * 76 + ";\n": "81 columns",
            "int x; \n": "white space",
            "/* TO" + "DO: later */\n": "a note for later",
            "int x;": "no newline",
        }
        for text, words in cases.items():
            with self.subTest(words):
                self.write("src/base/small.c", SPDX + text)
                self.refuses("tidy", "src/base/small.c:", words)

    def test_each_file_names_its_licence(self):
        self.write("src/base/small.c", "int x;\n")
        self.write("tools/helper", "#!/bin/sh\ntrue\n")
        self.refuses("tidy", "src/base/small.c:1: no licence",
                     "tools/helper:1: no licence")

    # ratchets

    def test_a_ratchet_allows_what_is_there_and_nothing_more(self):
        self.write("src/base/long.c", SPDX + self.function(70))
        self.write("tools/ratchets.txt", "70 function src/base/long.c f\n")
        self.is_well("tidy")
        self.write("src/base/long.c", SPDX + self.function(71))
        self.refuses("tidy", "f has 71 lines, 70 are allowed")

    def test_a_ratchet_follows_downwards(self):
        self.write("src/base/long.c", SPDX + self.function(65))
        self.write("tools/ratchets.txt",
                   "# sizes\n70 function src/base/long.c f\n")
        self.refuses("tidy", "tools/ratchets.txt:2:", "make lower")
        self.run_tool("tidy", "--lower")
        self.assertEqual("# sizes\n65 function src/base/long.c f\n",
                         (self.root / "tools/ratchets.txt").read_text())
        self.is_well("tidy")
        self.write("src/base/long.c", SPDX + self.function(66))
        self.run_tool("tidy", "--lower")
        self.refuses("tidy", "f has 66 lines, 65 are allowed")

    # headers

    def test_a_header_that_needs_another_one_first_is_refused(self):
        self.write("src/base/needy.h",
                   SPDX + "#ifndef NEEDY_H\n#define NEEDY_H\n\n"
                   "uint32_t needs(void);\n\n#endif\n")
        self.refuses("headers", "src/base/needy.h:5: does not compile alone "
                     "as C:")

    def test_a_header_without_a_guard_is_refused(self):
        self.write("src/base/open.h", SPDX + "struct open {\n    int x;\n};\n")
        self.refuses("headers", "src/base/open.h:2:")

    def test_a_public_header_is_cplusplus_too(self):
        self.append("include/glovebox/abi/word.h",
                    '_Static_assert(1, "not in C++");\n')
        self.refuses("headers", "as C++17", "as freestanding C++17")

    def test_a_header_of_the_abi_needs_no_libc(self):
        self.append("include/glovebox/abi/word.h", "#if __STDC_HOSTED__\n"
                    "#else\n#error needs a libc\n#endif\n")
        self.refuses("headers", "as freestanding C:")

    def test_a_public_header_may_not_look_into_the_house(self):
        self.write("include/glovebox/nosy.h", SPDX +
                   '#include "base/copy.h"\n')
        self.refuses("headers", "include/glovebox/nosy.h:2:")

    # format

    def test_a_file_that_looks_otherwise_is_refused_and_mended(self):
        self.append("src/base/copy.c", "\nint  f( void ) {return 1;}\n")
        self.refuses("format", "src/base/copy.c:11:", "make format")
        self.run_tool("format", "--write")
        self.is_well("format")

    # copyhound

    def copies(self, body):
        self.write("src/channel/ring.c",
                   SPDX + "#include <string.h>\n\n"
                   "struct line {\n    char text[64];\n};\n"
                   "struct page {\n    char text[65];\n};\n\n"
                   f"void f(void *to, const void *from, size_t n)\n{{\n"
                   f"    (void)n;\n    {body}\n}}\n")

    def test_copies_up_to_a_descriptor_are_nobody_s_business(self):
        for body in ("memcpy(to, from, 64);",
                     "*(struct line *)to = *(struct line *)from;"):
            with self.subTest(body):
                self.copies(body)
                self.is_well("copyhound")

    def test_a_copy_that_is_large_or_unknown_is_counted(self):
        for body in ("memcpy(to, from, 65);", "memcpy(to, from, n);",
                     "memmove(to, from, n & 15);",
                     "*(struct page *)to = *(struct page *)from;"):
            with self.subTest(body):
                self.copies(body)
                self.refuses("copyhound", "src/channel/ring.c:14: a large "
                             "copy", "has 1, 0 are allowed")

    def test_the_number_of_copies_may_only_fall(self):
        self.copies("memcpy(to, from, n);")
        self.write("tools/copies.txt", "1 src/channel/ring.c\n")
        self.is_well("copyhound")
        self.copies("memcpy(to, from, n);\n    memcpy(to, from, n + 1);")
        self.refuses("copyhound", "has 2, 1 are allowed")
        self.copies("")
        self.refuses("copyhound", "none is needed")

    # pages

    def test_the_program_in_the_readme_compiles(self):
        text = GOOD["README.md"].replace("word.value", "word.worth")
        self.write("README.md", text)
        self.refuses("pages", "README.md:11: the program does not compile")

    def test_links_lead_somewhere(self):
        self.append("docs/words.md", "\n[gone](gone.md), [not](http://a.b)\n")
        self.refuses("pages", "docs/words.md:3: gone.md is not there")

    def test_each_decision_is_in_the_list(self):
        self.write("docs/decisions/0002-no.md", "# 0002: no\n")
        self.refuses("pages", "0002-no.md:1: is not listed")

    def test_exit_codes_are_the_same_on_both_pages_and_in_the_code(self):
        self.write("docs/man/glovebox.1.scd", "*0*\n\tWell.\n\n*1*\n\tNot.\n")
        self.write("docs/man/glovebox-run.1.scd",
                   "# EXIT STATUS\n\n0 well, 2 usage.\n\n# EXAMPLES\n")
        self.write("cli/cli.h", SPDX + "enum e { CLI_OK = 0, CLI_A = 126 };")
        self.refuses("pages", "exit codes differ from glovebox.1: 1 2",
                     "exit codes differ from cli/cli.h: 1 126")

    def test_manual_and_completion_have_the_options_of_the_program(self):
        self.write("cli/run.c", SPDX + "static const struct argp_option o[] "
                   '= {\n    {"in", \'i\', "X", 0, "", 1},\n'
                   '    {"cpu", OPTION_CPU, "X", 0,\n     "", 1}};\n')
        self.write("docs/man/glovebox-run.1.scd", "*-i*, *--in* _X_\n\n"
                   "*--cpu* _X_\n")
        self.write("cli/completion/glovebox.bash", "--in --cpu\n")
        self.is_well("pages")
        self.write("docs/man/glovebox-run.1.scd", "*--in* _X_\n\n*--ram*\n")
        self.write("cli/completion/glovebox.bash", "--in\n")
        self.refuses("pages", "--cpu of cli/run.c is not explained",
                     "--ram is not an option of cli/run.c",
                     "glovebox.bash:1: --cpu of cli/run.c is missing")


class Counting(unittest.TestCase):
    """Functions are counted, whoever ran them."""

    def count(self, result, out="", err=""):
        return tuple(verdict.count(
            {"result": result, "stdout": out, "stderr": err}))

    def test_cmocka(self):
        out = ("[ RUN      ] a\n[       OK ] a\n[ RUN      ] b\n"
               "[  SKIPPED ] b\n[ RUN      ] c\n[==========] 3 test(s) run.\n"
               "[  SKIPPED ] 1 test(s), listed below:\n[  SKIPPED ] b\n")
        self.assertEqual((1, 1, 1),
                         self.count("FAIL", out, "[  FAILED  ] c\n"))

    def test_a_crash_in_a_function_fails_that_function(self):
        out = "[ RUN      ] a\n[       OK ] a\n[ RUN      ] b\n"
        self.assertEqual((1, 1, 0), self.count("FAIL", out))

    def test_a_sanitizer_s_word_after_good_functions_is_a_failure(self):
        out = "[ RUN      ] a\n[       OK ] a\n"
        self.assertEqual((1, 1, 0), self.count("FAIL", out, "LeakSanitizer"))

    def test_unittest(self):
        err = ("test_a (x.T) ... ok\ntest_b (x.T)\nIts words. ... FAIL\n"
               "test_c (x.T) ... skipped 'why'\n")
        self.assertEqual((1, 1, 1), self.count("FAIL", "", err))

    def test_tap(self):
        out = "1..3\nok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP no\n"
        self.assertEqual((1, 1, 1), self.count("FAIL", out))

    def test_a_program_that_tells_nothing_counts_as_one(self):
        for result, counts in {"OK": (1, 0, 0), "FAIL": (0, 1, 0),
                               "TIMEOUT": (0, 1, 0), "ERROR": (0, 1, 0),
                               "SKIP": (0, 0, 1)}.items():
            self.assertEqual(counts, self.count(result, "some words\n"))


class Setup(unittest.TestCase):
    """tools/setup, with an apt-get that only writes down what it was told."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.bin = pathlib.Path(self.folder.name) / "bin"
        self.bin.mkdir()
        self.log = pathlib.Path(self.folder.name) / "log"
        for name in ("sh", "awk", "cut", "tr", "cat", "dirname", "mktemp",
                     "rm", "env"):
            (self.bin / name).symlink_to(shutil.which(name))
        self.program("id", "echo 0")

    def program(self, name, text):
        path = self.bin / name
        path.write_text("#!/bin/sh\n" + text + "\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def debian(self, *installed):
        words = " ".join(installed)
        self.program("apt-get", f'echo "$@" >>{self.log}')
        self.program("dpkg-query", f'for p in {words}; do '
                     'echo "installed $p"; done; exit 1')

    def run_setup(self, *groups, **extra):
        run = subprocess.run(
            [TOOLS / "setup", *groups], text=True, capture_output=True,
            env={**os.environ, "PATH": str(self.bin), **extra}, check=False)
        told = self.log.read_text() if self.log.exists() else ""
        return run, told

    def test_it_is_silent_when_nothing_is_missing(self):
        self.debian("clang-19", "libclang-rt-19-dev")
        run, told = self.run_setup("fuzz")
        self.assertEqual((0, "", ""), (run.returncode, run.stdout, told))

    def test_it_says_and_installs_only_what_is_missing(self):
        self.debian("clang-19")
        run, told = self.run_setup("fuzz")
        self.assertEqual(0, run.returncode, run.stderr)
        self.assertIn("once: libclang-rt-19-dev\n", run.stdout)
        self.assertIn(" update\n", told)
        self.assertIn("install --no-install-recommends libclang-rt-19-dev\n",
                      told)

    def test_it_uses_sudo_only_when_it_is_not_root(self):
        self.debian("clang-19")
        self.program("id", "echo 1000")
        run, told = self.run_setup("fuzz")
        self.assertEqual((1, ""), (run.returncode, told))
        self.assertIn("apt-get install libclang-rt-19-dev", run.stderr)
        self.program("sudo", f'echo sudo >>{self.log}; exec "$@"')
        run, told = self.run_setup("fuzz")
        self.assertEqual(0, run.returncode, run.stderr)
        self.assertTrue(told.startswith("sudo\n"), told)

    def test_a_failure_of_apt_get_is_shown(self):
        self.debian("clang-19")
        self.program("apt-get", 'echo "E: no network"; exit 100')
        run, _ = self.run_setup("fuzz")
        self.assertEqual(1, run.returncode)
        self.assertIn("E: no network", run.stderr)

    def test_looking_installs_nothing(self):
        self.debian("clang-19")
        run, told = self.run_setup("fuzz", GLOVEBOX_SETUP="look")
        self.assertEqual((1, ""), (run.returncode, told))
        self.assertIn("missing: libclang-rt-19-dev", run.stderr)

    def test_without_apt_get_it_names_what_to_get(self):
        run, _ = self.run_setup("fuzz")
        self.assertEqual(1, run.returncode)
        self.assertIn("no apt-get", run.stderr)
        self.assertIn("cmd:clang-19 (libFuzzer; Debian's package: clang-19)",
                      run.stderr)
        self.program("clang-19", "true")
        run, _ = self.run_setup("fuzz")
        self.assertEqual(0, run.returncode, run.stderr)

    def test_an_unknown_group_is_a_wrong_use(self):
        self.debian()
        self.assertEqual(2, self.run_setup("demon")[0].returncode)
        self.assertEqual(2, self.run_setup()[0].returncode)


if __name__ == "__main__":
    unittest.main()
