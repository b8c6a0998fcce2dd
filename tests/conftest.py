"""For all tests: one thread a process. Tiny networks on two threads wait more than they compute."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
