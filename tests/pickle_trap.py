"""What makes a call where it is unpickled, for tests that nothing from a file ever is."""

from collections.abc import Callable
from typing import Any


class Trap:
    """Unpickling it calls `function` with `args`; dumped by any protocol."""

    def __init__(self, function: Callable[..., Any], *args: Any):
        self.call = function, args

    def __reduce__(self):
        return self.call
