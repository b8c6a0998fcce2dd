"""Renders a result (`benchmark.results.table`) into files; the result is all a renderer knows."""

from benchmark.results.render import csv_file, figure, latex, markdown

# Suffix -> ``render(result, path)``; a renderer that has nothing to show writes no file.
RENDERERS = {
    ".md": markdown.render,
    ".csv": csv_file.render,
    ".tex": latex.render,
    ".png": figure.render,
    ".svg": figure.render,
}
PICTURES = (".png", ".svg")
