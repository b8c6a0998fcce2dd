"""The page of a folder of results, ``index.html``, to be looked at in a browser."""
