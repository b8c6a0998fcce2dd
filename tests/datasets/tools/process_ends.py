"""Whether processes end that must not outlive others."""

import os
import time
from pathlib import Path


def is_gone(pid: int) -> bool:
    """Whether a process has ended; a child of ours that nobody has waited for has not."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return True
    return state == "Z" and int(parent) != os.getpid()  # left to the system's own reaper


def ends(pid: int) -> bool:
    """Whether a process ends within a few seconds."""
    for _ in range(200):
        if is_gone(pid):
            return True
        time.sleep(0.05)
    return False
