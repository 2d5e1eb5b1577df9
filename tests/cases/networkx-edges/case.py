"""Large graphs, one after another, each only asked for its number of edges (networkx issue 5614).

`G.edges` is kept in the graph's own __dict__ as a view that holds the graph, so a dropped graph is a cycle. The big
thing here is not the graph but the matrix that is its attribute; few container objects are made in each round, and
the collector runs rarely.

bad:  nothing collects the cycles but the collector's own thresholds
good: gc.collect() after each graph
"""
import gc
import sys
import networkx as nx
import numpy as np

SIZE = 1200


def build(seed):
    graph = nx.cycle_graph(40)
    graph.graph["distance"] = np.random.default_rng(seed).random((SIZE, SIZE))      # 11 MiB
    return graph


def measure(seed):
    graph = build(seed)
    return len(graph.edges), float(graph.graph["distance"].min())


def main(variant, rounds):
    for seed in range(rounds):
        result = measure(seed)
        if variant == "good":
            gc.collect()
    print(result)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "bad", int(sys.argv[2]) if len(sys.argv) > 2 else 120)
