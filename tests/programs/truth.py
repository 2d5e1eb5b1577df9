"""What the known-answer programs share: how large a block malloc sees, and one way to state a fact."""

from __future__ import annotations

import json
import sys
from typing import Any

KIB = 1024
MIB = 1024 * KIB


def malloc_size(length: int) -> int:
    """The bytes that `bytearray(length)` asks malloc for, beside the object itself.

    Up to 3.14 the buffer is the contents and one zero byte; from 3.15 it is a whole `bytes` object.
    """
    return length + (1 if sys.version_info < (3, 15) else sys.getsizeof(b""))


def bytes_size(length: int) -> int:
    """The bytes that `bytes(length)` asks for: one block, from pymalloc when it is at most 512."""
    return length + sys.getsizeof(b"")


def name_of(code: Any) -> str:
    """A function's name as a profile should show it: qualified where the interpreter knows it (3.11)."""
    return getattr(code, "co_qualname", code.co_name)


def say(expect: str, **facts: Any) -> None:
    """States one fact as one line of JSON."""
    sys.stdout.write(json.dumps({"expect": expect, **facts}) + "\n")
    sys.stdout.flush()
