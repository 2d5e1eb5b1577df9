"""A counter and a histogram with one label value for each user: unlimited cardinality.

prometheus_client keeps a child metric for every combination of label values in the metric's `_metrics`, and the
metric is held by the global REGISTRY.

bad:  the label is the user's number
good: the label is the user's region, of which there are twelve
"""
import sys
from prometheus_client import Counter, Histogram

REQUESTS = Counter("app_requests", "Requests", ["who", "method"])
LATENCY = Histogram("app_latency_seconds", "Latency", ["who"])


def serve(user, variant):
    who = "user-%06d" % user if variant == "bad" else "region-%d" % (user % 12)
    REQUESTS.labels(who, "GET").inc()
    LATENCY.labels(who).observe(user % 7 / 10)


def main(variant, users):
    for user in range(users):
        serve(user, variant)
    print("served", users)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "bad", int(sys.argv[2]) if len(sys.argv) > 2 else 50_000)
