"""Four threads that take turns at the interpreter and allocate small objects, strings and larger buffers."""

import threading

import _cost


def busy(turns: int, totals: list[int], place: int) -> None:
    total = 0
    for turn in range(turns):
        pairs = [(i, str(i)) for i in range(300)]
        table = dict(pairs)
        buffer = bytearray(2_000 + turn % 64 * 1_000)
        total += len(table) + len(buffer) + len("".join(table.values()))
    totals[place] = total


def work(scale: float) -> int:
    totals = [0] * 4
    workers = [threading.Thread(target=busy, args=(int(5_000 * scale), totals, place)) for place in range(len(totals))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(totals)


_cost.run(work)
