"""Like the benchmarks of pyperformance: many small objects, made and dropped, with a tree that lives on."""

import random


class Body:
    __slots__ = ("position", "velocity", "mass")

    def __init__(self, source):
        self.position = [source.random() for _ in range(3)]
        self.velocity = [0.0, 0.0, 0.0]
        self.mass = source.random()


class Tree:
    def __init__(self, depth):
        self.left = Tree(depth - 1) if depth else None
        self.right = Tree(depth - 1) if depth else None

    def count(self):
        return 1 + (self.left.count() + self.right.count() if self.left else 0)


def queens(size):
    def place(row, columns, up, down):
        if row == size:
            return 1
        free = (c for c in range(size) if c not in columns and row + c not in up and row - c not in down)
        return sum(place(row + 1, columns | {c}, up | {row + c}, down | {row - c}) for c in free)

    return place(0, frozenset(), frozenset(), frozenset())


def advance(bodies, steps):
    for _ in range(steps):
        for body in bodies:
            body.velocity = [v + 0.01 * body.mass for v in body.velocity]
            body.position = [p + 0.01 * v for p, v in zip(body.position, body.velocity)]


def main():
    source = random.Random(1)
    long_lived = Tree(17)
    bodies = [Body(source) for _ in range(20_000)]
    for _ in range(6):
        advance(bodies, 3)
        temporary = Tree(15)
        assert temporary.count() == (1 << 16) - 1
    print(queens(8), long_lived.count(), len(bodies))


if __name__ == "__main__":
    main()
