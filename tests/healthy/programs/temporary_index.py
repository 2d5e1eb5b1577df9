"""A large temporary structure of small objects that is dropped half-way; the results stay."""

import time


def totals(rows):
    index = {}
    for row in range(rows):
        index.setdefault(row % 1000, []).append(("row", row, row * 1.5))
    return {key: sum(part[2] for part in parts) for key, parts in index.items()}


def main():
    found = totals(700_000)
    for _ in range(40):
        time.sleep(0.05)
        sorted(found.values())
    print(len(found))


if __name__ == "__main__":
    main()
