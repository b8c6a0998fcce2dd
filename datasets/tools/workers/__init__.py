"""One way to spread work over processes: `datasets.tools.workers.spread.spread`."""
