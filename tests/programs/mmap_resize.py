"""Anonymous mappings that grow, shrink and lose parts.

Truth: one mapping goes 100 MB, 400 MB, 8 MB, gone: the peak is 400 MB and nothing of it is left. With ctypes, a second
mapping of 64 MB (made when the first is gone) loses its middle half, then its first quarter, then the rest. Pages are
touched, so resident memory follows. Sizes are multiples of the page size.
"""

from __future__ import annotations

import mmap

from truth import MIB, say

try:
    import ctypes
except ImportError:  # an interpreter built without libffi
    ctypes = None  # type: ignore[assignment]

START, PEAK, SMALL = 100_003_840, 400_003_072, 8_003_584
PART = 64 * MIB


def touch(mapping: mmap.mmap) -> None:
    """Writes one byte to each page."""
    for offset in range(0, len(mapping), mmap.PAGESIZE):
        mapping[offset] = 1


def resize() -> None:
    mapping = mmap.mmap(-1, START, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    touch(mapping)
    mapping.resize(PEAK)
    touch(mapping)
    say("peak", bytes=PEAK, functions={"resize": PEAK})
    mapping.resize(SMALL)
    say("live", bytes=SMALL, functions={"resize": SMALL})
    mapping.close()
    say("live", bytes=0, functions={"resize": 0})


def unmap_parts() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    start = libc.mmap(None, PART, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    quarter = PART // 4
    for offset, length, left in ((quarter, 2 * quarter, PART // 2), (0, quarter, quarter), (3 * quarter, quarter, 0)):
        assert libc.munmap(start + offset, length) == 0
        say("live", bytes=left, functions={"unmap_parts": left})


def main() -> None:
    assert START % mmap.PAGESIZE == PEAK % mmap.PAGESIZE == SMALL % mmap.PAGESIZE == 0
    resize()
    if ctypes is not None:
        unmap_parts()
    say("end", bytes=0, functions={})


if __name__ == "__main__":
    main()
