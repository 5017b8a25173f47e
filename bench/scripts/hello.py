# SPDX-License-Identifier: Apache-2.0
"""Says hello, as an actor and as a program."""


def process(context):
    print("hello")


if __name__ == "__main__":
    process(None)
