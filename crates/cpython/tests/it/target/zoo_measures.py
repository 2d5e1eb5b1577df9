# Sizes, names and counts, what runs when the process stops, and the program itself: the rest of zoo.py.

def sizes():
    for o in (1, -1, 2**30 - 1, 2**30, 2**60, -2**60, 10**100, True, 1.5, None,
              "", "a", "ascii" * 100, "\xe9", "\xe9" * 300, "\u20ac" * 99, "\U0001f40d" * 55,
              b"", b"b" * 77, (), (1,), tuple(range(100)), [], [1], list(range(1000)), [None] * 37,
              {}, {"a": 1}, {i: i for i in range(10)}, {str(i): i for i in range(1000)}, {i: i for i in range(70000)},
              set(), {1}, set(range(5)), set(range(1000)), frozenset(range(50)),
              bytearray(), bytearray(b"x" * 100), collections.deque(), collections.deque(range(1000)),
              collections.OrderedDict(a=1), collections.OrderedDict((i, i) for i in range(100)),
              collections.defaultdict(int, a=1), Slotted(), object(), range(5), slice(1),
              sizes, sys.stdout, fresh.__code__ if NEW < (3, 11) else 1j, types.ModuleType("m"), functools.partial(fresh)):
        size(o)
    grown = []
    for i in range(50):
        grown.append(i)
    size(grown)
    shrunk = bytearray(b"x" * 5000)
    del shrunk[10:]
    size(shrunk)
    size({"a%d" % i: 1 for i in range(5)}.copy())
    emptied = {i: i for i in range(100)}
    emptied.clear()
    size(emptied)
    suspended = counting(1)
    next(suspended)
    awaited = waiting(1)
    ended = counting(1)
    list(ended)
    for o in (suspended, counting(1), ended, awaited, producing(1)):
        size(o)
    if NEW >= (3, 11):
        # Up to 3.10 a frame may be a used one, with more room than sys.getsizeof counts.
        size(suspended.gi_frame)
        size(sys._getframe(0))
    # The field where others have `ob_size` is a list of weak references.
    keep.append(weakref.ref(suspended))
    size(suspended)
    awaited.close()
    utf8 = "caf\xe9 with utf-8 made"
    try:
        import ctypes
        ctypes.pythonapi.PyUnicode_AsUTF8AndSize(ctypes.py_object(utf8), None)
    except (ImportError, AttributeError):
        pass
    size(utf8)
    for kind in (Zero, One, SlottedWithDict, Metaclass):
        size(kind)


def measured_instances():
    # The bytes that are allocated for an instance and its attributes, as tracemalloc counts them.
    class Two:
        def __init__(self):
            self.first = None
            self.second = None

    class Nothing:
        pass
    import tracemalloc
    for kind in (Two, Nothing, Slotted, lambda: Number("9" * 50), lambda: Words("subclass"), lambda: Row((1, 2, 3))):
        for _ in range(100):
            kind()
        crowd = [None] * 1000
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for i in range(1000):
            crowd[i] = kind()
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        keep.append(crowd)
        # Rounding to whole objects removes the few bytes of tracemalloc's bookkeeping for `i` and `before`.
        say("heap", "allocated", id(crowd[500]), round((after - before) / 1000))


def all_types():
    seen, todo = set(), [object]
    while todo:
        kind = todo.pop()
        if kind in seen:
            continue
        seen.add(kind)
        todo += type.__subclasses__(kind)
    keep.append(list(seen))
    for kind in seen:
        module = type.__dict__["__module__"].__get__(kind)
        if isinstance(module, str):
            name = type.__dict__["__qualname__"].__get__(kind)
            say("heap", "name", id(kind), text(name if module == "builtins" else module + "." + name))


def referents():
    """What tp_traverse says of many objects whose references do not change any more."""
    kinds = (list, tuple, set, frozenset, types.FunctionType, types.MethodType, types.CellType, types.ModuleType,
             types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType, types.TracebackType, property,
             staticmethod, classmethod, BaseException, functools.partial, functools._lru_cache_wrapper,
             collections.deque, type, weakref.ref, Zero, One, Forty, SlottedWithDict, ManySlots, Row, Items,
             types.MappingProxyType, types.BuiltinFunctionType, types.FrameType, dict, types.MemberDescriptorType)
    volatile = [keep, lines, described, globals(), sys.modules, sys.__dict__, builtins.__dict__, threading._active,
                threading._limbo, threading._dangling.data, getattr(threading, "_shutdown_locks", None)]
    chosen = collections.defaultdict(list)
    # Identities, and no generator expressions: these would be objects whose references change.
    avoided = set(map(id, volatile + [chosen, sys._getframe(0), sys._getframe(1)]))
    for o in gc.get_objects():
        if id(o) not in avoided and issubclass(type(o), kinds) and len(chosen[type(o)]) < 400:
            chosen[type(o)].append(o)
    for group in list(chosen.values()):
        keep.append(group)
        for o in group:
            found = gc.get_referents(o)
            if isinstance(o, type) and "ctypes" in type(o).__module__:
                continue  # These metaclasses keep references in a C struct.
            if len(found) < 500 and avoided.isdisjoint(map(id, found)):
                say("heap", "referents", id(o), *map(id, found))


def running(argument, *, keyword):
    local = fresh("running")
    shared = fresh("shared")
    cell = (lambda: shared).__closure__[0]
    iterator = iter([fresh("iterated")])
    for name in ("argument", "keyword", "local", "iterator"):
        say("heap", "local", "running", name, id(locals()[name]))
    say("heap", "local", "running", "shared", id(cell))
    say("heap", "stack", "running", id(iterator))
    del cell
    for item in iterator:
        frozen()
        stop("zoo")


def frozen():
    for name, o in (("sys.modules", sys.modules), ("sys.__dict__", sys.__dict__), ("builtins.__dict__", builtins.__dict__)):
        say("heap", "root", name, id(o))
    popular = fresh("popular")
    keep.append([popular] * 1000)
    say("heap", "refcount", id(popular), 1002)
    if NEW >= (3, 12):
        say("heap", "immortal", id(None))
    keep.append(popular)
    gc.collect()
    survived = len(gc.get_objects())
    gc.freeze()
    keep.append([[i] for i in range(1000)])
    objects = gc.get_objects()
    say("heap", "count", len(objects), gc.get_freeze_count())
    say("heap", "survived", survived)
    say("heap", "tracked", *map(id, objects[-900:]))
    keep.append(objects)
    flush()


measured_instances()
for part in (dicts, instances, sequences, functions, modules_and_types, generators, exceptions, weak, sizes, all_types, referents):
    part()
    flush()
threading.Thread(target=running, args=(fresh("argument"),), kwargs={"keyword": fresh("keyword")}).start()
