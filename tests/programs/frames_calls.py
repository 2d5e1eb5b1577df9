"""Stacks made by calls of every kind, in one thread: see frames.py."""

from __future__ import annotations

import contextlib
import functools
import re
import sys
from typing import Any, Callable, Iterator

from frames_record import alloc


def nesting() -> None:
    def outer() -> int:
        return middle()

    def middle() -> int:
        return alloc("nesting: closure")

    outer()
    (lambda: alloc("nesting: lambda"))()
    functools.partial(alloc, "nesting: partial")()
    functools.partial(lambda case: alloc(case), "nesting: partial of a lambda")()


def recursion(depth: int) -> int:
    return alloc("recursion: 1000 deep") if depth == 0 else recursion(depth - 1)


def from_builtins() -> None:
    sorted([3, 1, 2], key=lambda value: alloc("builtins: sorted key") * value)
    list(map(lambda _: alloc("builtins: map"), range(2)))
    list(filter(lambda _: alloc("builtins: filter"), range(2)))
    max([1, 2], key=lambda _: alloc("builtins: max key"))
    re.sub("[ab]", lambda match: str(alloc("builtins: re.sub " + match.group())), "abc")
    functools.reduce(lambda total, value: total + alloc("builtins: reduce"), [1, 2, 3])


def comprehensions() -> None:
    [alloc("comprehensions: list") for _ in range(2)]
    {alloc("comprehensions: set") for _ in range(2)}
    {turn: alloc("comprehensions: dict") for turn in range(2)}
    sum(alloc("comprehensions: generator") for _ in range(2))
    [[alloc("comprehensions: nested") for _ in range(2)] for _ in range(2)]


def decorated() -> None:
    def twice(function: Callable) -> Callable:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            function(*args, **kwargs)
            return function(*args, **kwargs)

        return wrapper

    @twice
    @functools.lru_cache(maxsize=None)
    def work(case: str = "decorated: lru_cache") -> int:
        return alloc(case)

    work()
    twice(alloc)(case="decorated: keyword")


class Meta(type):
    def __new__(mcs, name: str, bases: tuple, names: dict) -> Any:
        alloc("classes: metaclass __new__")
        return super().__new__(mcs, name, bases, names)

    def __call__(cls, *args: Any) -> Any:
        alloc("classes: metaclass __call__")
        return super().__call__(*args)


class Simple:
    def __init__(self, turn: int) -> None:
        self.length = alloc("classes: __init__") if turn % 20 == 0 else turn


class Rich:
    def __getattr__(self, name: str) -> int:
        return alloc("classes: __getattr__ " + name)

    @property
    def size(self) -> int:
        return alloc("classes: property")

    def __len__(self) -> int:
        return alloc("classes: __len__")

    def __add__(self, other: Any) -> int:
        return alloc("classes: __add__")

    def __getitem__(self, key: Any) -> int:
        return alloc("classes: __getitem__")

    @classmethod
    def make(cls) -> int:
        return alloc("classes: classmethod")


def classes() -> None:
    class Body:
        length = alloc("classes: body")

        class Inner:
            length = alloc("classes: inner body")

    class WithMeta(metaclass=Meta):
        pass

    WithMeta()
    for turn in range(200):  # enough for the call to be specialised
        Simple(turn)
    for _ in range(20):
        rich = Rich()
        rich.missing, rich.size, len(rich), rich + 1, rich[0], Rich.make()


def statements() -> None:
    @contextlib.contextmanager
    def managed() -> Iterator[int]:
        yield alloc("statements: context manager enters")
        alloc("statements: context manager leaves")

    try:
        alloc("statements: try")
        raise KeyError(
            alloc("statements: raise"),
        )
    except KeyError:
        alloc("statements: except")
    finally:
        alloc("statements: finally")
    with managed() as entered, managed():
        alloc("statements: with")
    total = (
        entered
        + alloc("statements: third line of five")
        + len(
            str(
                alloc("statements: in nested calls"),
            )
        )
    )
    total += sum(
        [
            alloc("statements: list, first"),
            alloc(
                "statements: list, second",
            ),
        ]
    )
    assert total > 0, alloc("statements: never")
    for _ in range(alloc("statements: for") and 1): total += alloc("statements: same line")  # fmt: skip
    while total and alloc("statements: while"):
        total = 0


def generated() -> None:
    """Two hundred modules, made, run and dropped one by one, so that code objects reuse addresses."""
    for number in range(200):
        blank = "\n" * (number % 7)
        source = f"{blank}def make_{number}(alloc):\n    return alloc('generated')\nmake_{number}(alloc)\n"
        names = {"alloc": alloc}
        exec(compile(source, f"<module {number}>", "exec"), names)
        names.clear()
    eval(compile("alloc('eval')", "<expression>", "eval"))
    eval("alloc('eval of a string')")
    exec("def inner():\n\n  return alloc('exec of a string')\ninner()", {"alloc": alloc})


def hot() -> None:
    """Loops long enough for specialisation and a JIT, with a check at every 500th turn."""

    def method_calls() -> int:
        total = 0
        for turn in range(5_000):
            total += Simple(1).length
            if turn % 500 == 499:
                total += alloc("hot: calls")
        return total

    def arithmetic() -> float:
        turn, value = 0, 0.5
        while turn < 5_000:
            value = value * 1.0001 + turn
            turn += 1
            if turn % 500 == 0:
                alloc("hot: arithmetic")
        return value

    def lists() -> int:
        values = [turn % 500 for turn in range(5_000)]
        return sum(alloc("hot: generator") if value == 499 else 1 for value in values)

    method_calls(), arithmetic(), lists()


def run() -> None:
    sys.setrecursionlimit(3_000)
    nesting()
    recursion(1_000)
    for case in (from_builtins, comprehensions, decorated, classes, statements, generated, hot):
        case()
