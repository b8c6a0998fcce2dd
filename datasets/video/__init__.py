"""Videos: the only place that opens, reads and writes them."""
