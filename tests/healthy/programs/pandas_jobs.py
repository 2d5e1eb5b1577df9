"""What analysts do: read, join, group, sort, pivot, write; every table is dropped when it is done with."""
# packages: pandas

import os
import tempfile

import numpy as np
import pandas as pd


def trips(seed, rows=600_000):
    source = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "zone": source.integers(0, 260, rows),
            "passengers": source.integers(1, 6, rows),
            "distance": source.gamma(2.0, 2.0, rows),
            "fare": source.gamma(3.0, 5.0, rows),
            "kind": source.choice(["street", "app", "phone"], rows),
        }
    )


def month(seed, zones):
    table = trips(seed).merge(zones, on="zone")
    table["per_mile"] = table["fare"] / table["distance"].clip(lower=0.1)
    summary = table.groupby(["borough", "kind"])[["fare", "per_mile"]].agg(["mean", "max", "count"])
    longest = table.sort_values("distance", ascending=False).head(100).copy()
    return summary, longest


def main():
    zones = pd.DataFrame({"zone": range(260), "borough": [f"borough-{i % 6}" for i in range(260)]})
    kept = [month(seed, zones) for seed in range(8)]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "trips.csv")
        trips(99, 300_000).to_csv(path, index=False)
        parts = pd.read_csv(path, chunksize=50_000)
        total = sum(part["fare"].sum() for part in parts)
    print(round(total), sum(len(summary) for summary, _ in kept))


if __name__ == "__main__":
    main()
