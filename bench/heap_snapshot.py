"""Heap snapshots seen from outside: their files in a capture, and the process that writes them (docs/format.md)."""

from __future__ import annotations

import os
import select
import struct
import time
from pathlib import Path
from typing import Any, NamedTuple

_HEADER_BYTES = 128
_ENDED = 2
_HEAP_END = 0x25

#: A sample of a process's memory may take this part of the time at most: the kernel looks at each page for it.
_SAMPLING_SHARE = 0.05
_LEAST_PERIOD = 0.02


class Snapshot(NamedTuple):
    """A complete snapshot."""

    number: int
    #: When its process began to write: the program went on from about then. CLOCK_MONOTONIC, seconds.
    began: float
    objects: int
    failed: int
    #: What the agent says that the program stood still, in seconds.
    pause: float
    size: int


def complete(capture: Path, pid: int, after: float) -> Snapshot | None:
    """The first complete snapshot of a process that was begun after a time on CLOCK_MONOTONIC."""
    parts: dict[int, list[Path]] = {}
    for path in sorted(capture.glob(f"{pid}.0.*.dwh")):
        parts.setdefault(int(path.name.split(".")[2]), []).append(path)
    for number in sorted(parts):
        try:
            snapshot = _read(number, parts[number])
        except (OSError, ValueError, struct.error):
            continue  # being written, or removed meanwhile
        if snapshot and snapshot.began > after:
            return snapshot
    return None


def _read(number: int, parts: list[Path]) -> Snapshot | None:
    with open(parts[0], "rb") as file:
        (began,) = struct.unpack_from("<Q", file.read(_HEADER_BYTES), 48)
    with open(parts[-1], "rb") as file:
        last = file.read()
    if struct.unpack_from("<I", last, 60)[0] != _ENDED:
        return None
    objects, failed, pause = _end_event(_last_chunk(last))
    return Snapshot(number, began / 1e9, objects, failed, pause / 1e9, sum(part.stat().st_size for part in parts))


def _last_chunk(segment: bytes) -> bytes:
    at, payload = struct.unpack_from("<I", segment, 12)[0], b""
    while segment[at : at + 4] == b"chnk":
        (length,) = struct.unpack_from("<I", segment, at + 4)
        payload = segment[at + 24 : at + 24 + length] or payload
        at = (at + 24 + length + 7) // 8 * 8
    return payload


def _end_event(payload: bytes) -> tuple[int, int, int]:
    """The numbers of HeapEnd, the last event: read backwards, because only a number's last byte is below 128."""
    at, numbers = len(payload), []
    for _ in range(3):
        end = at
        at -= 1
        while at > 0 and payload[at - 1] >= 128:
            at -= 1
        if at < 1:
            raise ValueError("no HeapEnd")
        numbers.append(sum((byte & 127) << (7 * place) for place, byte in enumerate(payload[at:end])))
    if payload[at - 1] != _HEAP_END:
        raise ValueError("no HeapEnd")
    pause, failed, objects = numbers
    return objects, failed, pause


def only(capture: Path, number: int, copy: Path) -> Path:
    """A capture with the same files, of whose snapshots it has only the one with that number."""
    copy.mkdir()
    for path in capture.iterdir():
        if path.is_file() and (path.suffix != ".dwh" or path.name.split(".")[2] == str(number)):
            os.link(path, copy / path.name)
    return copy


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rsplit(")", 1)[1].split()


class _Writer:
    """A process that writes a snapshot."""

    def __init__(self, pid: int, fd: int, started: float) -> None:
        self.pid = pid
        self.fd = fd
        self.started = started
        self.ended: float | None = None
        self.exit_status: int | None = None
        self.cpu: float | None = None
        self.private_kib = 0
        self.samples = 0
        self.next_sample = 0.0

    def reap(self) -> None:
        """Reads how it ended, and its CPU time, if init has not taken it away yet."""
        try:
            fields = _stat(self.pid)
        except (OSError, IndexError):
            return
        if fields[0] == "Z":
            self.exit_status = os.waitstatus_to_exitcode(int(fields[49]))
            self.cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def sample(self, program_pid: int) -> None:
        begun = time.monotonic()
        try:
            with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as file:
                private = sum(int(line.split()[1]) for line in file if line.startswith("Private_"))
            with open(f"/proc/{program_pid}/statm", encoding="ascii") as file:
                if file.read().startswith("0 "):
                    return  # the program lets go of its memory: what they shared is the writer's alone
        except (OSError, ValueError):
            return  # it has ended
        now = time.monotonic()
        self.private_kib = max(self.private_kib, private)
        self.samples += 1
        self.next_sample = now + max(_LEAST_PERIOD, (now - begun) / _SAMPLING_SHARE)


