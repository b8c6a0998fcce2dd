"""The five datasets in miniature, each in its official layout; tests read the same ones."""
