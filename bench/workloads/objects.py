"""Instances, lists, tuples and dictionaries that live for a while and go: an object-heavy program."""

import _cost


class Item:
    """A record with an instance dictionary's worth of attributes."""

    def __init__(self, key: int, parts: tuple[int, ...]) -> None:
        self.key = key
        self.parts = parts
        self.weight = key * 0.5


def turn(count: int, kept: dict[int, list[Item]]) -> int:
    for i in range(count):
        item = Item(i, (i, i + 1, i + 2))
        bucket = kept.setdefault(i % 1009, [])
        bucket.append(item)
        if len(bucket) > 40:
            del bucket[:20]
    return sum(len(bucket) for bucket in kept.values())


def work(scale: float) -> int:
    kept: dict[int, list[Item]] = {}
    return sum(turn(int(100_000 * scale), kept) for _ in range(9))


_cost.run(work)
