"""Named parts of a program, of which the report says what they need."""

from __future__ import annotations

import functools
import inspect
import itertools
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Callable, Tuple, TypeVar

from . import _agent

if TYPE_CHECKING:
    from types import TracebackType

_F = TypeVar("_F", bound=Callable[..., Any])

# An entering of a region: its number, the entering around it, and the `region` that was entered. The agent reads the
# number in the running thread's context, so the number comes first and is small.
_Entry = Tuple[int, Any, Any]  # the second is an _Entry or None: aliases cannot be recursive in 3.9
_OUTSIDE: _Entry = (0, None, None)
_current: ContextVar[_Entry] = ContextVar("deadweight.region", default=_OUTSIDE)
_numbers = itertools.count(1)
_LARGEST_NUMBER = (1 << 30) - 1

# The agent's functions; None outside of `deadweight run`, and where it has none.
_enter: Any = None
_leave: Any = None


def _connect() -> None:
    """Finds the agent's functions, and shows it where the current region is kept."""
    global _enter, _leave
    try:
        begin = _agent.function("deadweight_regions", "c_void_p", "c_void_p", result="c_int")
        enter = _agent.function("deadweight_region_enter")
        leave = _agent.function("deadweight_region_leave")
        # Without types of arguments ctypes takes `int` and `bytes` as they are, and allocates nothing in or around a region.
        enter.argtypes = leave.argtypes = None
        token = _current.set(_OUTSIDE)
        begin(id(_current), id(_OUTSIDE))
        _current.reset(token)
        _enter, _leave = enter, leave
    except Exception:
        # Another agent, or a Python without ctypes: the program goes on without regions.
        pass


if _agent.IS_RECORDED:
    _connect()


class region:
    """A part of the program: `with deadweight.region("load"):`, or `@deadweight.region("load")`.

    Under `deadweight run` the report says, for each name, how often it was entered and for how long (seconds), the
    most memory that it held at once, how much it left behind, and how much it allocated and freed again (bytes; in a
    sampled run estimates with their standard error). Outside of it a region does nothing: a `with` costs a fraction
    of a microsecond, and a decorated function is the function itself.

    A region belongs to the thread or asyncio task that entered it, and to the tasks that this one creates meanwhile.
    Regions may be nested, and entered many times and in parallel, also through the same object. Decorated generator
    functions are in their region while they run, not while they are suspended; each resumption counts as an entering.

    `name` is text of up to 512 bytes in UTF-8. Never raises, except `TypeError` where what is decorated is no function.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name: str = name

    def __enter__(self) -> region:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        pass

    def __call__(self, function: _F) -> _F:
        """Decorates a function, a coroutine function, or a generator function of either kind."""
        if not callable(function) or inspect.isclass(function):
            raise TypeError(f"deadweight.region decorates functions, and {function!r} is none")
        return function if _enter is None else _wrapped(self.name, function)


class _Recorded(region):
    """A region that the agent is told of."""

    __slots__ = ("_bytes", "_open")

    def __init__(self, name: str) -> None:
        self.name = name
        self._bytes = str(name).encode("utf-8", "replace")
        # Numbers of the enterings that go on.
        self._open: list[int] = []

    def __enter__(self) -> region:
        number = next(_numbers) & _LARGEST_NUMBER
        around = _current.get()
        self._open.append(number)
        _current.set((number, around, self))
        _enter(number, around[0], self._bytes, len(self._bytes))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        if not self._open:
            return
        entry = _current.get()
        if entry[2] is self:
            number, around = entry[0], entry[1]
        else:
            number, around = self._left_out_of_turn(entry)
        if number in self._open:
            self._open.remove(number)
        # What this frees was no part of the region.
        _leave(number, around[0])
        _current.set(around)

    def _left_out_of_turn(self, entry: _Entry) -> tuple[int, _Entry]:
        """Which entering ends, and where that leaves this context, when the innermost region is another one."""
        inner = []
        found: _Entry = entry
        while found[2] is not self and found[1] is not None:
            inner.append(found)
            found = found[1]
        if found[2] is not self:
            # It was entered in another context, as by a generator that another task closes.
            return self._open[-1], entry
        around: _Entry = found[1]
        for still in reversed(inner):
            around = (still[0], around, still[2])
        return found[0], around


def _wrapped(name: str, function: Any) -> Any:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            with region(name):
                return await function(*args, **kwargs)

        return coroutine
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def async_generator(*args: Any, **kwargs: Any) -> Any:
            inner = function(*args, **kwargs)
            step, sent = inner.asend, None
            while True:
                try:
                    with region(name):
                        value = await step(sent)
                except StopAsyncIteration:
                    return
                try:
                    step, sent = inner.asend, (yield value)
                except GeneratorExit:
                    with region(name):
                        await inner.aclose()
                    raise
                except BaseException as error:
                    step, sent = inner.athrow, error

        return async_generator
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Any:
            inner = function(*args, **kwargs)
            step, sent = inner.send, None
            while True:
                try:
                    with region(name):
                        value = step(sent)
                except StopIteration as stop:
                    return stop.value
                try:
                    step, sent = inner.send, (yield value)
                except GeneratorExit:
                    with region(name):
                        inner.close()
                    raise
                except BaseException as error:
                    step, sent = inner.throw, error

        return generator

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        with region(name):
            return function(*args, **kwargs)

    return plain


if not TYPE_CHECKING and _enter is not None:
    _Recorded.__name__ = _Recorded.__qualname__ = "region"
    _Recorded.__doc__ = region.__doc__
    region = _Recorded
