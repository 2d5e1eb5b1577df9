"""deadweight finds out why a Python program needs so much memory, and proves the fix.

The program is a binary that this package carries; `python -m deadweight` finds and runs it:

    python -m deadweight run script.py
    python -m deadweight report script.dw

A program that runs under it may take snapshots of its heap itself: `deadweight.snapshot("after the import")`, and name
its parts: `with deadweight.region("load"):`. `deadweight.measure(function, argument)` says what a call needs, anywhere.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from ._find import BinaryNotFound, find_binary
from ._measure import Measured, measure
from ._region import region
from ._snapshot import snapshot

__all__ = ["BinaryNotFound", "Measured", "__version__", "find_binary", "measure", "region", "snapshot"]

try:
    __version__: str = version("deadweight")
except PackageNotFoundError:  # run from a checkout
    __version__ = "0+checkout"
