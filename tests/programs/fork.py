"""Plain `os.fork`: three children hold blocks at the same time as their parent.

Truth: the parent holds 20 MiB from before the fork; each child inherits it (and frees nothing) and allocates 30, 31, 32 MiB
of its own in `child`. All are live at once for `HOLD` seconds, so the tree's peak is 20 + 93 MiB of blocks (the inherited one
counted once). The children end with statuses 0, 1 and 2.
"""

from __future__ import annotations

import os
import time

from truth import MIB, malloc_size, say

HOLD = 0.5
SIZES = [mib * MIB for mib in (30, 31, 32)]


def child(index: int, ready: int, release: int) -> None:
    block = bytearray(SIZES[index])
    os.write(ready, b".")
    os.read(release, 1)  # returns at the end of file, when the parent has closed its end
    say("process", role="child", pid=os.getpid(), bytes=malloc_size(len(block)), functions={"child": malloc_size(len(block))})


def main() -> None:
    inherited = bytearray(20 * MIB)
    ready_read, ready_write = os.pipe()
    release_read, release_write = os.pipe()
    children = []
    for index in range(len(SIZES)):
        pid = os.fork()
        if pid == 0:
            os.close(release_write)
            child(index, ready_write, release_read)
            os._exit(index)
        children.append(pid)
    for _ in SIZES:
        os.read(ready_read, 1)
    time.sleep(HOLD)
    os.close(release_write)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0, 1, 2]
    own, theirs = malloc_size(len(inherited)), sum(map(malloc_size, SIZES))
    say("process", role="parent", pid=os.getpid(), bytes=own, functions={"main": own})
    say("tree", processes=4, peak=own + theirs)


if __name__ == "__main__":
    main()
