# SPDX-License-Identifier: Apache-2.0
"""Sends as many bytes as it is asked for, and writes the first and last."""


@actor({
    "component": "write",
    "description": "Sends a buffer that it made in place",
    "inports": ["in"],
    "outports": ["out"]
})
def process(context):
    buffer = context.output_buffer("out", context.get_input("in"))
    buffer[0] = 1
    buffer[-1] = 2
    return {"out": buffer}
