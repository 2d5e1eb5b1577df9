"""The stack test: some hundreds of blocks, each allocated in a known situation.

Every block is a `bytearray` of a size that occurs once, dropped at once. The last lines of output state for each block its
size and the stack it was allocated under, innermost frame first, as `sys._getframe` saw it. Truth: a profile has for each
size one block, with exactly these files, functions (qualified names from 3.11) and lines.
"""

from __future__ import annotations

import frames_calls
import frames_interrupts
import frames_record
import frames_resumed


def main() -> None:
    frames_record.start()
    frames_calls.run()
    frames_resumed.run()
    frames_interrupts.run()
    frames_record.finish()


if __name__ == "__main__":
    main()
