"""Files of the models that the paper uses, in the official layouts, with nothing learned."""
