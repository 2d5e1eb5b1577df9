"""Code that comes from strings, with file names of its own and without.

Truth: `made` of "<generated>" keeps 4 MiB at line 3, the module level of "rules/price.py" (no such file) keeps 5 MiB at line
2, and an `eval`ed expression ("<string>") keeps 6 MiB at line 1. All are live at the end, which is the peak.
"""

from __future__ import annotations

from truth import MIB, malloc_size, say

FUNCTION = """
def made(kept):
    kept.append(bytearray(size))
"""
MODULE = "# a rule\nkept.append(bytearray(size))\n"


def main() -> None:
    kept: list[bytearray] = []
    names: dict = {"size": 4 * MIB}
    exec(compile(FUNCTION, "<generated>", "exec"), names)
    names["made"](kept)
    exec(compile(MODULE, "rules/price.py", "exec"), {"kept": kept, "size": 5 * MIB})
    kept.append(eval("bytearray(size)", {"size": 6 * MIB}))
    say("block", size=malloc_size(4 * MIB), frame=["<generated>", "made", 3])
    say("block", size=malloc_size(5 * MIB), frame=["rules/price.py", "<module>", 2])
    say("block", size=malloc_size(6 * MIB), frame=["<string>", "<module>", 1])
    say("peak", bytes=sum(malloc_size(len(block)) for block in kept))


if __name__ == "__main__":
    main()
