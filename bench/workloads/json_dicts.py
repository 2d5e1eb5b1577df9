"""A JSON document read, copied dictionary by dictionary, and written again: very many small blocks of pymalloc."""

import json

import _cost


def document(rows: int) -> str:
    return json.dumps(
        [
            {
                "id": i,
                "name": "user %d" % i,
                "score": i * 0.25,
                "tags": ["a%d" % (i % 7), "b%d" % i],
                "live": i % 3 == 0,
            }
            for i in range(rows)
        ]
    )


def work(scale: float) -> int:
    text = document(int(20_000 * scale))
    found = 0
    for _ in range(15):
        rows = json.loads(text)
        copies = [dict(row, copied=True) for row in rows]
        found += sum(len(copy["tags"]) for copy in copies)
    return found + len(json.dumps(copies))


_cost.run(work)
