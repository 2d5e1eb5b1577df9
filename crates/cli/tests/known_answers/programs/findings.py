"""Programs with one memory problem each, and the same without it: NAME bad|good."""

import collections
import ctypes
import os
import sys
import time
import weakref

MIB = 1024 * 1024


def rounds(count=80, seconds=0.02):
    """Time passes: growth is judged over it."""
    for number in range(count):
        yield number
        time.sleep(seconds)


def native_leak(bad):
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    for _ in rounds():
        block = libc.malloc(MIB)  # lost here
        ctypes.memset(block, 1, MIB)
        if not bad:
            libc.free(block)


def native_cache(bad):
    """Never freed, but it stops growing when it is full. There is nothing bad in it."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    for number in rounds():
        if number < 30:
            ctypes.memset(libc.malloc(MIB), 1, MIB)


def lost_reference(bad):
    for _ in rounds():
        data = b"x" * MIB  # lost here
        if bad:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(data))


def growth(bad):
    """Ends like a worker process: what it has is not freed."""
    kept = [] if bad else collections.deque(maxlen=10)
    for _ in rounds(100, 0.036):
        kept.append(b"x" * MIB)  # kept here
    os._exit(0)


def holder(bad):
    kept = [] if bad else collections.deque(maxlen=10)
    for _ in rounds(100, 0.03):
        kept.append(bytearray(b"x" * (2 * MIB)))  # kept here
    rounds(20)


class Table:
    def __init__(self, bad):
        self.data = bytearray(b"x" * (2 * MIB))  # kept here
        self.view = View(self if bad else weakref.proxy(self))


class View:
    def __init__(self, table):
        self.table = table


def cycle(bad):
    for _ in rounds(60, 0.01):
        Table(bad)


def whole_file(bad):
    with open("large", "wb") as file:
        file.truncate(120 * MIB)
    size = 0
    with open("large", "rb") as file:
        if bad:
            data = file.read()  # all of it
            size = len(data)
            del data
        else:
            while part := file.read(MIB):
                size += len(part)
    assert size == 120 * MIB
    small = [bytes(10) for _ in rounds(40, 0.01)]
    assert len(small) == 40


def copies(bad):
    first = b"x" * (60 * MIB)
    if bad:
        second = first.replace(b"x", b"y")
        third = second.replace(b"y", b"z")
        assert third
        del second, third
    else:
        first = first[:10]
    del first
    small = [bytes(10) for _ in rounds(40, 0.01)]
    assert len(small) == 40


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2] == "bad")
