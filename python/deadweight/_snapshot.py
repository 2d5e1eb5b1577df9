"""Heap snapshots at the program's own wish."""

from __future__ import annotations

import time
from typing import Any

from . import _agent

# How long `snapshot` waits for the last one to be written, and how often it looks, in seconds.
_LONGEST_WAIT = 10.0
_STEP = 0.005

# The agent's function, once it was found.
_take: Any = None


def snapshot(label: str | None = None) -> bool:
    """Takes a snapshot of the heap now, if the program runs under `deadweight run`.

    The program pauses for milliseconds; a copy of it writes the snapshot. `label` is what reports call it (up to 512
    bytes of UTF-8). While the snapshot before this one is still being written, this waits for it, up to 10 seconds.

    Returns whether a snapshot was taken: False outside of `deadweight run`, and where none could be had. Never raises.
    """
    if not _agent.IS_RECORDED:
        return False
    try:
        return _snapshot("" if label is None else str(label))
    except Exception:
        return False


def _snapshot(label: str) -> bool:
    global _take
    if _take is None:
        _take = _agent.function("deadweight_snapshot", "c_char_p", "c_size_t", result="c_int")
    text = label.encode("utf-8", "replace")
    until = time.monotonic() + _LONGEST_WAIT
    while True:
        taken = _take(text, len(text))
        if taken != 2 or time.monotonic() > until:
            return taken == 1
        time.sleep(_STEP)
