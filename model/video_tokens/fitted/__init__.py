"""The built-in video codec, fitted on the built-in videos, and its linear part."""
