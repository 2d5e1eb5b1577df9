# A zoo of objects, and what each of them refers to. Every line begins with the word "heap":
#     edge OWNER LABEL TARGET          LABEL as `Heap::show` in tests/it/heap.rs writes it
#     referents OWNER TARGET...        what the owner's tp_traverse visits
#     size ID BYTES                    sys.getsizeof
#     allocated ID BYTES               what tracemalloc counts for an instance with its attributes
#     name TYPE TEXT                   how the type is called
#     tracked ID...                    gc.get_objects()
#     count OBJECTS FROZEN
#     local FRAME_NAME NAME TARGET | stack FRAME_NAME TARGET
#     refcount ID COUNT | immortal ID | closure FUNCTION INDEX NAME | root NAME ID
# Nothing that was announced may die before the process stops: `keep` sees to that.

import builtins
import collections
import types

say("version", text(sys.version), sys.hexversion)
flush()
gc.collect()
gc.disable()
keep = []
NEW = sys.version_info


def edge(owner, label, target):
    keep.append((owner, target))
    say("heap", "edge", id(owner), text(label), id(target))


def size(o):
    keep.append(o)
    say("heap", "size", id(o), sys.getsizeof(o))


def fresh(*a):
    return ["target", *a]


class Zero:
    pass


class One:
    def __init__(self):
        self.only = fresh()


class Forty:
    def __init__(self):
        for i in range(40):
            setattr(self, "attribute_%d" % i, fresh(i))


class Slotted:
    __slots__ = ("left", "right", "empty")


class SlottedChild(Slotted):
    __slots__ = ("more",)


class SlottedWithDict(SlottedChild):
    pass


class ManySlots:
    __slots__ = tuple("slot_%d" % i for i in range(30))


class Number(int):
    pass


class Row(tuple):
    pass


class Names(dict):
    pass


class Items(list):
    pass


class Words(str):
    pass


class Metaclass(type):
    pass


class WithMeta(metaclass=Metaclass):
    attribute = fresh()


class Reference(weakref.ref):
    pass


class Failure(Exception):
    pass


def dicts():
    d = {}
    for key in ["alpha", "beta", "gamma", "\xe9t\xe9"] + ["many %d" % i for i in range(300)]:
        d[key] = fresh(key)
    del d["beta"], d["many 7"]
    for key, value in d.items():
        edge(d, "['%s']" % key, value)
        edge(d, "member", key)
    mixed = {1000: fresh(), ("tuple", 5): fresh(), "text": fresh(), Words("words"): fresh(), 2.5: fresh()}
    del mixed[2.5]
    for key, value in mixed.items():
        edge(mixed, "['%s']" % key if isinstance(key, str) else "[@%d]" % id(key), value)
        edge(mixed, "member", key)
    for kind in (Names, collections.OrderedDict, collections.Counter):
        sub = kind(first=fresh(), second=fresh())
        edge(sub, "['first']", sub["first"])
        edge(sub, "['second']", sub["second"])
    default = collections.defaultdict(fresh)
    default["x"]
    edge(default, "['x']", default["x"])
    edge(default, ".default_factory", fresh)
    big = {i + 10**6: None for i in range(70000)}
    for key in list(big)[::9999]:
        edge(big, "member", key)
    if NEW >= (3, 15):
        frozen_dict = frozendict(first=fresh())
        edge(frozen_dict, "['first']", frozen_dict["first"])
        edge(frozen_dict, "member", "first")
        size(frozen_dict)
    sub = Names(a=1)
    sub.attribute = fresh()
    edge(sub, ".attribute", sub.attribute)


