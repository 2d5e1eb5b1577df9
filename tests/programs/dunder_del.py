"""Allocation inside `__del__`, by reference count and by the cycle collector.

Truth: `Plain.__del__` (run by `del` in `main`) keeps 11 MiB and `Looped.__del__` (run by `gc.collect`) keeps 13 MiB;
both are live at the end, which is the peak.
"""

from __future__ import annotations

import gc

from truth import MIB, malloc_size, name_of, say

KEPT: list[bytearray] = []


class Plain:
    def __del__(self) -> None:
        KEPT.append(bytearray(11 * MIB))


class Looped:
    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        KEPT.append(bytearray(13 * MIB))


def main() -> None:
    plain = Plain()
    del plain
    looped = Looped()
    del looped
    gc.collect()
    assert [len(block) for block in KEPT] == [11 * MIB, 13 * MIB]
    say("block", size=malloc_size(11 * MIB), functions=[name_of(Plain.__del__.__code__), "main"])
    say("block", size=malloc_size(13 * MIB), functions=[name_of(Looped.__del__.__code__), "main"])
    say("peak", bytes=malloc_size(11 * MIB) + malloc_size(13 * MIB))


if __name__ == "__main__":
    main()
