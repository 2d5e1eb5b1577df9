"""A checker that looks at many generated modules, one at a time (astroid before 2.10).

LookupMixIn.lookup() is under functools.lru_cache(maxsize=None): the cache keeps every node that was asked, and each
node its whole tree. astroid 2.15 limits that cache to 128 entries.
"""
import sys
import astroid
from astroid import nodes

BODY = "".join("def f%d(a, b=%d):\n    total = a + b\n    return [total * i for i in range(%d)]\n\n\n" % (i, i, i)
               for i in range(60))


def unused_names(source):
    module = astroid.parse(source, apply_transforms=False)
    count = 0
    for node in module.nodes_of_class(nodes.Name):
        _, found = node.lookup(node.name)
        count += not found
    return count


def main(modules):
    count = sum(unused_names("# module %d\n%s" % (number, BODY)) for number in range(modules))
    print("unused", count)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
