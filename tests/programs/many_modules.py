"""A hundred small modules, imported from files, each keeping one block.

Truth: module `plugin_N` keeps 256 KiB and 64 bytes for each N, allocated by its function `load` at line 4, called from its
module level at line 7; all hundred are live at the end, which is the peak.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile

from truth import KIB, malloc_size, say

COUNT = 100
SOURCE = '''"""Plugin {number}."""

def load():
    return bytearray({length})


TABLE = load()
'''


def length_of(number: int) -> int:
    return 256 * KIB + 64 * number


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="deadweight-plugins-") as folder:
        sys.path.insert(0, folder)
        modules = []
        for number in range(COUNT):
            path = os.path.join(folder, f"plugin_{number}.py")
            with open(path, "w", encoding="utf-8") as file:
                file.write(SOURCE.format(number=number, length=length_of(number)))
        importlib.invalidate_caches()
        for number in range(COUNT):
            module = importlib.import_module(f"plugin_{number}")
            modules.append(module)
            stack = [[module.__file__, "load", 4], [module.__file__, "<module>", 7]]
            say("block", size=malloc_size(length_of(number)), stack_starts=stack)
        held = sum(malloc_size(length_of(number)) for number in range(COUNT))
        say("peak", bytes=held, functions={"load": held})


if __name__ == "__main__":
    main()
