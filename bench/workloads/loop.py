"""A loop over integers and floats: the interpreter's own work, in one function and with few calls."""

import _cost


def work(scale: float) -> int:
    total = 0
    value = 0.5
    for i in range(int(7_500_000 * scale)):
        total = (total * 31 + i) & 0xFFFFFF
        value = 3.7 * value * (1.0 - value)
        if total & 1:
            total ^= 0x5A5A5A
    return total + int(value * 1e6)


_cost.run(work)
