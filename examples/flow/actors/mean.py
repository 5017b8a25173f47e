# SPDX-License-Identifier: Apache-2.0
@actor(name="Mean", inports=["a", "b"], outports=["mean"],
       await_all_inports=True)
def mean(context):
    """Runs when both have come."""
    return {"mean": (context.get_input("a") + context.get_input("b")) / 2}
