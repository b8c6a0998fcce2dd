"""The verb ``audit``: checks the paper's numbers against each other, without measuring anything."""
