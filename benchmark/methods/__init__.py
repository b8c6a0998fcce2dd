"""The systems that fill rows: one file each, with a module attribute ``METHOD``."""
