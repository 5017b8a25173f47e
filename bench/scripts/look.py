# SPDX-License-Identifier: Apache-2.0
"""Looks at all that it is given, and gives it back."""
import zlib


@actor({
    "component": "look",
    "description": "Looks at all that it is given, and gives it back",
    "inports": ["in"],
    "outports": ["out"]
})
def process(context):
    data = context.get_input("in")
    zlib.crc32(data)
    return {"out": data}
