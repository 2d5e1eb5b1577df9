"""Large tables, each described with woodwork and then dropped: the work that woodwork 0.3.0 needs three times the memory for.

See docs/guide/tutorial.md. Nothing is kept from one round to the next.
"""

import sys

import numpy as np
import pandas as pd
import woodwork  # noqa: F401  (registers the accessor `.ww`)

ROWS = 1_500_000


def make_trips(seed):
    dice = np.random.RandomState(seed)
    start = np.datetime64("2016-01-01", "s").astype("datetime64[ns]")
    pickup = start + dice.randint(0, 180 * 86400, ROWS).astype("timedelta64[s]")
    return pd.DataFrame(
        {
            "id": np.arange(ROWS),
            "vendor": dice.randint(1, 3, ROWS),
            "passengers": dice.randint(1, 7, ROWS),
            "pickup_lon": dice.normal(-73.97, 0.05, ROWS),
            "pickup_lat": dice.normal(40.75, 0.03, ROWS),
            "distance": dice.gamma(2.0, 1.5, ROWS),
            "duration": dice.gamma(2.0, 400.0, ROWS),
            "pickup": pickup,
        }
    )


def mean_duration(seed):
    trips = make_trips(seed)
    types = dict.fromkeys(["id", "vendor", "passengers"], "Integer")
    types.update(dict.fromkeys(["pickup_lon", "pickup_lat", "distance", "duration"], "Double"))
    trips.ww.init(logical_types={**types, "pickup": "Datetime"})
    return float(trips["duration"].mean())


def main(rounds):
    for number in range(rounds):
        print(number, round(mean_duration(number), 2), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 12)
