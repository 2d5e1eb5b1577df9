"""A database in memory that fills for most of the run, and is then asked. Its pages are native memory of one owner."""

import sqlite3


def main():
    database = sqlite3.connect(":memory:")
    database.execute("create table readings (id integer primary key, sensor text, value real, note text)")
    for start in range(0, 900_000, 10_000):
        rows = ((i, f"sensor-{i % 500}", i * 0.5, "x" * 60) for i in range(start, start + 10_000))
        database.executemany("insert into readings values (?, ?, ?, ?)", rows)
        database.commit()
    query = "select sensor, count(*), avg(value) from readings group by sensor order by 3 desc limit 5"
    for row in database.execute(query):
        print(row)


if __name__ == "__main__":
    main()
