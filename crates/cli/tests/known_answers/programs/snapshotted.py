"""Programs of which heap snapshots are taken, by name: what each prints must be the same under a profiler."""

import atexit  # noqa: F401 -- as any larger program has it: then there is a snapshot at the end, too
import functools
import gc
import os
import signal
import sys
import threading
import time

MIB = 1024 * 1024


class Record:
    def __init__(self, number: int) -> None:
        self.number = number
        self.name = "record %d" % number
        self.neighbour = None


def writers() -> "list[int]":
    """Processes that write a snapshot of this run: they have a file of it mapped."""
    found = []
    capture = os.environ.get("DEADWEIGHT_CAPTURE")
    if capture is None:
        return found
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/maps" % pid) as maps:
                if any(capture in line and ".dwh" in line for line in maps):
                    found.append(int(pid))
        except OSError:
            pass
    return found


def grow(records: int = 300_000) -> list:
    """Some 100 MiB of objects, made in steps so that snapshots fall between them."""
    kept = []
    for start in range(0, records, 20_000):
        kept += [Record(number) for number in range(start, start + 20_000)]
        time.sleep(0.01)
    return kept


def nobody_to_wait_for() -> None:
    signals = []
    signal.signal(signal.SIGCHLD, lambda *_: signals.append(1))
    kept = grow()
    try:
        waited = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        waited = "nobody"
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    status = os.waitpid(-1, 0) == (pid, 7 << 8)
    print(len(kept), waited, status, len(signals))


def same_process() -> None:
    before = sorted(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task")), os.getpgrp() == os.getpgid(0)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    kept = grow()
    after = sorted(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task")), os.getpgrp() == os.getpgid(0)
    print(len(kept), before == after, mask == signal.pthread_sigmask(signal.SIG_BLOCK, []), gc.isenabled())
    print(sys.gettrace(), sys.getprofile(), gc.callbacks, sorted(set(dir(gc)) & {"callbacks"}))


def signals_all_the_time() -> None:
    """A timer that goes off hundreds of times a second: handlers run in this process only, and none is lost."""
    pid, others, seen = os.getpid(), [], [0]

    def handler(*_: object) -> None:
        seen[0] += 1
        if os.getpid() != pid:
            others.append(os.getpid())

    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    kept = grow()
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(len(kept), others, seen[0] > 20)


def writer_is_killed() -> None:
    kept = []
    for start in range(0, 300_000, 20_000):
        kept += [Record(number) for number in range(start, start + 20_000)]
        for pid in writers():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    print(len(kept), sum(record.number for record in kept))


def collected_all_the_time() -> None:
    """The collector touches every object: each page would be copied for a writer that did not give up."""
    kept = grow()
    most = 0
    for _ in range(10):
        for record in kept:
            record.neighbour = record
        gc.collect()
        for pid in writers():
            try:
                with open("/proc/%d/smaps_rollup" % pid) as rollup:
                    private = sum(int(line.split()[1]) for line in rollup if line.startswith("Private"))
                most = max(most, private * 1024)
            except (OSError, ValueError):
                pass
    print(len(kept), "bounded" if most < 100 * MIB else "a writer has %d MiB of its own" % (most // MIB))


def forks_while_one_is_written() -> None:
    kept = grow(200_000)
    statuses = []
    for number in range(6):
        pid = os.fork()
        if pid == 0:
            more = grow(60_000)
            os._exit(number if len(more) == 60_000 and len(kept) >= 200_000 else 99)
        kept += grow(20_000)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    print(len(kept), statuses)


class Index:
    """Its caches belong to the class and keep the indexes."""

    def __init__(self, number: int) -> None:
        self.words = ["%d of %d" % (word, number) for word in range(4000)]

    @functools.lru_cache(maxsize=1000)
    def first(self) -> str:
        return self.words[0]

    @functools.lru_cache(maxsize=1000)
    def last(self) -> str:
        return self.words[-1]


def in_another_thread() -> None:
    """The thread that makes the objects is not the main one, which waits for it: no pending call is made."""

    def work() -> None:
        for number in range(900):
            index = Index(number)
            index.first(), index.last()
            time.sleep(0.005)

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    print(Index.first.cache_info().currsize)


def cycles() -> None:
    """Pairs that hold each other: garbage when the program ends, because the collector is off."""
    gc.disable()
    for number in range(250_000):
        record, neighbour = Record(number), Record(-number)
        record.neighbour, neighbour.neighbour = neighbour, record
    print("made")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
