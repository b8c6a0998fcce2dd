"""Packaged files: the stand-in body (see NOTICE)."""
