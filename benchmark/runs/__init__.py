"""From a row of a table to its scores: plan, work items, stages, cache."""

STAGES = ("train", "predict", "estimate", "score")  # in the order of their work
