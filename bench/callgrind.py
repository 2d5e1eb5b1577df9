"""Reads the file that callgrind writes: instructions by library and function, inlined code by its source file."""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

_NAME = re.compile(r"^(ob|fl|fi|fe|fn)=(?:\((\d+)\))?\s*(.*)$")


class Place(NamedTuple):
    """Where instructions were executed."""

    library: str
    function: str
    source: str


def instructions(path: Path) -> Counter[Place]:
    """Instructions executed in each place itself, without those of the functions it called."""
    found: Counter[Place] = Counter()
    names: dict[str, dict[str, str]] = {"ob": {}, "file": {}, "fn": {}}
    now = {"ob": "", "file": "", "fn": ""}
    inclusive = False
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            match = _NAME.match(line)
            if match:
                kind = match.group(1) if match.group(1) in ("ob", "fn") else "file"
                number, name = match.group(2), match.group(3).strip()
                if number and name:
                    names[kind][number] = name
                now[kind] = names[kind].get(number, "") if number else name
            elif line.startswith(("cob=", "cfi=", "cfl=", "cfn=")):
                _define(line, names)
            elif line.startswith("calls="):
                inclusive = True  # the next line has the callee's cost
            elif line[:1] in "0123456789+-*":
                if not inclusive:
                    found[Place(Path(now["ob"]).name, now["fn"], now["file"])] += int(line.split()[1])
                inclusive = False
    return found


def _define(line: str, names: dict[str, dict[str, str]]) -> None:
    """A called function may be named here first."""
    match = _NAME.match(line[1:])
    if match and match.group(2) and match.group(3).strip():
        kind = match.group(1) if match.group(1) in ("ob", "fn") else "file"
        names[kind][match.group(2)] = match.group(3).strip()
