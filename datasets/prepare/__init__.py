"""How `datasets.prepare` makes a store: which clips, cut from what, with which video."""
