# SPDX-License-Identifier: Apache-2.0
"""Reads every byte: the sum of its input as 64-bit integers."""
import numpy


@actor({
    "component": "read",
    "description": "Adds up what it is given",
    "inports": ["in"],
    "outports": ["out"]
})
def process(context):
    numbers = numpy.frombuffer(context.get_input("in"), "<i8")
    return {"out": int(numbers.sum())}
