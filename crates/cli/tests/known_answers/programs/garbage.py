"""Reference cycles of every kind, dropped while the collector is off.

States each kind (`cycle`: its steps, and how many there are), takes a snapshot, and then states what `gc.collect()` finds
(`collected`: how many objects, and how many of each type).

With `finalized`, the cycles are such that the finalizers break: generators and coroutines, which the collector closes first.
It frees them and does not count them, so this states how many of them are gone then (`died`).
"""

from __future__ import annotations

import collections
import functools
import gc
import json
import sys
import weakref

import deadweight

INSTANCES = 7
RING = 100_000


def payload() -> bytes:
    # Makes the object that has it the heaviest of its cycle.
    return bytes(5000)


class Parent:
    def __init__(self) -> None:
        self.data = payload()
        self.child = Child(self)


class Child:
    def __init__(self, parent: Parent) -> None:
        self.parent = parent


class Slotted:
    __slots__ = ("data", "other", "__weakref__")

    def __init__(self) -> None:
        self.data = payload()
        self.other = SlottedChild(self)


class SlottedChild:
    __slots__ = ("back",)

    def __init__(self, back: Slotted) -> None:
        self.back = back


class HalfSlotted(SlottedChild):
    """Slots of its base, and a dict of its own."""

    def __init__(self) -> None:
        self.data = payload()
        self.back = self  # type: ignore[assignment]


class Closure:
    def __init__(self) -> None:
        self.data = payload()
        self.callback = lambda: self


class Generating:
    def __init__(self) -> None:
        self.data = payload()
        self.items = self.run()
        next(self.items)

    def run(self):
        yield 1
        yield self


class Pause:
    def __await__(self):
        yield


class Awaiting:
    def __init__(self) -> None:
        self.data = payload()
        self.task = self.run()
        self.task.send(None)

    async def run(self):
        await Pause()
        return self


class AsyncGenerating:
    def __init__(self) -> None:
        self.data = payload()
        self.items = self.run()
        try:
            self.items.__anext__().send(None)
        except StopIteration:
            pass

    async def run(self):
        yield self


class Bound:
    def __init__(self) -> None:
        self.data = payload()
        self.hook = self.method

    def method(self) -> None:
        pass


class Cached:
    def __init__(self) -> None:
        self.data = payload()
        self.compute = functools.lru_cache(maxsize=None)(self.slow)

    def slow(self, x: int) -> int:
        return x


class CachedResult:
    """The cache holds it as an argument."""

    def __init__(self) -> None:
        self.data = payload()
        cached = functools.lru_cache(maxsize=10)(identity)
        cached(self)
        self.cached = cached


def identity(x):
    return x


class Partial:
    def __init__(self) -> None:
        self.data = payload()
        self.later = functools.partial(identity, self)


class PartialKeyword:
    def __init__(self) -> None:
        self.data = payload()
        self.later = functools.partial(identity, x=self)


class Dying:
    died = 0

    def __init__(self) -> None:
        self.data = payload()
        self.me = self

    def __del__(self) -> None:
        Dying.died += 1


class Weak:
    def __init__(self) -> None:
        self.data = payload()
        self.me = self
        self.reference = weakref.ref(self)
        self.proxy = weakref.proxy(self)


class WeakOnly:
    """No cycle: it is freed at once."""

    def __init__(self) -> None:
        self.data = payload()
        self.reference = weakref.ref(self)


class InList:
    def __init__(self) -> None:
        self.data = payload()
        self.items = [None, self]


class InTuple:
    def __init__(self) -> None:
        self.data = payload()
        self.items = (None, None, self)


class InSet:
    def __init__(self) -> None:
        self.data = payload()
        self.items = {self}


class InFrozenSet:
    def __init__(self) -> None:
        self.data = payload()
        self.items = frozenset((self,))


class InDict:
    def __init__(self) -> None:
        self.data = payload()
        self.items = {"me": self}


class InNumberedDict:
    def __init__(self) -> None:
        self.data = payload()
        self.items = {17: self}


class InKey:
    def __init__(self) -> None:
        self.data = payload()
        self.items = {self: None}


class InDeque:
    def __init__(self) -> None:
        self.data = payload()
        self.items = collections.deque([self])


class InDefaultDict:
    def __init__(self) -> None:
        self.data = payload()
        self.items = collections.defaultdict(list)
        self.items["me"] = self


class InOrderedDict:
    def __init__(self) -> None:
        self.data = payload()
        self.items = collections.OrderedDict(me=self)


class InProperty:
    def __init__(self) -> None:
        self.data = payload()
        self.made = property(lambda x, me=self: me)


class ManyAttributes:
    """More attributes than an inlined dict has room for, in another order than those of the others."""

    def __init__(self, n: int) -> None:
        self.data = payload()
        for i in range(n, n + 60):
            setattr(self, "attribute_%d" % i, None)
        self.me = self


class Materialised:
    def __init__(self) -> None:
        self.data = payload()
        self.me = self
        self.__dict__["extra"] = 1


class Replaced:
    def __init__(self) -> None:
        self.__dict__ = {"data": payload(), "me": self}


class Trouble(Exception):
    pass


def keeps_its_exception() -> None:
    data = payload()
    try:
        raise Trouble(data)
    except Trouble as error:
        kept = error
    del data
    return None if kept else None


class Linked:
    __slots__ = ("next", "__weakref__")

    def __init__(self, following: Linked | None) -> None:
        self.next = following


def ring() -> None:
    last = first = Linked(None)
    for _ in range(RING - 1):
        first = Linked(first)
    last.next = first


