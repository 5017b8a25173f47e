# SPDX-License-Identifier: Apache-2.0
"""Gives back what it is given."""


@actor({
    "component": "echo",
    "description": "Gives back what it is given",
    "inports": ["in"],
    "outports": ["out"]
})
def process(context):
    return {"out": context.get_input("in")}
