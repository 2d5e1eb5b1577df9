"""A job that retries and gives up; each attempt had read its body.

The RetryError holds the last attempt, which is a Future with the exception, whose traceback holds the frames.

bad:  nothing collects the cycles but the collector's own thresholds
good: gc.collect() after each job
"""
import sys, time
import tenacity
def fetch(n):
    body = b"x" * 5_000_000
    raise ConnectionError(n)
def main(v):
    bad = 0
    for i in range(40):
        try:
            tenacity.Retrying(stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_none())(fetch, i)
        except tenacity.RetryError as e:
            bad += 1
            if v == "bad": last = e; 
            else: e.__cause__ = None
        time.sleep(0.02)
if sys.argv[1] == "bad":
    main("bad")
else:
    import gc
    def once(i):
        try: tenacity.Retrying(stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_none())(fetch, i)
        except tenacity.RetryError: pass
    for i in range(40): once(i); gc.collect()
