"""A MemoryHandler that is never full.

It keeps each LogRecord with its arguments until it is flushed.

bad:  a capacity of 1e9
good: 500
"""
import sys, logging, logging.handlers
log = logging.getLogger("app"); log.setLevel(logging.INFO)
mem = logging.handlers.MemoryHandler(capacity=10**9 if sys.argv[1] == "bad" else 500, flushLevel=logging.CRITICAL, target=logging.NullHandler())
log.addHandler(mem)
def work(i): log.info("item %s done: %s", i, "detail %d " % i * 40)
def main():
    for i in range(120_000): work(i)
main()
