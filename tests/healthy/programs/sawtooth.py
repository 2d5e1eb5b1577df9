"""A buffer that is emptied whenever it is full, and garbage in cycles that the collector takes away in time."""

import io
import time


class Node:
    def __init__(self):
        self.children = [Child(self) for _ in range(20)]


class Child:
    def __init__(self, parent):
        self.parent = parent
        self.text = "x" * 50


def main():
    written = 0
    buffer = io.BytesIO()
    for step in range(6000):
        buffer.write(b"line of a log file\n" * 400)
        Node()
        if buffer.tell() > 40 << 20:
            written += buffer.tell()
            buffer = io.BytesIO()
        if step % 20 == 0:
            time.sleep(0.005)
    print(written)


if __name__ == "__main__":
    main()
