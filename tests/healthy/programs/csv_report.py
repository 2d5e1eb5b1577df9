"""Reads a large file row by row, sums up, and sorts the summary."""

import collections
import csv
import os
import tempfile


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "orders.csv")
        with open(path, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["order", "customer", "amount"])
            writer.writerows((i, f"customer-{i % 50_000}", i % 977) for i in range(600_000))
        sums = collections.Counter()
        orders = collections.defaultdict(list)
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                sums[row["customer"]] += int(row["amount"])
                orders[row["customer"]].append(row["order"])
    best = sorted(sums.items(), key=lambda item: -item[1])[:5]
    print(best, len(orders))


if __name__ == "__main__":
    main()
