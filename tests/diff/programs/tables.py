"""Tables that are prepared with woodwork and dropped, one after the other: only one should be alive.

woodwork 0.3.0 ties each table to its accessor in a cycle, and the collector does not run in time; 0.3.1 does not.
"""

import numpy
import pandas
import woodwork  # noqa: F401  (registers the accessor)

ROWS = 400_000
COLUMNS = 8
TABLES = 12


def make_table(number):
    dice = numpy.random.RandomState(number)
    return pandas.DataFrame({"column%d" % at: dice.normal(size=ROWS) for at in range(COLUMNS)})


def prepare(number):
    table = make_table(number)
    table.ww.init(logical_types={name: "Double" for name in table.columns})
    return float(table["column0"].mean())


print(sum(prepare(number) for number in range(TABLES)))
