"""Results: cells, statistics, JSON, rendered files and the page."""
