"""Grows until somebody kills it: for tests of what is left after SIGKILL.

Usage: kill_me.py [LIMIT_MIB]. Truth: `grow` adds a block of 4 MiB about every 20 ms and says after each how much it holds; after the
tenth it says "ready". At the limit (1024 MiB unless given) it stops growing and waits a minute, then ends with status 9.
"""

from __future__ import annotations

import os
import sys
import time

from truth import MIB, malloc_size, say

BLOCK = 4 * MIB


def grow(limit: int) -> list[bytearray]:
    held: list[bytearray] = []
    while len(held) * BLOCK < limit:
        held.append(bytearray(BLOCK))
        say("live", bytes=len(held) * malloc_size(BLOCK), functions={"grow": len(held) * malloc_size(BLOCK)})
        if len(held) == 10:
            say("ready", pid=os.getpid())
        time.sleep(0.02)
    return held


if __name__ == "__main__":
    everything = grow(int(sys.argv[1]) * MIB if len(sys.argv) > 1 else 1024 * MIB)
    time.sleep(60)
    sys.exit(9)
