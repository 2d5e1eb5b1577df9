"""Views that subscribe to a signal and are dropped.

`connect(receiver, weak=False)` keeps the bound method, and with it the view.

bad:  weak=False
good: weak, the default
"""
import sys, blinker
sig = blinker.signal("tick"); V = sys.argv[1]
class View:
    def __init__(self, i):
        self.rows = ["row %d %d" % (i, k) for k in range(5000)]
        sig.connect(self.update, weak=(V == "good"))
    def update(self, sender): pass
for i in range(350): View(i)
