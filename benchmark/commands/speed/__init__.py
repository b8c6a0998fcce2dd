"""How fast things are on this machine: the verb ``speed``."""
