"""Renderers of a `benchmark.results.schema.Result` into files, which know nothing else."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmark.results.render import csv_file, figure, latex, markdown
from benchmark.results.schema import Result

SUFFIXES = (".md", ".csv", ".tex", ".png", ".svg")
PICTURES = (".png", ".svg")


def renderers(*, full_latex: bool = False) -> dict[str, Callable[[Result, Path], None]]:
    """Return suffix -> ``render(result, path)``; one that has nothing to show writes no file.

    Args:
        full_latex: see `benchmark.results.render.latex.to_latex`.
    """
    tex = partial(latex.render, full=full_latex)
    renders = (markdown.render, csv_file.render, tex, figure.render, figure.render)
    return dict(zip(SUFFIXES, renders, strict=True))
