"""Indexes over documents, each rebuilt and dropped (pyahocorasick's Automaton takes no part in garbage collection).

The automaton stores for each key the Index that it belongs to, and the Index holds the automaton. The C type
Automaton has no tp_traverse, so this cycle is never freed.

bad:  the automaton stores the Index itself
good: the automaton stores the key's number
"""
import gc
import sys
import ahocorasick


class Index:
    def __init__(self, number, variant):
        self.text = ("document %d " % number) * 100_000                 # 1.3 MB
        self.words = ["w%d-%d" % (number, i) for i in range(500)]
        self.automaton = ahocorasick.Automaton()
        for i, word in enumerate(self.words):
            self.automaton.add_word(word, self if variant == "bad" else i)
        self.automaton.make_automaton()

    def count(self, text):
        return sum(1 for _ in self.automaton.iter(text))


def search(number, variant):
    index = Index(number, variant)
    return index.count("w%d-1 w%d-2" % (number, number))


def main(variant, rounds):
    found = 0
    for number in range(rounds):
        found += search(number, variant)
        if number % 10 == 0:
            gc.collect()
    print("found", found)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "bad", int(sys.argv[2]) if len(sys.argv) > 2 else 180)
