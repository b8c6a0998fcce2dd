"""Writes ``index.html`` from the JSON results of a folder, and the drawings beside it.

The page needs the results alone. The cache of runs knows more: errors of single clips, losses, and
the clips of the gallery. They are drawn while the cache has them, stored in the folders ``page``
and ``gallery``, and shown as long as they are of the runs that the tables are of.
"""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmark.results.page import gallery, plots, views
from benchmark.results.page.index import write_index
from benchmark.results.reading import Results, read
from benchmark.results.render import layout
from datasets.tools.files import locked, write_text

_FILES = Path(__file__).parent


def write_page(folder: Path, cache: Path, results: Results | None = None) -> list[Path]:
    """Write the page of a folder and the index of all; return their paths.

    Where the folder holds no results, nothing is written or returned.

    Args:
        folder: of the results, such as ``reports/embedded``.
        cache: of the runs; it need not exist.
        results: in the folder, where they are read already.
    """
    results = results or read(folder)
    if not results.tables and not results.figures:
        return []
    with locked(folder.parent / "runs" / "locks" / f"{folder.name}-page"):
        tables, galleries = [], []
        for name, result in results.tables.items():
            charts = plots.charts(result, folder, cache)
            tables.append(views.table(name, result, charts, folder))
            galleries.append(gallery.gallery(result, folder, cache))
        text = _to_html(
            name=folder.name,
            tables=tables,
            figures=[views.figure(name, one, folder) for name, one in results.figures.items()],
            galleries=[own for own in galleries if own],
            refused=results.refused,
        )
        write_text(folder / "index.html", text)
    return [folder / "index.html", write_index(folder.parent)]


def _to_html(**page: Any) -> str:
    """Return the text of the page; the arguments are what `page.html.j2` reads."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FILES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "path": quote,  # of file names, which may hold ? and #
        "details": views.details,
        "facts": layout.facts,
        "row_heading": layout.row_heading,
        "provenance": views.provenance,
        "runs": views.runs,
    }
    style, script = ((_FILES / name).read_text("utf-8") for name in ("style.css", "play.js"))
    return environment.get_template("page.html.j2").render(**page, style=style, script=script)
