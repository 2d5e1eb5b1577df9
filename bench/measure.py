"""One run of one workload under one variant, and what it cost."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import environments

WORKLOADS = Path(__file__).resolve().parent / "workloads"

#: Environment variables that would change what is measured, or that belong to another run of a profiler.
_UNWANTED = ("PYTHON", "DEADWEIGHT_", "FIL_", "LD_PRELOAD", "VIRTUAL_ENV", "BENCH_NOTE")

#: One thread for BLAS and OpenMP: Fil forces that, so all get it. One hash seed: the same work each time.
_FIXED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


class Setup(NamedTuple):
    """What the variants need: the `deadweight` binary, and the environments' folders by name."""

    deadweight: Path | None
    places: dict[str, Path]
    timeout_s: float = 300.0


#: The environment that each variant runs in.
VARIANTS: dict[str, str] = {
    "plain": "plain",
    "sampled": "plain",
    "exact": "plain",
    "memray": "memray",
    "memray-python": "memray",
    "fil": "fil",
}


def workloads() -> list[str]:
    """The names of all workloads."""
    return sorted(path.stem for path in WORKLOADS.glob("[a-z]*.py"))


def clean_environment() -> dict[str, str]:
    """This process's environment without what would disturb a measurement."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_UNWANTED)}
    return {**kept, **_FIXED}


def command(variant: str, script: Path, setup: Setup, scratch: Path) -> list[str]:
    """The command line of a variant; whatever it records goes below `scratch`."""
    programs = setup.places[VARIANTS[variant]] / "bin"
    python, record = str(programs / "python"), str(scratch / "record")
    if variant == "plain":
        return [python, str(script)]
    if variant in ("sampled", "exact"):
        mode = ["--exact"] if variant == "exact" else []
        return [str(setup.deadweight), "run", "-q", "-o", record, *mode, "--python", python, str(script)]
    if variant in ("memray", "memray-python"):
        allocators = ["--trace-python-allocators"] if variant == "memray-python" else []
        return [python, "-m", "memray", "run", "-q", "-f", "-o", record, *allocators, str(script)]
    if variant == "fil":
        return [str(programs / "fil-profile"), "--no-browser", "-o", record, "run", str(script)]
    raise ValueError(f"no variant {variant}")


def run(variant: str, workload: str, setup: Setup) -> dict[str, Any]:
    """Runs a workload once. The answer has either ``error`` or the figures (see README.md, "What is measured")."""
    with tempfile.TemporaryDirectory(prefix="deadweight-bench-") as name:
        scratch = Path(name)
        arguments = command(variant, WORKLOADS / f"{workload}.py", setup, scratch)
        return _run(arguments, scratch, setup.timeout_s, supervised=variant in ("sampled", "exact"))


def _run(arguments: list[str], scratch: Path, timeout_s: float, supervised: bool) -> dict[str, Any]:
    note = scratch / "note.json"
    environment = {**clean_environment(), "BENCH_NOTE": str(note)}
    with open(scratch / "output", "w+b") as output:
        begun = time.monotonic()
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=scratch,
            start_new_session=True,
        )
        late = threading.Event()
        timer = threading.Timer(timeout_s, _end, (process.pid, late))
        timer.start()
        try:
            # Look before reaping: the clock of a process can be read until then, and has its own threads only.
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            wall = time.monotonic() - begun
            own = time.clock_gettime(_cpu_clock(process.pid))
        finally:
            timer.cancel()
            timer.join()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        output.seek(0)
        tail = output.read()[-2000:].decode(errors="replace").strip()
    if late.is_set():
        return {"error": f"took longer than {timeout_s:.0f} s"}
    if process.returncode != 0 or not note.is_file():
        return {"error": f"exit status {process.returncode}", "output": tail}
    inside = json.loads(note.read_text())
    tree = usage.ru_utime + usage.ru_stime
    supervisor = min(own, tree) if supervised else 0.0
    figures: dict[str, Any] = {
        "result": inside["result"],
        "cpu_s": tree - supervisor,
        "supervisor_cpu_s": supervisor,
        "inside_cpu_s": inside["cpu_s"],
        "peak_kib": _peak_kib(inside["peak_kib"], usage.ru_maxrss),
        "wall_s": wall,
        "record_bytes": _size(scratch / "record"),
    }
    return figures


def _cpu_clock(pid: int) -> int:
    """The identifier of a process's CPU-time clock, as clock_getcpuclockid(3) makes it on Linux."""
    return (~pid << 3) | 2


def _peak_kib(inside: int, from_outside: int) -> int:
    """The larger of the two. A process starts with its parent's size as ``ru_maxrss``, so a figure as small as this
    program's own says nothing; a larger one has what was used after the workload's note was written."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return max(inside, from_outside) if from_outside > own * 1.1 else inside


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size if path.exists() else 0


def _end(pid: int, late: threading.Event) -> None:
    """Ends the run's own session, which has the process and all its children."""
    late.set()
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def copy_of(binary: Path, place: Path) -> Path:
    """A copy of `deadweight` that a build cannot change during the measurement."""
    copy = place / "deadweight"
    shutil.copy2(binary, copy)
    return copy


def prepare(variants: list[str], python: str, deadweight: Path | None) -> Setup:
    """Makes the environments that the variants need."""
    names = sorted({VARIANTS[variant] for variant in variants})
    return Setup(deadweight, {name: environments.prepare(name, python) for name in names})
