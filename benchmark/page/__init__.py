"""The page of a profile: ``reports/<profile>/index.html``, to be looked at in a browser."""
