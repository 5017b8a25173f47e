# SPDX-License-Identifier: Apache-2.0
"""Strings, lists and a dictionary: what most scripts are made of."""
counts = {}
for i in range(5_000_000):
    word = "w" + str(i * 7919 % 5003)
    counts[word] = counts.get(word, 0) + 1
order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
print(len(order), *order[0])
