

# Scenarios: each calls stop() once or more

def plain():
    stop("plain")


def closures():
    a, b, c = 1, 2, 3

    def middle():
        d = a

        def inner(e=b):
            def innermost():
                return c, d, e, stop("closures")
            return innermost()
        return inner()
    return middle()


def recursion(depth=1000):
    if depth:
        return recursion(depth - 1)
    stop("recursion")


def recursion_through_c(depth=40):
    if depth:
        return list(map(recursion_through_c, [depth - 1]))
    stop("recursion through C")


def numbers(n):
    cell = n

    def value():
        return cell
    for i in range(n):
        if i == n - 1:
            stop("generator")
        yield value()


def delegating(n):
    yield 0
    yield from delegating(n - 1) if n else numbers(3)


def generators():
    list(numbers(100))
    list(delegating(5))
    sum(x for x in numbers(2))
    [stop("comprehension") for _ in range(1)]
    {stop("set comprehension") for _ in range(1)}
    {stop("dict comprehension"): [stop("nested comprehension") for _ in (1,)] for _ in range(1)}
    gen = numbers(2)
    next(gen)
    gen.close()

    def receiving():
        while True:
            got = yield
            if got:
                stop("send")
    g = receiving()
    next(g)
    for i in range(50):
        g.send(i == 49)

    def closing():
        try:
            yield
        finally:
            stop("generator close")
    g = closing()
    next(g)
    g.close()
    g = closing()
    next(g)
    with contextlib.suppress(KeyError):
        g.throw(KeyError("x"))


class Manager:
    async def __aenter__(self):
        await asyncio.sleep(0)
        stop("aenter")

    async def __aexit__(self, *exc):
        stop("aexit")


class Awaitable:
    def __await__(self):
        stop("__await__")
        return (yield from asyncio.sleep(0).__await__())


async def agen(n):
    for i in range(n):
        await asyncio.sleep(0)
        if i == n - 1:
            stop("async generator")
        yield i


async def leaf(n):
    await asyncio.sleep(0)
    stop("coroutine")
    return n


async def tree(n):
    if n == 0:
        return await leaf(n)
    return await tree(n - 1)


async def coroutines():
    await tree(6)
    async for _ in agen(3):
        pass
    [x async for x in agen(2)]
    async with Manager():
        stop("async with")
    await Awaitable()
    await asyncio.gather(leaf(1), tree(2))
    await asyncio.get_running_loop().run_in_executor(None, stop, "executor")
    asyncio.get_running_loop().call_soon(stop, "call_soon")
    await asyncio.sleep(0)


class Point:
    def __init__(self, x, last):
        self.x = x
        if last:
            stop("__init__")


class Point3(Point):
    def __init__(self, x, last):
        keep = last

        def cell():
            return keep
        super().__init__(x, cell())


class Pair:
    def __new__(cls, last):
        self = super().__new__(cls)
        if last:
            stop("__new__")
        return self


class Meta(type):
    def __call__(cls, *args):
        return super().__call__(*args)

    def __new__(mcs, name, bases, space):
        stop("metaclass")
        return super().__new__(mcs, name, bases, space)


class Dying:
    def __init__(self, last):
        self.last = last

    def __del__(self):
        if self.last:
            stop("__del__")


class Leaving:
    def __init__(self, last):
        # Dies while __init__ returns.
        dying = Dying(last)


def construction():
    for i in range(200):
        Point(i, i == 199)
    for i in range(200):
        Point3(i, i == 199)
    for i in range(200):
        Pair(i == 199)
    for i in range(200):
        Leaving(i == 199)

    class WithMeta(metaclass=Meta):
        def __init__(self, x):
            stop("__init__ under a metaclass")
    WithMeta(1)

    class Body:
        stop("class body")

        class Inner:
            stop("inner class body")

        def __init_subclass__(cls):
            stop("__init_subclass__")

    class Descriptor:
        def __set_name__(self, owner, name):
            stop("__set_name__")

        def __get__(self, obj, cls):
            stop("__get__")

    class Child(Body):
        field = Descriptor()
    Child().field


def deletion():
    x = Dying(True)
    del x
    [Dying(True)].clear()
    a = Dying(True)
    a.me = a
    a = None
    gc.collect()


class Dunder:
    def __getattr__(self, name):
        stop("__getattr__")

    def __getitem__(self, key):
        stop("__getitem__")

    def __add__(self, other):
        stop("__add__")

    def __eq__(self, other):
        stop("__eq__")
        return True

    def __hash__(self):
        stop("__hash__")
        return 1

    def __call__(self):
        stop("__call__")

    def __bool__(self):
        stop("__bool__")
        return True

    def __iter__(self):
        stop("__iter__")
        return iter(())

    @property
    def prop(self):
        stop("property")

    @classmethod
    def made(cls):
        stop("classmethod")

    @staticmethod
    def free():
        stop("staticmethod")


