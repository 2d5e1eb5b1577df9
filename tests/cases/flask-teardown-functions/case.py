"""A view that registers a teardown function in each request.

`app.teardown_request_funcs` keeps every function, and each its closure.

bad:  one more in each request
good: none
"""
import sys
from flask import Flask, request, after_this_request
app = Flask("x"); V = sys.argv[1]
@app.route("/<int:i>")
def index(i):
    data = [str(i * k) for k in range(3000)]
    if V == "bad": app.teardown_request_funcs.setdefault(None, []).append(lambda e: data)
    return str(len(data))
c = app.test_client()
for i in range(600): c.get("/%d" % i)
