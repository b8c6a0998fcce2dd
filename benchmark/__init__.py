"""The benchmark: tables, methods, metrics, reports."""
