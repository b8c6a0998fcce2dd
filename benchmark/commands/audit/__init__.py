"""What the paper's numbers say about each other, without measuring anything: the verb ``audit``."""
