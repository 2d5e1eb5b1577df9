"""The few lines that every workload shares: run the work, and leave a note of its result and of what it cost.

The note goes to the file named by BENCH_NOTE, as one JSON object:

``result``    what the work returned: every variant must return the same, or it did not do the same work
``cpu_s``     user and system time of this process until now
``peak_kib``  its largest resident memory, from VmHWM. ``ru_maxrss`` is no good here: it keeps the size that the
              parent process had at the time of the fork, which is larger than a small Python program.

The note is written at exit, after all that the workload does. What a profiler does later still is seen from outside
(see ``measure.py``).
"""

import atexit
import json
import os
import resource
import sys
from typing import Any, Callable


def _peak_kib() -> int:
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def _write(path: str, note: dict[str, Any]) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    note["cpu_s"] = usage.ru_utime + usage.ru_stime
    note["peak_kib"] = _peak_kib()
    with open(path, "w", encoding="ascii") as file:
        json.dump(note, file)


def run(work: Callable[[float], int]) -> None:
    """Runs ``work(scale)``; the scale, 1 by default, is the script's first argument."""
    note: dict[str, Any] = {}
    path = os.environ.get("BENCH_NOTE")
    if path:
        atexit.register(_write, path, note)
    scale = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    note["result"] = work(scale)
