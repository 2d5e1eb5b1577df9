"""Python called back from C: libc's qsort through ctypes, or `sorted` with a key where ctypes is missing.

Truth: the first four calls of the callback keep 5 MiB each, so 20 MiB are live at the end of the sort, all allocated in
`compare` (ctypes) or `key` (sorted), under `sort`.
"""

from __future__ import annotations

from typing import Any

from truth import MIB, malloc_size, say

try:
    import ctypes
except ImportError:  # an interpreter built without libffi
    ctypes = None  # type: ignore[assignment]

KEPT: list[bytearray] = []
CALLS = 4


def compare(left: Any, right: Any) -> int:
    if len(KEPT) < CALLS:
        KEPT.append(bytearray(5 * MIB))
    return left[0] - right[0]


def key(value: int) -> int:
    if len(KEPT) < CALLS:
        KEPT.append(bytearray(5 * MIB))
    return value


def sort(values: list[int]) -> list[int]:
    if ctypes is None:
        return sorted(values, key=key)
    numbers = (ctypes.c_int * len(values))(*values)
    of_ints = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    ctypes.CDLL(None).qsort(numbers, len(numbers), ctypes.sizeof(ctypes.c_int), of_ints(compare))
    return list(numbers)


if __name__ == "__main__":
    assert sort([5, 3, 8, 1, 9, 2, 7]) == [1, 2, 3, 5, 7, 8, 9]
    held = CALLS * malloc_size(5 * MIB)
    say("peak", bytes=held, functions={"key" if ctypes is None else "compare": held})
