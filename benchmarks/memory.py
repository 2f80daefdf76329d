"""The most memory that a process held."""

import os
import resource


def peak():
    """The most bytes that this process held so far; `ru_maxrss` would begin with what its parent held."""
    if not os.path.exists("/proc/self/status"):
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open("/proc/self/status") as file:
        return 1024 * next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
