"""Ctrl-C that waits until what was begun is done."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def interrupt_held() -> Iterator[Callable[[], bool]]:
    """Hold a first Ctrl-C back; a second one interrupts at once, as ever.

    Does nothing where Ctrl-C is not Python's to handle: beside the main thread, or where a program
    around this one ignores or handles it.

    Yields:
        Says whether there was a Ctrl-C.

    Raises:
        KeyboardInterrupt: there was one, and nothing was made of it until the end.
    """
    handled = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not handled or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    noted = threading.Event()

    def note(signum: int, frame: object) -> None:
        noted.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted.is_set
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if noted.is_set():  # since whoever held it last asked
        raise KeyboardInterrupt
