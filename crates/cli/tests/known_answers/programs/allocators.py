"""Small objects and a large block, for interpreters whose allocators are set in unusual ways.

Truth: `keep` holds 50,000 `bytes` of one size, made in one line; `block` one block of 9 MiB; both at the end, which is the peak.
"""

COUNT, LENGTH = 50_000, 200
MIB = 1024 * 1024


def keep() -> list:
    held: list = [None] * COUNT
    for i in range(COUNT):
        held[i] = bytes(LENGTH)
    return held


def block() -> bytes:
    return bytes(9 * MIB)


def churn() -> None:
    for _ in range(5):
        dropped = [bytes(90) for _ in range(10_000)]
        del dropped


def main() -> None:
    churn()
    kept = keep(), block()
    print(len(kept[0]), len(kept[1]), sum(map(len, kept[0])))


if __name__ == "__main__":
    main()
