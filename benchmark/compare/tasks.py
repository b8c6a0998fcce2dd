"""The tasks that trained checkpoints are compared on, and whose columns they are compared in."""

PAPER = "paper"  # the opponent that is no checkpoint

# Task -> table; its row of a checkpoint's method has the paper's numbers.
TASKS = {"tokenizer": "table1", "v2m": "table3", "i2vm": "table2"}
