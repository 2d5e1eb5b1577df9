"""deadweight finds out why a Python program needs so much memory, and proves the fix.

The program is a binary that this package carries; `python -m deadweight` finds and runs it:

    python -m deadweight run script.py
    python -m deadweight report script.dw
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from ._find import BinaryNotFound, find_binary

__all__ = ["BinaryNotFound", "__version__", "find_binary"]

try:
    __version__: str = version("deadweight")
except PackageNotFoundError:  # run from a checkout
    __version__ = "0+checkout"
