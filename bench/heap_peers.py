"""The peers that look at the heap from inside the program: guppy3, objgraph, Pympler. Each is asked for what it is made
for; what an operation keeps for the next one stays in memory, as in a session with the tool."""

from __future__ import annotations

import io
from typing import Any, Callable, Iterator

Operation = tuple[str, Callable[[], Any]]

#: The operation whose result is the bytes that a tool counts for the heap's array and its database.
NATIVE = "sizes of the array and the database"


def operations(tool: str, heap: Any) -> Iterator[Operation]:
    """The operations of a tool, to be run one after the other. `heap` is ``heap_program.Heap``."""
    return {"guppy3": _guppy3, "objgraph": _objgraph, "pympler": _pympler}[tool](heap)


def _guppy3(heap: Any) -> Iterator[Operation]:
    from guppy import hpy

    kept: dict[str, Any] = {}

    def all_objects() -> int:
        kept["hpy"] = hpy()
        kept["all"] = kept["hpy"].heap()
        return int(kept["all"].count)

    yield "hpy().heap()", all_objects
    yield "sizes by type: str(heap)", lambda: str(kept["all"]).splitlines()[0]
    yield "relations: str(heap.byrcs)", lambda: str(kept["all"].byrcs).splitlines()[0]
    yield "retained size: heap.records.domisize", lambda: kept["hpy"].iso(heap.records).domisize
    yield NATIVE, lambda: kept["hpy"].iso(heap.array, heap.database).size


def _objgraph(heap: Any) -> Iterator[Operation]:
    import objgraph

    yield "most_common_types()", lambda: objgraph.most_common_types(limit=20)[0]

    def growth() -> str:
        text = io.StringIO()
        objgraph.show_growth(file=text)
        return text.getvalue().splitlines()[0] if text.getvalue() else "none"

    yield "show_growth(), first", growth
    yield "show_growth(), again", growth
    yield (
        "find_backref_chain() of a record",
        lambda: len(objgraph.find_backref_chain(heap.records[len(heap.records) // 2].tags, objgraph.is_proper_module)),
    )


def _pympler(heap: Any) -> Iterator[Operation]:
    from pympler import muppy, summary

    kept: dict[str, Any] = {}

    def all_objects() -> int:
        kept["all"] = muppy.get_objects()
        return len(kept["all"])

    yield "muppy.get_objects()", all_objects
    yield "summary.summarize()", lambda: sum(row[2] for row in summary.summarize(kept["all"]))
    yield NATIVE, lambda: sum(row[2] for row in summary.summarize([heap.array, heap.database]))
