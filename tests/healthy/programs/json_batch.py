"""A batch job: documents are made, written, read back and summed up, round by round."""

import json
import os
import tempfile


def document(round_number):
    items = [{"id": i, "name": f"sensor-{i:06}", "values": [i * 0.5, i * 0.25, i % 7]} for i in range(40_000)]
    return {"round": round_number, "items": items}


def main():
    total = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "batch.json")
        for number in range(8):
            with open(path, "w") as file:
                json.dump(document(number), file)
            with open(path) as file:
                back = json.load(file)
            total += sum(item["values"][0] for item in back["items"])
    print(total)


if __name__ == "__main__":
    main()