def dunders():
    d = Dunder()
    d.missing
    d[1]
    d + 1
    d == 2
    {d: 1}
    d()
    if d:
        pass
    for _ in d:
        pass
    d.prop
    d.made()
    d.free()


def hot(f, *args):
    for i in range(300):
        f(*args, i == 299)


def specialised():
    class Slot:
        def __getattr__(self, name):
            return name

        @property
        def prop(self):
            if self.last:
                stop("hot property")

        def __getitem__(self, last):
            if last:
                stop("hot __getitem__")
    s = Slot()
    for i in range(300):
        s.last = i == 299
        s.prop
        s[i == 299]
    hot(lambda last: stop("hot lambda") if last else None)

    def generator(last):
        for i in range(3):
            if last and i == 2:
                stop("hot generator in for")
            yield i

    def loop(last):
        for _ in generator(last):
            pass
    hot(loop)


def callbacks():
    sorted([3, 1, 2], key=lambda x: (stop("sorted key"), x)[1] if x == 2 else x)
    list(map(stop, ["map"]))
    list(filter(lambda x: stop("filter"), [1]))
    functools.reduce(lambda a, b: stop("reduce"), [1, 2])
    re.sub("x", lambda m: stop("re.sub") or "", "x")
    json.dumps(object(), default=lambda o: stop("json default"))
    functools.partial(stop, "partial")()
    functools.lru_cache(maxsize=None)(stop)("lru_cache")
    contextvars.copy_context().run(stop, "context")
    max([1, 2], key=lambda x: stop("max key") or x)
    signal.signal(signal.SIGUSR1, lambda number, frame: stop("signal"))
    os.kill(os.getpid(), signal.SIGUSR1)
    for _ in range(10):
        pass
    obj = Text("x")
    ref = weakref.ref(obj, lambda r: stop("weakref callback"))
    del obj


def dynamic():
    exec("def f():\n    stop('exec')\nf()")
    eval("stop('eval')")
    eval("(lambda: [stop('eval lambda') for _ in (1,)])()")
    source = "\n\n\nclass \u0416:\n    def \xe9t\xe9(self):\n        stop('named in unicode')\n\u0416().\xe9t\xe9()\n"
    exec(compile(source, "/tmp/\u20ac \U0001f40d.py", "exec"))
    exec(compile("\n" * 70000 + "stop('line 70001')", "far.py", "exec"))
    exec("\n".join("x%d = %d" % (i, i) for i in range(3000)) + "\nstop('long code')", {"stop": stop})
    exec("def many():\n " + "; ".join("v%d = 1" % i for i in range(60)) + "\n def g():\n  return ("
         + ",".join("v%d" % i for i in range(60)) + ")\n stop('many cells')\nmany()")


def errors():
    try:
        raise KeyError(1)
    except KeyError:
        stop("except")
    finally:
        stop("finally")
    try:
        try:
            [].missing
        finally:
            stop("unwinding")
    except AttributeError:
        pass
    with contextlib.ExitStack() as stack:
        stack.callback(stop, "exit stack")


def tracing():
    done = []

    def tracer(frame, event, arg):
        if event == "line" and not done:
            done.append(1)
            stop("trace function")
        return tracer

    def traced():
        a = 1
        return a
    sys.settrace(tracer)
    traced()
    sys.settrace(None)
    done.clear()

    def profiler(frame, event, arg):
        if not done and frame.f_code is traced.__code__ and event == "return":
            done.append(1)
            stop("profile function")
    sys.setprofile(profiler)
    traced()
    sys.setprofile(None)


class Worker(threading.Thread):
    def run(self):
        list(numbers(3))
        stop("thread")


def threads():
    waiting = [threading.Thread(target=threading.Event().wait, daemon=True) for _ in range(3)]
    for t in waiting:
        t.start()
    w = Worker()
    w.start()
    w.join()
    stop("main thread among others")


def subinterpreter():
    for name in ("_interpreters", "_xxsubinterpreters"):
        try:
            module = __import__(name)
            break
        except ImportError:
            continue
    else:
        return
    # Kept: a subinterpreter that is destroyed leaves the list.
    globals()["interpreter"] = module, module.create()
    stop("subinterpreter")
    with contextlib.suppress(Exception):
        module.destroy(interpreter[1])


class AtExit:
    """Dies when the interpreter clears this module, after it began to finalize."""

    def __del__(self, write=os.write, read=os.read, ident=threading.get_ident()):
        write(1, b"stop finalizing %d\n" % ident)
        read(0, 1)


def main():
    sys.setrecursionlimit(10000)
    say("version", text(sys.version), sys.hexversion)
    for s in strings:
        say("string", id(s), text(s))
    for b in raws:
        say("bytes", id(b), b.hex() or "-")
    for o in others:
        say("other", id(o))
    for scenario in (plain, closures, recursion, recursion_through_c, generators, construction, deletion, dunders,
                     specialised, callbacks, dynamic, errors, tracing, threads):
        scenario()
    asyncio.run(coroutines())
    construction()
    subinterpreter()
    globals()["at_exit"] = AtExit()


main()
