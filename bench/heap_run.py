"""One run of the made heap under one variant, and the analysis of its snapshot."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, NamedTuple

import heap_snapshot
import measure

PROGRAM = Path(__file__).resolve().parent / "heap_program.py"

#: The variants, and the environment that each runs in.
VARIANTS: dict[str, str] = {
    "plain": "plain",
    "deadweight": "plain",
    "pyheap": "heap-peers",
    "guppy3": "heap-peers",
    "objgraph": "heap-peers",
    "pympler": "heap-peers",
}

#: Ballast for snapshots by growth: a quarter of what an object needs (about 100 bytes), and the growth that always counts.
_BALLAST_MIB = 64
_BALLAST_PER_OBJECT = 30


class Setup(NamedTuple):
    """What the runs need."""

    places: dict[str, Path]
    deadweight: Path | None
    #: How a snapshot is had: ``demand`` or ``growth``.
    trigger: str
    heap_answer: Path | None
    pyheap: Path | None
    no_gc: bool
    timeout_s: float


class Late(Exception):
    """A run took too long."""


def ballast_mib(objects: int, setup: Setup) -> int:
    """What the program takes after its heap is made, so that growth makes a snapshot due."""
    return 0 if setup.trigger == "demand" else _BALLAST_MIB + (objects * _BALLAST_PER_OBJECT >> 20)


def run(variant: str, objects: int, setup: Setup) -> dict[str, Any]:
    """Runs the program once. The answer has either ``error`` or the figures, or, of a peer that took too long, both."""
    with tempfile.TemporaryDirectory(prefix="deadweight-bench-") as name:
        return _Run(variant, objects, setup, Path(name)).result()


class _Run:
    def __init__(self, variant: str, objects: int, setup: Setup, folder: Path) -> None:
        self.variant, self.objects, self.setup, self.folder = variant, objects, setup, folder
        self.capture = folder / "record.dw"
        self.extra: dict[str, Any] = {}
        self.until = time.monotonic() + setup.timeout_s
        self.writers: heap_snapshot.Writers | None = None
        self.found: heap_snapshot.Snapshot | None = None
        self.pid = 0

    def command(self) -> list[str]:
        python = str(self.setup.places[VARIANTS[self.variant]] / "bin" / "python")
        action = {"plain": "fork", "deadweight": "watch", "pyheap": "dump"}.get(self.variant, self.variant)
        script = [str(PROGRAM), str(self.objects), action]
        if self.setup.no_gc:
            script.append("--no-gc")
        if self.variant in ("plain", "deadweight"):
            script += ["--ballast", str(ballast_mib(self.objects, self.setup))]
        if self.variant == "deadweight":
            record = ["run", "-q", "-o", str(self.capture), "--python", python]
            return [str(self.setup.deadweight), *record, *script]
        return [python, *script]

    def result(self) -> dict[str, Any]:
        environment = {**measure.clean_environment(), "BENCH_FOLDER": str(self.folder)}
        with open(self.folder / "output", "w+b") as output:
            process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd=self.folder,
                start_new_session=True,
            )
            try:
                error = self.accompany(process)
            except Late:
                error = f"took longer than {self.setup.timeout_s:.0f} s"
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                process.wait()
                if self.writers:
                    self.writers.close()
            output.seek(0)
            tail = output.read()[-2000:].decode(errors="replace").strip()
        figures: dict[str, Any] = {**self.note(), **self.extra}
        if self.writers:
            figures["writers"] = self.writers.listed()
        gaps = figures.pop("gaps", [])
        if not error and self.variant == "deadweight":
            error = self.add_snapshot(figures, gaps)
        if not error and self.variant == "pyheap":
            figures["gap_s"] = max((length for _, length in gaps), default=0.0)
        if error:
            figures.update(error=error, output=tail)
        return figures

    def note(self) -> dict[str, Any]:
        try:
            note: dict[str, Any] = json.loads((self.folder / "note.json").read_text())
        except FileNotFoundError:
            return {}
        return note

    def accompany(self, process: "subprocess.Popen[bytes]") -> str | None:
        """Does what the variant is about, until the process has ended. Returns what went wrong."""
        if self.variant == "deadweight":
            self.writers = heap_snapshot.Writers(process.pid)
        error = None
        if self.variant in ("deadweight", "pyheap"):
            if self.wait(process, (self.folder / "ready").exists):
                note = self.note()
                error = self.pyheap(note) if self.variant == "pyheap" else self.snapshot(process, note)
            (self.folder / "stop").touch()
        self.wait(process, lambda: False)
        if process.returncode != 0 or not self.note().get("complete"):
            return error or f"exit status {process.returncode}"
        return error

    def wait(self, process: "subprocess.Popen[bytes]", done: Callable[[], bool]) -> bool:
        """Waits until something is done (True) or the process has ended, and watches who writes snapshots."""
        while not done():
            if process.poll() is not None:
                return False
            if time.monotonic() > self.until:
                raise Late
            if self.writers:
                self.pid = self.pid or int(self.note().get("pid", 0))
                self.writers.look(self.pid)
            else:
                time.sleep(0.005)
        return True

    def snapshot(self, process: "subprocess.Popen[bytes]", note: dict[str, Any]) -> str | None:
        """Has a snapshot taken, and waits until it is written."""
        pid, ready = note["pid"], note["ready_monotonic"]
        asking = None
        if self.setup.trigger == "demand":
            command = [str(self.setup.deadweight), "snapshot", str(pid)]
            asking = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        until = time.monotonic() + 150.0

        def done() -> bool:
            if asking and asking.poll():
                return True
            self.found = heap_snapshot.complete(self.capture, pid, ready)
            writer = self.writers.of(self.found) if self.writers and self.found else None
            return bool(self.found and (not writer or writer.ended)) or time.monotonic() > until

        whole = self.wait(process, done)
        refused = ""
        if asking:
            refused = asking.communicate()[1].decode(errors="replace").strip()
        if whole and self.found:
            return None
        return f"no snapshot: {refused or 'none was completed'}"

    def add_snapshot(self, figures: dict[str, Any], gaps: list[list[float]]) -> str | None:
        if not self.found or not self.writers:
            return "no snapshot"
        writer = self.writers.of(self.found)
        figures["snapshot"] = heap_snapshot.figures(writer, self.found, gaps)
        figures["snapshots"] = len(self.writers.all)
        figures["highest_private_kib"] = max((each.private_kib for each in self.writers.all), default=0)
        one = heap_snapshot.only(self.capture, self.found.number, self.folder / "one.dw")
        figures["analysis"] = analyse(one, self.folder, self.setup)
        return None

    def pyheap(self, note: dict[str, Any]) -> str | None:
        """Dumps the heap with PyHeap, whose code runs in the program, called by gdb."""
        if not self.setup.pyheap:
            return "no PyHeap"
        dump = self.folder / "heap.pyheap"
        python = str(self.setup.places[VARIANTS["pyheap"]] / "bin" / "python")
        command = [python, str(self.setup.pyheap), "--pid", str(note["pid"]), "--file", str(dump)]
        before = time.monotonic()
        with open(self.folder / "pyheap", "w+b") as output:
            dumper = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
            try:
                dumper.wait(max(1.0, self.until - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(dumper.pid, signal.SIGKILL)
                dumper.wait()
                raise Late from None
            output.seek(0)
            said = output.read().decode(errors="replace")
        self.extra["dump_s"] = time.monotonic() - before
        if dumper.returncode or not dump.is_file():
            return f"PyHeap ended with status {dumper.returncode}: {' '.join(said[-300:].split())}"
        self.extra["dump_bytes"] = dump.stat().st_size
        counted = re.search(r"Visited (\d+) objects", said)
        if counted:
            self.extra["dump_objects"] = int(counted.group(1))
        return None


def analyse(capture: Path, folder: Path, setup: Setup) -> dict[str, Any]:
    """Time and memory of the report, and of the analysis of the heap alone, of a capture with one snapshot."""
    found: dict[str, Any] = {}
    report = [str(setup.deadweight), "report", "--format", "json", str(capture)]
    found["report"], text = _cost(report, folder / "report.json", setup.timeout_s)
    if "error" not in found["report"]:
        kinds: dict[str, int] = {}
        for finding in json.loads(text)["findings"]:
            kinds[finding["kind"]] = kinds.get(finding["kind"], 0) + finding["bytes"]
        found["report"]["findings"] = kinds
    if setup.heap_answer:
        found["heap"], text = _cost([str(setup.heap_answer), str(capture)], folder / "answer", setup.timeout_s)
        for name in ("native", "garbage"):
            match = re.search(name + r" ([\d.]+) MiB", text)
            if match:
                found["heap"][f"{name}_mib"] = float(match.group(1))
    return found


def _cost(command: list[str], output: Path, timeout_s: float) -> tuple[dict[str, Any], str]:
    """What a command costs, and what it prints. Anonymous memory is sampled; the peak also has the mapped capture."""
    anonymous, samples = 0, 0
    with open(output, "w+b") as file:
        begun = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
        fd = os.pidfd_open(process.pid)
        try:
            while not os.waitid(os.P_PIDFD, fd, os.WEXITED | os.WNOWAIT | os.WNOHANG):
                if time.monotonic() - begun > timeout_s:
                    process.kill()
                anonymous = max(anonymous, _anonymous_kib(process.pid))
                samples += 1
                time.sleep(0.02)
            wall = time.monotonic() - begun
        finally:
            os.close(fd)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        file.seek(0)
        text = file.read().decode(errors="replace")
    if process.returncode:
        return {"error": f"exit status {process.returncode}: {text[-300:]}"}, text
    cost = {
        "wall_s": wall,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_kib": usage.ru_maxrss,
        "anonymous_kib": anonymous,
    }
    return cost, text


def _anonymous_kib(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("RssAnon:")), 0)
    except OSError:
        return 0
