"""Shared by figures: bodies, strips of frames, colours."""