def instances():
    zero, one, forty = Zero(), One(), Forty()
    edge(one, ".only", one.only)
    for i in range(40):
        edge(forty, ".attribute_%d" % i, getattr(forty, "attribute_%d" % i))
    for o in (zero, one, forty):
        edge(o, "type", type(o))
    for make in (One, Forty):
        for touch in (lambda o: o.__dict__, lambda o: o.__dict__.update(added=fresh()), vars,
                      lambda o: setattr(o, "__dict__", {"replaced": fresh()}),
                      lambda o: [delattr(o, n) for n in list(vars(o))[:1]] and setattr(o, "late", fresh())):
            o = make()
            touch(o)
            for name, value in vars(o).items():
                edge(o, "." + name, value)
    crowd = [One() for _ in range(50)]
    for i, o in enumerate(crowd):
        if i % 3 == 0:
            setattr(o, "extra_%d" % i, fresh())
        for name, value in (dict(only=o.only) if i % 3 else dict([("only", o.only), ("extra_%d" % i, getattr(o, "extra_%d" % i))])).items():
            edge(o, "." + name, value)
    # Instances made early have room for more attributes than later ones, and a class may learn more names than those
    # have room for.
    class Growing:
        pass
    growing = [Growing() for _ in range(40)]
    for i, o in enumerate(growing + [Growing() for _ in range(40)]):
        for j in range(i % 29 + 1):
            setattr(o, "grown_%d" % (j * 7 % 29), fresh())
        keep.append(o)
        for name in ["grown_%d" % (j * 7 % 29) for j in range(i % 29 + 1)]:
            edge(o, "." + name, getattr(o, name))
    n, r, w = Number(10**30), Row((1, 2, 3)), Words("w\u20ac")
    for o in (n, r, w, Number(0), Number(-10**40), Row(), Items([1])):
        o.attribute = fresh()
        edge(o, ".attribute", o.attribute)
    edge(r, "[2]", r[2])
    o = ManySlots()
    for name in ManySlots.__slots__:
        setattr(o, name, fresh(name))
        edge(o, "." + name, getattr(o, name))
    for kind in (Slotted, SlottedChild, SlottedWithDict):
        o = kind()
        o.left, o.right = fresh(), fresh()
        edge(o, ".left", o.left)
        edge(o, ".right", o.right)
        if kind is not Slotted:
            o.more = fresh()
            edge(o, ".more", o.more)
        if kind is SlottedWithDict:
            o.loose = fresh()
            edge(o, ".loose", o.loose)


def sequences():
    for o in ([fresh(), fresh(), None], (fresh(), fresh()), Items([fresh()]), Row((fresh(), fresh())),
              collections.deque([fresh()]), collections.deque(maxlen=10)):
        for i, item in enumerate(o):
            edge(o, "[%d]" % i, item)
    d = collections.deque(fresh(i) for i in range(300))
    for i in range(100):
        d.popleft()
        d.appendleft(fresh(-i))
    d.rotate(77)
    for i, item in enumerate(d):
        edge(d, "[%d]" % i, item)
    for o in ({1.5, "two", (3,)}, frozenset(["x", 10**20]), {str(i) + "!" for i in range(1000)}):
        for item in o:
            edge(o, "member", item)
    s = set(str(i) + "?" for i in range(6))
    s.discard("2?")
    for item in s:
        edge(s, "member", item)


def make_closure():
    first, second, third = fresh(1), fresh(2), fresh(3)

    def closed(a=fresh("default"), *, b=fresh("keyword")) -> "note":
        inner = a
        return first, second, lambda: (inner, third)
    return closed, (first, second, third)


def functions():
    closed, values = make_closure()
    closed.attribute = fresh()
    for name in "__globals__ __closure__ __defaults__ __kwdefaults__ __code__ __dict__ __annotations__".split():
        edge(closed, "." + name, getattr(closed, name))
    for i, (name, cell) in enumerate(zip(closed.__code__.co_freevars, closed.__closure__)):
        edge(closed.__closure__, "[%d]" % i, cell)
        edge(cell, ".cell_contents", cell.cell_contents)
        say("heap", "closure", id(closed), i, text(name))
    assert closed.__code__.co_freevars == ("first", "second", "third")
    one = One()
    bound = types.MethodType(closed, one)
    edge(bound, ".__self__", one)
    edge(bound, ".__func__", closed)
    append = one.only.append
    edge(append, ".__self__", one.only)
    code = closed.__code__
    for name in "co_consts co_names co_filename co_name".split():
        edge(code, "." + name, getattr(code, name))
    part = functools.partial(closed, fresh("argument"), word=fresh("word"))
    part.attribute = fresh()
    edge(part, ".func", closed)
    edge(part, ".args", part.args)
    edge(part, ".keywords", part.keywords)
    edge(part, ".__dict__", part.__dict__)
    for maxsize in (None, 3):
        cached = functools.lru_cache(maxsize=maxsize)(lambda x: fresh(x))
        results = [cached(x) for x in ("one", 1000, 2.5, "four")]
        edge(cached, ".__wrapped__", cached.__wrapped__)
        if maxsize:
            edge(cached, "[@%d]" % id("four"), results[3])
            edge(cached, "member", "four")
        keep.append((cached, results))
    prop = property(closed, fresh, make_closure, "documentation")
    for name in "fget fset fdel".split():
        edge(prop, "." + name, getattr(prop, name))
    for kind in (staticmethod, classmethod):
        edge(kind(closed), ".__func__", closed)
    source = {"a": 1}
    edge(types.MappingProxyType(source), ".mapping", source)
    edge(Slotted.left, ".__objclass__", Slotted)
    edge(slice(source, one, part), ".start", source)


