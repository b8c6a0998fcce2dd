"""The work of `datasets.pseudo_gt`: shards, workers, the store that comes out."""
