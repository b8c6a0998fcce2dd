"""Parsers of file formats that several adapters read."""
