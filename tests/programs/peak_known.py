"""A peak with a known make-up.

`f` holds 50 MiB, `g` holds 30 MiB beside it, `f`'s block goes, and `h` adds 10 MiB.
Truth: the peak is 80 MiB, 50 at `f` and 30 at `g`; nothing of `h` is in it. At the end 40 MiB are live.
"""

from __future__ import annotations

from truth import MIB, malloc_size, say


def f() -> bytearray:
    return bytearray(50 * MIB)


def g() -> bytearray:
    return bytearray(30 * MIB)


def h() -> bytearray:
    return bytearray(10 * MIB)


def main() -> None:
    first = f()
    second = g()
    del first
    third = h()
    of_f, of_g, of_h = (malloc_size(mib * MIB) for mib in (50, 30, 10))
    say("peak", bytes=of_f + of_g, functions={"f": of_f, "g": of_g})
    say("end", bytes=of_g + of_h, functions={"g": of_g, "h": of_h})
    del second, third


if __name__ == "__main__":
    main()
