"""From a row of a table to its scores: plan, tasks, stages, cache."""