BASES: list[type] = [
    int,
    float,
    complex,
    str,
    bytes,
    bytearray,
    list,
    tuple,
    dict,
    set,
    frozenset,
    collections.deque,
    collections.defaultdict,
    collections.OrderedDict,
    collections.Counter,
    BaseException,
    OSError,
    StopIteration,
    functools.partial,
    property,
    object,
]


class MyType(type):
    pass


def subclass(base: type) -> type:
    return type("My_" + base.__name__, (base,), {})


def make_subclassed(made: type) -> None:
    arguments = (identity,) if issubclass(made, functools.partial) else ()
    for _ in range(INSTANCES):
        instance = made(*arguments)
        instance.data = payload()
        instance.me = instance


def make_classes() -> None:
    for _ in range(INSTANCES):
        made = MyType("Made", (), {"data": payload()})
        made.me = made


def make_lists() -> None:
    for _ in range(INSTANCES):
        items: list = [payload()]
        items.append(items)


class Waiting:
    """A coroutine that waits for another one, whose frame knows the first."""

    def __init__(self) -> None:
        self.data = payload()
        self.task = self.outer()
        self.task.send(None)

    async def outer(self):
        await self.inner()

    async def inner(self):
        await Pause()
        return self


def say(**fact: object) -> None:
    print(json.dumps(fact), flush=True)


def cycle(name: str, *steps: str, instances: int = INSTANCES) -> None:
    say(expect="cycle", name=name, steps=steps, instances=instances)


def drop_all() -> None:
    simple = [
        (Parent, ["Parent.child", "Child.parent"]),
        (Slotted, ["Slotted.other", "SlottedChild.back"]),
        (HalfSlotted, ["HalfSlotted.back"]),
        (Closure, ["Closure.callback", "=function.__closure__[0] (self)"]),
        (Bound, ["Bound.hook", "=method.__self__"]),
        (Cached, ["Cached.compute", "=functools._lru_cache_wrapper.__wrapped__", "=method.__self__"]),
        (Partial, ["Partial.later", "=functools.partial.args", "=tuple[0]"]),
        (PartialKeyword, ["PartialKeyword.later", "=functools.partial.keywords", "=dict['x']"]),
        (Dying, ["Dying.me"]),
        (Weak, ["Weak.me"]),
        (InList, ["InList.items", "=list[1]"]),
        (InTuple, ["InTuple.items", "=tuple[2]"]),
        (InSet, ["InSet.items", "=set (a key or member)"]),
        (InFrozenSet, ["InFrozenSet.items", "=frozenset (a key or member)"]),
        (InDict, ["InDict.items", "=dict['me']"]),
        (InNumberedDict, ["InNumberedDict.items", "=dict[<int>]"]),
        (InKey, ["InKey.items", "=dict (a key or member)"]),
        (InDeque, ["InDeque.items", "=collections.deque[0]"]),
        (InDefaultDict, ["InDefaultDict.items", "=collections.defaultdict['me']"]),
        (InOrderedDict, ["InOrderedDict.items", "=collections.OrderedDict['me']"]),
        (Materialised, ["Materialised.me"]),
        (Replaced, ["Replaced.me"]),
    ]
    for made, steps in simple:
        for _ in range(INSTANCES):
            made()
        cycle(made.__name__, *steps)
    for _ in range(INSTANCES):
        CachedResult()
    for _ in range(INSTANCES):
        InProperty()
    for n in range(INSTANCES):
        ManyAttributes(n)
    cycle("ManyAttributes", "ManyAttributes.me")
    for _ in range(INSTANCES):
        keeps_its_exception()
    cycle("Trouble", "Trouble.__traceback__", "=traceback.tb_frame", "=frame<local kept>")
    for base in BASES:
        made = subclass(base)
        kept.append(made)
        make_subclassed(made)
        cycle(made.__name__, made.__name__ + ".me")
    make_classes()
    make_lists()
    cycle("list", "=list[1]")
    ring()
    for _ in range(INSTANCES):
        WeakOnly()


def drop_finalized() -> None:
    simple = [
        (Generating, ["Generating.items", "=generator<local self>"]),
        (Awaiting, ["Awaiting.task", "=coroutine<local self>"]),
        (AsyncGenerating, ["AsyncGenerating.items", "=async_generator<local self>"]),
        (Waiting, ["Waiting.task", "=coroutine<local self>"]),
    ]
    for made, steps in simple:
        names.append(type_name(made))
        for _ in range(INSTANCES):
            references.append(weakref.ref(made()))
        cycle(made.__name__, *steps)


references: list = []
names: list = []
kept: list = []


def finalized() -> None:
    gc.disable()
    gc.collect()
    drop_finalized()
    deadweight.snapshot("warm-up")
    taken = deadweight.snapshot("garbage")
    alive = sum(reference() is not None for reference in references)
    gc.collect()
    died = alive - sum(reference() is not None for reference in references)
    say(expect="died", taken=taken, count=died, made=len(references), types=names)


def main() -> None:
    gc.disable()
    gc.collect()
    drop_all()
    # The first call imports ctypes.
    deadweight.snapshot("warm-up")
    gc.set_debug(gc.DEBUG_SAVEALL)
    taken = deadweight.snapshot("garbage")
    count = gc.collect()
    gc.set_debug(0)
    found = collections.Counter(map(type_name, map(type, gc.garbage)))
    say(expect="collected", taken=taken, count=count, types=found)
    assert Dying.died == INSTANCES, Dying.died
    gc.garbage.clear()


def type_name(kind: type) -> str:
    name = kind.__qualname__
    return name if kind.__module__ == "builtins" else kind.__module__ + "." + name


if __name__ == "__main__":
    if sys.argv[1:] == ["finalized"]:
        finalized()
    else:
        main()
