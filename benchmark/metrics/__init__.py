"""What is measured: one file per family of metrics, each with a module attribute ``METRIC``."""
