# SPDX-License-Identifier: Apache-2.0
@actor(name="Double", inports=["in"], outports=["out"])
def double(context):
    return {"out": 2 * context.get_input("in")}
