# SPDX-License-Identifier: Apache-2.0
@actor(name="WordCount", inports=["text"], outports=["words"])
def count(context):
    return {"words": len(context.get_input("text").split())}