def modules_and_types():
    edge(json, ".__dict__", json.__dict__)
    module = types.ModuleType("made_here")
    module.value = fresh()
    edge(module, ".__dict__", module.__dict__)
    edge(module.__dict__, "['value']", module.value)
    for kind in (One, WithMeta, SlottedChild, Failure):
        edge(kind, ".__base__", kind.__base__)
        edge(kind, ".__bases__", kind.__bases__)
        edge(kind, ".__mro__", kind.__mro__)
    edge(WithMeta, "type", Metaclass)
    d = gc.get_referents(WithMeta.__dict__)[0]
    edge(WithMeta, ".__dict__", d)
    edge(d, "['attribute']", WithMeta.attribute)


def counting(argument):
    local = fresh("local")
    for item in [argument]:
        yield local
        after = fresh("after")
        yield after


async def waiting(argument):
    local = fresh("awaited")
    keep.append(local)
    await Pause()


class Pause:
    def __await__(self):
        yield


async def producing(argument):
    yield argument


def generators():
    argument = fresh("argument")
    gen = counting(argument)
    local = next(gen)
    if NEW >= (3, 11):
        edge(gen, "local argument", argument)
        edge(gen, "local local", local)
    else:
        edge(gen, ".gi_frame", gen.gi_frame)
        edge(gen.gi_frame, "local argument", argument)
        edge(gen.gi_frame, "local local", local)
    unstarted = counting(argument)
    edge(unstarted if NEW >= (3, 11) else unstarted.gi_frame, "local argument", argument)
    coro = waiting(argument)
    coro.send(None)
    owner = coro if NEW >= (3, 11) else coro.cr_frame
    edge(owner, "local argument", argument)
    edge(owner, "local local", coro.cr_frame.f_locals["local"])
    if NEW < (3, 11):
        edge(coro, ".cr_frame", coro.cr_frame)
    edge(coro, ".__qualname__", coro.__qualname__)
    agen = producing(argument)
    edge(agen, ".__name__", agen.__name__)
    if NEW < (3, 11):
        edge(agen, ".ag_frame", agen.ag_frame)
    try:
        agen.asend(None).send(None)
    except StopIteration:
        pass
    edge(agen if NEW >= (3, 11) else agen.ag_frame, "local argument", argument)
    done = counting(argument)
    list(done)
    keep.append(done)
    if NEW >= (3, 11):
        # A frame object made for a suspended frame does not own the variables.
        keep.append(gen.gi_frame)


def failing(argument):
    local = fresh("in traceback")
    keep.append(local)
    raise Failure(argument, "text")


def exceptions():
    argument = fresh("argument")
    try:
        try:
            failing(argument)
        except Failure as first:
            context = first
            raise KeyError("second") from first
    except KeyError as second:
        error = second
    error.attribute = fresh()
    for owner in (error, context):
        edge(owner, ".args", owner.args)
        edge(owner, ".__traceback__", owner.__traceback__)
        edge(owner, ".__dict__", owner.__dict__) if owner is error else None
    edge(error, ".__context__", context)
    edge(error, ".__cause__", context)
    tb = context.__traceback__
    edge(tb, ".tb_frame", tb.tb_frame)
    edge(tb, ".tb_next", tb.tb_next)
    frame = tb.tb_next.tb_frame
    edge(frame, "local argument", argument)
    edge(frame, "local local", frame.f_locals["local"])
    missing = None
    try:
        import no_such_module_here  # noqa
    except ImportError as e:
        missing = e
    edge(missing, ".name", missing.name)
    edge(missing, ".msg", missing.msg)
    stop_iteration = StopIteration(argument)
    edge(stop_iteration, ".value", argument)


def weak():
    one = One()
    for make in (weakref.ref, weakref.proxy, Reference):
        plain = make(one)
        keep.append(one)
        say("heap", "edge", id(plain), text("weak"), id(one))
        with_callback = make(one, fresh)
        say("heap", "edge", id(with_callback), text("weak"), id(one))
        say("heap", "edge", id(with_callback), text(".__callback__"), id(fresh))
        keep.append([plain, with_callback])


