"""The page of a folder of results: ``reports/<folder>/index.html``, to be looked at in a browser."""
