"""Small blocks allocated two hundred calls deep: what reading a deep Python stack costs."""

import _cost


def down(depth: int, kept: list[list[int]]) -> int:
    if depth:
        return down(depth - 1, kept) + 1
    for i in range(100):
        kept.append([i, depth])
    return 0


def work(scale: float) -> int:
    total = 0
    for _ in range(int(36_000 * scale)):
        kept: list[list[int]] = []
        total += down(200, kept) + len(kept)
    return total


_cost.run(work)
