"""Memory that grows and is no leak: caches that fill, interned strings, tables built when they are first needed."""

import functools
import re
import sys
import time


@functools.lru_cache(maxsize=None)
def square_table(size):
    return [i * i for i in range(size)]


@functools.lru_cache(maxsize=2000)
def page(number):
    return "<p>" + str(number) * 4000 + "</p>"


class Registry:
    """Fills with every key that there is, and then stays."""

    def __init__(self):
        self.known = {}

    def get(self, key):
        if key not in self.known:
            self.known[key] = bytearray(b"." * 40_000)
        return self.known[key]


def main():
    registry = Registry()
    names = [sys.intern("name-%d" % i) for i in range(200_000)]
    size = 0
    for step in range(60_000):
        # Every key is met in the first third.
        size += len(registry.get(step * 7 % 2000))
        size += len(page(step % 3000))
        if step % 100 == 0:
            size += len(square_table(step % 4000))
            re.compile("a{%d}" % (step % 700))
            time.sleep(0.002)
    print(size, len(names))


if __name__ == "__main__":
    main()
