#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What tools/stock-kvm brings into its machine, and what it makes of the words
that come out: whoever does not say that all went well has failed.
"""
import contextlib
import importlib.machinery
import importlib.util
import io
import os
import pathlib
import sys
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOOLS))
import image
import verdict

loader = importlib.machinery.SourceFileLoader("stock_kvm",
                                              str(TOOLS / "stock-kvm"))
spec = importlib.util.spec_from_loader("stock_kvm", loader)
stock_kvm = importlib.util.module_from_spec(spec)
loader.exec_module(stock_kvm)

BUILD = pathlib.Path("/build")


class Lines(unittest.TestCase):
    """A line of tests/stock_kvm/programs.txt."""

    def test_a_name_and_a_program_are_enough(self):
        program = stock_kvm.Program("run run_test", BUILD)
        self.assertEqual(("run", "/build/run_test", 120, []),
                         (program.name, program.path, program.limit,
                          program.extras))

    def test_words_may_come_in_any_order(self):
        program = stock_kvm.Program(
            "x /usr/bin/python3 +libexec A={build}/b limit=9 'two words' "
            "+/usr/lib/python3.11", BUILD)
        self.assertEqual(["/build/libexec", "/usr/lib/python3.11"],
                         program.extras)
        self.assertEqual(9, program.limit)
        self.assertIn("A=/build/b /usr/bin/python3 'two words'",
                      program.line())

    def test_a_program_that_was_not_built_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "list"
            path.write_text("# a list\n\nx missing_test\n")
            with self.assertRaisesRegex(SystemExit, "missing_test"):
                stock_kvm.read_list(path, BUILD, [])
            with self.assertRaisesRegex(SystemExit, "not in .*: y"):
                stock_kvm.read_list(path, BUILD, ["y"])


class Words(unittest.TestCase):
    """What comes out of the machine."""

    GOOD = ("glovebox: kvm npt=Y\n"
            "glovebox: begin a\n[ RUN      ] f\n[       OK ] f\n\n"
            "glovebox: end a 0\n"
            "glovebox: begin b\n[ RUN      ] g\n[       OK ] g\n\n"
            "glovebox: end b 0\n")

    def count(self, text, cut=None):
        programs = [stock_kvm.Program("a a_test", BUILD),
                    stock_kvm.Program("b b_test", BUILD)]
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        run = stock_kvm.Run(1, programs, pathlib.Path(folder.name),
                            stock_kvm.Progress())
        with contextlib.redirect_stdout(io.StringIO()):
            for line in text.splitlines():
                run.read(line)
            if run.now:
                run.finish(cut)
        run.add_lost()
        counts = map(verdict.count, run.records)
        return tuple(map(sum, zip(*counts)))

    def test_functions_of_all_programs_are_counted(self):
        self.assertEqual((2, 0, 0), self.count(self.GOOD))

    def test_one_change_and_it_has_failed(self):
        cases = {
            ("end b 0", "end b 1"): (2, 1, 0),
            ("end b 0", "end b 77"): (2, 1, 0),
            ("end b 0", "end b 137"): (2, 1, 0),
            ("[       OK ] g\n", ""): (1, 1, 0),
            ("npt=Y", "npt=N"): (2, 2, 0),
        }
        for (before, after), counts in cases.items():
            with self.subTest(after):
                self.assertEqual(
                    counts, self.count(self.GOOD.replace(before, after)))

    def test_wherever_the_machine_stops_something_has_failed(self):
        lines = self.GOOD.splitlines()
        for count in range(len(lines)):
            with self.subTest(count):
                told = self.count("\n".join(lines[:count]), "TIMEOUT")
                self.assertGreater(told[1], 0)


class Images(unittest.TestCase):
    """Files of this host as a root."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = os.path.realpath(folder.name)
        os.mkdir(f"{self.root}/real")
        for name in ("real/lib.so.1.2", "real/lib.a"):
            pathlib.Path(self.root, name).write_text("text")
        os.symlink("lib.so.1.2", f"{self.root}/real/lib.so")
        os.symlink("real", f"{self.root}/link")

    def names(self, made):
        below = self.root.lstrip("/") + "/"
        return sorted(name.removeprefix(below) for name in made.entries
                      if name.startswith(below))

    def test_links_come_with_what_they_lead_to(self):
        made = image.Image()
        made.bring(f"{self.root}/link/lib.so")
        self.assertEqual(["link", "real", "real/lib.so", "real/lib.so.1.2"],
                         self.names(made))

    def test_a_folder_comes_with_all_but_static_libraries(self):
        made = image.Image()
        made.bring(f"{self.root}/real")
        self.assertEqual(["real", "real/lib.so", "real/lib.so.1.2"],
                         self.names(made))

    def test_the_archive_is_in_steps_of_four_and_ends(self):
        made = image.Image()
        made.put("/a/b", "12345", 0o755)
        path = pathlib.Path(self.root) / "image"
        made.write(path)
        content = path.read_bytes()
        self.assertEqual(0, len(content) % 4)
        self.assertEqual(3, content.count(b"070701"))
        self.assertLess(content.index(b"a\0"), content.index(b"a/b\0"))
        self.assertIn(b"12345\0\0\0" + b"070701", content)
        self.assertIn(b"TRAILER!!!\0", content)


if __name__ == "__main__":
    unittest.main()
