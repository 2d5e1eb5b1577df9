"""Processes that start processes: two children by `subprocess`, each with a grandchild through a shell.

Truth: the root holds 15 MiB, each child 20 MiB and each grandchild 25 MiB, all in `hold`, all live at the same time for half a
second: the tree's peak is 105 MiB of blocks in five Python processes (the shells, `sh -c`, hold nothing).
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time

from truth import MIB, malloc_size, say

HOLD = 0.5
LEVELS = {"root": (15, 2), "child": (20, 1), "grandchild": (25, 0)}  # MiB held, processes started
NEXT = {"root": "child", "child": "grandchild"}


def start(level: str) -> subprocess.Popen:
    command = [sys.executable, os.path.abspath(__file__), NEXT[level]]
    if level == "child":
        command = ["sh", "-c", shlex.join(command) + "; exit $?"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def hold(level: str) -> None:
    mib, count = LEVELS[level]
    block = bytearray(mib * MIB)
    children = [start(level) for _ in range(count)]
    for child in children:
        assert child.stdout is not None and child.stdout.readline() == "holding\n"
    if level == "root":
        time.sleep(HOLD)
    else:
        print("holding", flush=True)
        sys.stdin.read()  # until the parent closes its end
    for child in children:
        facts, _ = child.communicate()
        sys.stdout.write(facts)
        assert child.returncode == 0
    size = malloc_size(len(block))
    say("process", role=level, pid=os.getpid(), bytes=size, functions={"hold": size})


if __name__ == "__main__":
    hold(sys.argv[1] if len(sys.argv) > 1 else "root")
    if len(sys.argv) == 1:
        say("tree", processes=5, peak=sum(count * malloc_size(mib * MIB) for mib, count in ((15, 1), (20, 2), (25, 2))))
