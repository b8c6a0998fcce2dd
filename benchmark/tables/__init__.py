"""The paper's tables: one file each, with its printed numbers, and a module attribute ``TABLE``."""
