#!/usr/bin/env python3
"""Runs allocation churn under deadweight for a long time and looks whether anything grows: the size of the capture, memory
of the agent (its mappings in the program) and of the supervisor, and the program's speed.

Exit status 1 if the second half is worse than the first by more than the marks. See README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import run

#: The churn: blocks of many sizes in a window, from changing stacks. Prints the number of rounds so far every second.
PROGRAM = """
import random, sys, time
random.seed(1)
window = [None] * 20_000
def deep(levels, size):
    return deep(levels - 1, size) if levels else bytearray(size)
def shallow(size):
    return [0.0] * (size // 8)
end, told, rounds = time.monotonic() + float(sys.argv[1]), time.monotonic(), 0
while time.monotonic() < end:
    for _ in range(1000):
        size = int(2 ** random.uniform(4, 15))
        window[random.randrange(len(window))] = deep(size % 20, size) if size % 2 else shallow(size)
    rounds += 1
    if time.monotonic() - told >= 1:
        told = time.monotonic()
        print(rounds, time.process_time(), flush=True)
"""


class Look(NamedTuple):
    """One look, in seconds and bytes."""

    seconds: float
    capture: int
    agent: int
    supervisor: int
    program: int


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=20, help="how long [default: %(default)s]")
    parser.add_argument("--deadweight", type=Path, metavar="PATH", help="the binary [default: built here, or on PATH]")
    parser.add_argument("--python", default="python3.11", metavar="PY")
    parser.add_argument("--exact", action="store_true", help="every block: much more is written")
    parser.add_argument("--max-size", default="16MiB", help="limit of the capture [default: %(default)s]")
    parser.add_argument("--results", type=Path, metavar="FILE", help="write the figures there (JSON)")
    return parser.parse_args()


def size_of(folder: Path) -> int:
    total = 0
    for entry in folder.glob("*"):
        try:
            total += entry.stat().st_size
        except FileNotFoundError:
            pass  # folded away meanwhile
    return total


def resident(pid: int) -> int:
    match = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(match[1]) * 1024 if match else 0


def agent_bytes(pid: int) -> int:
    """Resident bytes of the agent's own anonymous mappings (they are left out of core dumps: `dd`)."""
    total = size = 0
    for text in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if text.startswith("Rss:"):
            size = int(text.split()[1]) * 1024
        elif text.startswith("VmFlags:") and " dd" in text:
            total += size
    return total


def child_of(pid: int) -> int | None:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else None


def soak(options: argparse.Namespace, folder: Path) -> tuple[list[Look], list[tuple[int, float]], int]:
    capture = folder / "soak.dw"
    script = folder / "churn.py"
    script.write_text(PROGRAM)
    seconds = options.minutes * 60
    mode = ["--exact"] if options.exact else []
    command = [str(run.find_deadweight(options.deadweight)), "run", "-q", "-o", str(capture), "--max-size", options.max_size]
    command += [*mode, "--python", options.python, str(script), str(seconds)]
    looks: list[Look] = []
    with open(folder / "told", "w+") as told:
        process = subprocess.Popen(command, stdout=told, start_new_session=True)
        begun = time.monotonic()
        while process.poll() is None:
            time.sleep(min(5.0, seconds / 40))
            try:
                program = child_of(process.pid)
                if program:
                    figures = agent_bytes(program), resident(process.pid), resident(program)
                    looks.append(Look(time.monotonic() - begun, size_of(capture), *figures))
            except (FileNotFoundError, ProcessLookupError):
                break
        process.wait()
        told.seek(0)
        speeds = [(int(a), float(b)) for a, b in (text.split() for text in told if text.count(" ") == 1)]
    if process.returncode:
        sys.exit(f"the run ended with status {process.returncode}")
    return looks, speeds, size_of(capture)


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="deadweight-soak-") as name:
        looks, speeds, left = soak(options, Path(name))
    # The start is no steady state.
    steady = [look for look in looks if look.seconds > 0.1 * options.minutes * 60]
    halves = steady[: len(steady) // 2], steady[len(steady) // 2 :]
    if not all(halves):
        sys.exit("too short: there are no two halves to compare")
    rows: dict[str, Any] = {}
    for field, allowed in (("capture", 0.25), ("agent", 0.05), ("supervisor", 0.25), ("program", 0.05)):
        first, second = (max(getattr(look, field) for look in half) for half in halves)
        fits = second <= first * (1 + allowed) + (4 << 20)
        rows[field] = {"first_half_max": first, "second_half_max": second, "allowed": allowed, "fits": fits}
    # Rounds for each second of the program's own processor time: other load hardly matters.
    rates = [(b[0] - a[0]) / (b[1] - a[1]) for a, b in zip(speeds, speeds[1:]) if b[1] > a[1]]
    rates = rates[len(rates) // 10 :]
    first, second = (statistics.median(part) for part in (rates[: len(rates) // 2], rates[len(rates) // 2 :]))
    rows["rounds_per_cpu_second"] = {"first_half": first, "second_half": second, "allowed": 0.15, "fits": second >= first * 0.85}
    rows["run"] = {"minutes": options.minutes, "exact": options.exact, "max_size": options.max_size, "looks": len(looks), "capture_at_end": left}
    print(json.dumps(rows, indent=1))
    if options.results:
        options.results.write_text(json.dumps(rows, indent=1) + "\n")
    if not all(row.get("fits", True) for row in rows.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
