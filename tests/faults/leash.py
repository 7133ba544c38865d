"""Run a command that the kernel ends when the process that started it ends, however that happens (Linux).

    python -S leash.py COMMAND ARGUMENT...

The harness starts everything through this: even ``kill -9`` of the harness leaves no orphan. A program of
its own, as a function between fork and exec is not safe in a process with threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the call
        sys.exit(1)
    # A harness in the background of a script has Ctrl-C ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execvp(sys.argv[1], sys.argv[1:])
