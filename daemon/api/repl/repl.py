# SPDX-License-Identifier: Apache-2.0
"""What a person types at Python's prompt, run where the last of it was."""
import ast
import os
import sys
import traceback

scope = {"__name__": "__main__", "__builtins__": __builtins__}
said = []


class Stream:
    """Lines, in the order in which they were written."""
    encoding, errors = "utf-8", "strict"

    def __init__(self, name):
        self.name = name
        self.rest = ""

    def write(self, text):
        *lines, self.rest = (self.rest + text).split("\n")
        said.extend({"stream": self.name, "text": line} for line in lines)
        return len(text)

    def flush(self):
        if self.rest:
            self.write("\n")

    def isatty(self):
        return False


def run(code):
    try:
        for node in ast.parse(code, "<repl>").body:
            exec(compile(ast.Interactive([node]), "<repl>", "single"), scope)
    except BaseException as error:
        # Not the frames of this file.
        tb = error.__traceback__
        while tb is not None and tb.tb_frame.f_code.co_filename != "<repl>":
            tb = tb.tb_next
        sys.stderr.write("".join(traceback.format_exception(
            type(error), error, tb)))


def process(context):
    os.environ.update(context.get_input("envs") or {})
    said.clear()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Stream("stdout"), Stream("stderr")
    try:
        run(context.get_input("code"))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        sys.stdout, sys.stderr = before
    return {"output": list(said)}
