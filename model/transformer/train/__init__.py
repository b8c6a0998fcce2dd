"""Training of the transformer (paper section 3.3): tokens, steps, one process or several."""
