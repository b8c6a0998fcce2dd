"""The tasks that trained checkpoints are compared on, and the methods that do them."""

from dataclasses import dataclass

PAPER = "paper"  # the opponent that is no checkpoint


@dataclass(frozen=True)
class ComparedTask:
    """What checkpoints are compared on.

    Attributes:
        table: its columns are compared; its row of a checkpoint's method has the paper's numbers.
        methods: names of those that do the task; a checkpoint is of one of their classes.
    """

    table: str
    methods: tuple[str, ...]


TASKS = {"tokenizer": ComparedTask("table1", ("unimo", "solami"))}
