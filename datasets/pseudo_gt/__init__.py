"""How `datasets.pseudo_gt` spreads its work: shards, workers, the store that comes out."""
