"""Writes ``index.html`` from the JSON results of a folder, and the drawings beside it.

The page needs the results alone. The cache of runs knows more: errors of single clips, losses, and
the clips of the gallery. They are drawn while the cache has them, stored in the folders ``page``
and ``gallery``, and shown as long as they are of the runs that the tables are of.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from benchmark.results.page import figures, gallery, plots, tables
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
        views, galleries = [], []
        for name, result in results.tables.items():
            views.append(tables.view(name, result, plots.charts(result, folder, cache), folder))
            own = gallery.gallery(result, folder, cache)
            galleries += [own] if own else []
        drawings = [figures.view(name, one, folder) for name, one in results.figures.items()]
        path = folder / "index.html"
        write_text(path, to_html(views, drawings, galleries, results.refused, folder.name))
    return [path, write_index(folder.parent)]


def to_html(
    views: Sequence[tables.TableView],
    drawings: Sequence[figures.FigureView],
    galleries: Sequence[gallery.Gallery],
    refused: Mapping[str, str],
    name: str,
) -> str:
    """Return the text of the page."""
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
        "facts": layout.facts,
        "provenance": tables.provenance_of,
        "runs": tables.runs_of,
    }
    return environment.get_template("page.html.j2").render(
        name=name,
        tables=views,
        figures=drawings,
        galleries=galleries,
        refused=refused,
        style=(_FILES / "style.css").read_text("utf-8"),
        script=(_FILES / "play.js").read_text("utf-8"),
    )
