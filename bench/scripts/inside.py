# SPDX-License-Identifier: Apache-2.0
"""How long the work of echo.py takes when nobody is on the other side."""
from time import perf_counter_ns

TURNS = 1000


def echo(context):
    return {"out": context.get_input("in")}


@actor({
    "component": "inside",
    "description": "Times a function in the sandbox",
    "inports": ["in"],
    "outports": ["out"]
})
def process(context):
    start = perf_counter_ns()
    for _ in range(TURNS):
        echo(context)
    return {"out": (perf_counter_ns() - start) // TURNS}
