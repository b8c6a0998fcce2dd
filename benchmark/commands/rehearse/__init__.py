"""``benchmark.run rehearse``: the paper's run in miniature, with files that it makes itself."""
