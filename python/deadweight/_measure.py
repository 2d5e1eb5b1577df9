"""What one call needs of resident memory."""

from __future__ import annotations

import inspect
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Generic, TypeVar

from . import _agent
from ._region import region

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    _P = ParamSpec("_P")

_T = TypeVar("_T")

# Where the kernel does not reset its high-water mark, a thread looks so often; seconds.
_INTERVAL = 0.001


@dataclass(frozen=True)
class Measured(Generic[_T]):
    """What a call gave, and what it needed."""

    result: _T
    """What the function returned."""
    seconds: float
    """How long it took."""
    rss_before: int
    """Resident memory of this process before the call, in bytes."""
    rss_peak: int
    """The highest during the call, in bytes: never less than before and after it."""
    rss_after: int
    """The same after it, while the result is still there."""
    interval: float | None
    """None: the peak is the kernel's own high-water mark, which misses nothing. Else it comes from looks so many seconds
    apart (more, where a call into C keeps the GIL): what was higher in between was missed."""
    region: str | None
    """The name under which the report of this run has the heap figures of the call; None outside of `deadweight run`."""

    @property
    def rss_growth(self) -> int:
        """Bytes of resident memory that the call left behind, its result included; may be negative."""
        return self.rss_after - self.rss_before

    @property
    def rss_increase(self) -> int:
        """Bytes by which the peak was above the memory before the call: what the call needs."""
        return self.rss_peak - self.rss_before


def measure(func: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Measured[_T]:
    """Calls `func` once and measures the resident memory of this process meanwhile.

    Other threads of the process are measured too, child processes are not. The kernel counts resident memory by
    processor: figures may be wrong by a few hundred KiB. Memory that the process had got from the kernel and not
    given back is used again first, so a second call may show less than the first.

    The peak is the kernel's high-water mark (VmHWM), which is reset for that: what `resource.getrusage` says of the
    process (`ru_maxrss`) counts from this call on. Where the kernel does not permit it, a thread looks every
    millisecond, and `interval` says so. Calls of `measure` may be nested and made in several threads.

    Under `deadweight run` the call is a region as well (`Measured.region`).

    Raises what `func` raises; TypeError if `func` is a coroutine function; OSError where there is no /proc.
    """
    if inspect.iscoroutinefunction(func):
        raise TypeError(
            "deadweight.measure calls a function, and calling a coroutine function runs nothing: "
            "measure what runs it, as in measure(asyncio.run, main())"
        )
    name = f"{getattr(func, '__module__', None) or '?'}:{getattr(func, '__qualname__', None) or type(func).__name__}"
    with _HighWaterMark() as mark:
        before = mark.now()
        begun = time.perf_counter()
        with region(name):
            result = func(*args, **kwargs)
        seconds = time.perf_counter() - begun
        after = mark.now()
    peak = max(mark.highest, before, after)
    interval = None if mark.thread is None else _INTERVAL
    return Measured(result, seconds, before, peak, after, interval, name if _agent.IS_RECORDED else None)


# The measurements that go on, and what keeps them apart.
_lock = threading.Lock()
_active: list[_HighWaterMark] = []


class _HighWaterMark:
    """The highest resident memory from `__enter__` to `__exit__`, in bytes."""

    def __init__(self) -> None:
        self.highest = 0
        self.thread: threading.Thread | None = None
        self._ended = threading.Event()

    def now(self) -> int:
        return _status(b"VmRSS:")

    def __enter__(self) -> _HighWaterMark:
        with _lock:
            # Resetting takes from the others what they have not read yet.
            _note()
            is_reset = _reset()
            _active.append(self)
        if not is_reset:
            self.thread = threading.Thread(target=self._look, name="deadweight.measure", daemon=True)
            self.thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self.thread is not None:
            self._ended.set()
            self.thread.join()
        with _lock:
            if self.thread is None:
                _note()
            _active.remove(self)

    def _look(self) -> None:
        while True:
            self.highest = max(self.highest, self.now())
            if self._ended.wait(_INTERVAL):
                return


def _note() -> None:
    highest = _status(b"VmHWM:")
    for mark in _active:
        if mark.thread is None:
            mark.highest = max(mark.highest, highest)


def _reset() -> bool:
    """Sets the kernel's high-water mark to what is resident now, if it permits that."""
    try:
        file = os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.write(file, b"5") == 1
    except OSError:
        return False
    finally:
        os.close(file)


def _status(field: bytes) -> int:
    """A field of /proc/self/status, in bytes."""
    with open("/proc/self/status", "rb", buffering=0) as file:
        text = file.read(1 << 16)
    at = text.find(b"\n" + field)
    if at < 0:
        raise OSError(f"/proc/self/status has no {field.decode()} here: resident memory cannot be measured")
    return int(text[at + 1 + len(field) :].split(None, 1)[0]) * 1024
