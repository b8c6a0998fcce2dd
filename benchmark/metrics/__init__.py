"""Metrics, one file per family, each with a module attribute ``METRIC``."""
