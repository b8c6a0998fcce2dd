"""From a row of a table to its scores: plan, work items, stages, cache."""

STAGES = ("train", "predict", "enhance", "estimate", "score")  # in the order of their work
