"""Holds about 1 GB: large buffers, rows of a few kilobytes, and an index of small strings.

With `more` as argument the index keeps 5 % more of the whole: the regression that a diff must find, at its line.
"""

import sys

MB = 1_000_000


def load_buffers(total):
    return [bytearray(4 * MB) for _ in range(total // (4 * MB))]


def load_rows(total):
    return [bytes(2000 + at % 2000) for at in range(total // 3000)]


def load_index(total):
    index = {}
    for at in range(total // 320):
        index[at] = "%0250d" % at
    return index


def main(more):
    buffers = load_buffers(450 * MB)
    rows = load_rows(300 * MB)
    index = load_index(250 * MB + (50 * MB if more else 0))
    print(len(buffers), len(rows), len(index))


main("more" in sys.argv[1:])
