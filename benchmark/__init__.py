"""What is measured and how it is shown: tables, methods, metrics, reports."""
