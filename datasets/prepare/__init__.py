"""The steps by which `datasets.prepare` makes a store of clips."""
