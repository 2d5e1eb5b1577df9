"""A service that validates each request against a schema of its own (python-jsonschema 4.17).

RefResolver has methods under functools.lru_cache, so the cache, which belongs to the class, keeps the last 128
resolvers, and each resolver keeps its whole schema. From 4.18 on, references are resolved by another library.
"""
import sys
import jsonschema


def make_schema(number):
    names = ["field-%d-%d" % (number, i) for i in range(22_000)]
    return {
        "type": "object",
        "definitions": {"name": {"enum": names}},
        "properties": {"name": {"$ref": "#/definitions/name"}},
    }


def handle(number):
    schema = make_schema(number)
    jsonschema.Draft7Validator(schema).validate({"name": "field-%d-7" % number})


def main(requests):
    for number in range(requests):
        handle(number)
    print("validated", requests)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 120)
