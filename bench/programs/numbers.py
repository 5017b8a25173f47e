# SPDX-License-Identifier: Apache-2.0
"""Arithmetic on small integers, and calls of functions."""


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


total = 0
for i in range(16_000_000):
    total = (total * 31 + i) % 1_000_003
print(total, fibonacci(31))
