"""The agent's functions, where this program runs under `deadweight run`."""

from __future__ import annotations

import os
from typing import Any

# `deadweight run` sets it, and every process that it started inherits it.
IS_RECORDED: bool = "DEADWEIGHT_CAPTURE" in os.environ


def function(name: str, *arguments: str, result: str | None = None) -> Any:
    """The agent's function of this name, which takes and gives `ctypes` of these names. Raises where there is none."""
    import ctypes

    # The agent is part of the program: it was loaded before everything else. PyDLL keeps the GIL.
    found = getattr(ctypes.PyDLL(None), name)
    found.argtypes = [getattr(ctypes, argument) for argument in arguments]
    found.restype = None if result is None else getattr(ctypes, result)
    return found