class Writers:
    """Finds the processes that write snapshots in a session, and watches their memory and their end."""

    def __init__(self, session: int) -> None:
        self.session = session
        self.seen: set[int] = set()
        self.all: list[_Writer] = []
        self.poll = select.poll()

    def look(self, program_pid: int) -> None:
        """Finds new ones and samples those that are there. To be called again and again; waits a few milliseconds."""
        for name in os.listdir("/proc"):
            if name.isdecimal() and int(name) not in self.seen:
                self.seen.add(int(name))
                self._meet(int(name), program_pid)
        for fd, _ in self.poll.poll(5):
            self.poll.unregister(fd)
            writer = next(writer for writer in self.all if writer.fd == fd and writer.ended is None)
            writer.ended = time.monotonic()
            writer.reap()
            os.close(fd)
        now = time.monotonic()
        for writer in self.all:
            if writer.ended is None and now >= writer.next_sample:
                writer.sample(program_pid)

    def _meet(self, pid: int, program_pid: int) -> None:
        try:
            rest = _stat(pid)
            # A copy is a child of the program's of which no signal tells the end: proc(5), field 38.
            if int(rest[3]) != self.session or int(rest[1]) != program_pid or rest[35] != "0":
                return
            fd = os.pidfd_open(pid)
        except (OSError, ValueError, IndexError):
            return
        started = int(rest[19]) / os.sysconf("SC_CLK_TCK")
        since_boot = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
        self.all.append(_Writer(pid, fd, started - since_boot))
        self.poll.register(fd, select.POLLIN)

    def of(self, snapshot: Snapshot) -> _Writer | None:
        """The process that wrote a snapshot, which began within two of the kernel's ticks of its first file."""
        near = [writer for writer in self.all if abs(writer.started - snapshot.began) < 0.1]
        return min(near, key=lambda writer: abs(writer.started - snapshot.began), default=None)

    def listed(self) -> list[dict[str, Any]]:
        """All of them, in the order in which they were found: times on CLOCK_MONOTONIC, seconds. An exit status
        below 0 is a signal."""
        return [
            {
                "started": writer.started,
                "ended": writer.ended,
                "exit_status": writer.exit_status,
                "private_kib": writer.private_kib,
            }
            for writer in self.all
        ]

    def close(self) -> None:
        """Lets go of those that still run."""
        for writer in self.all:
            if writer.ended is None:
                os.close(writer.fd)


def figures(writer: _Writer | None, snapshot: Snapshot, gaps: list[list[float]]) -> dict[str, Any]:
    """What a snapshot cost: its process, and the program's gaps (start and length, seconds) while it was there."""
    found: dict[str, Any] = {
        "number": snapshot.number,
        "objects": snapshot.objects,
        "failed": snapshot.failed,
        "pause_s": snapshot.pause,
        "size_bytes": snapshot.size,
    }
    # The clone ends, for the program, a moment before or after the copy's first step.
    around = [length for start, length in gaps if start - 0.05 <= snapshot.began <= start + length + 0.05]
    if around:
        found["gap_s"] = max(around)
    if writer and writer.ended is not None:
        life = writer.ended - snapshot.began
        found.update(life_s=life, objects_per_s=snapshot.objects / life)
        found["longest_gap_s"] = max((length for start, length in gaps if start < writer.ended), default=0.0)
        if writer.cpu:
            found.update(cpu_s=writer.cpu)
        if writer.samples:
            found.update(private_kib=writer.private_kib, private_samples=writer.samples)
    return found
