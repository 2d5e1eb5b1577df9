"""Allocates blocks that are known by their size, and records the Python stack each was allocated under.

With `--witness` tracemalloc, which walks the frames in C at the moment of the allocation, must name the same files
and lines; the first difference ends the program with status 1.
"""

from __future__ import annotations

import os
import sys
import threading
import tracemalloc
from typing import Any

from truth import malloc_size, name_of, say

FIRST, STEP = 1_000_003, 16
WITNESS = "--witness" in sys.argv[1:]
RECORDS: list[tuple] = []
LOCK = threading.RLock()  # a signal handler may allocate while its own thread is recording


def alloc(case: str) -> int:
    """Allocates a block of a size of its own, drops it, and records the stack: the innermost frame is this one."""
    length = next_length(case)
    block, line = bytearray(length), sys._getframe().f_lineno  # one line, for it is part of the truth
    stack = stack_of(sys._getframe(), line)
    if WITNESS:
        bear_witness(case, stack, block)
    RECORDS.append((case, malloc_size(length), stack))
    return length


def next_length(case: str) -> int:
    with LOCK:
        next_length.count += 1  # type: ignore[attr-defined]
        return FIRST + STEP * next_length.count  # type: ignore[attr-defined]


next_length.count = -1  # type: ignore[attr-defined]


def stack_of(frame: Any, line: int) -> list:
    """The frames from `frame` outwards, as [file, function, line]; `line` is the innermost one's."""
    stack = [[frame.f_code.co_filename, name_of(frame.f_code), line]]
    while frame.f_back is not None:
        frame = frame.f_back
        stack.append([frame.f_code.co_filename, name_of(frame.f_code), frame.f_lineno])
    return stack


def bear_witness(case: str, stack: list, block: bytearray) -> None:
    traceback = tracemalloc.get_object_traceback(block)
    seen = [] if traceback is None else [[frame.filename, frame.lineno] for frame in reversed(traceback)]
    said = [[file, line] for file, _, line in stack]
    if seen != said:
        print(f"{case}:\n  said {said}\n  seen {seen}", file=sys.stderr, flush=True)
        os._exit(1)


def start() -> None:
    if WITNESS:
        tracemalloc.start(5_000)


def finish() -> None:
    """States every record, in the order of the allocations."""
    for case, size, stack in sorted(RECORDS, key=lambda record: record[1]):
        say("stack", case=case, size=size, stack=stack)
    say("stacks", count=len(RECORDS), cases=len({case for case, _, _ in RECORDS}))
