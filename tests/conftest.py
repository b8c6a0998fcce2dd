"""For all tests: one thread a process (tiny networks on two wait more than they compute), Ctrl-C."""

import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Jobs that a shell starts in the background ignore it, and so would the programs that tests stop.
signal.signal(signal.SIGINT, signal.default_int_handler)
