"""The verb ``report``: renders the files of results again."""

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.api.errors import UserError
from benchmark.api.paths import display_path
from benchmark.results.page.document import write_page
from benchmark.results.reading import read
from benchmark.results.render import renderers
from datasets.tools.typed_json import printable


def render_again(out: Path, tables: Sequence[str], *, full: bool = False) -> int:
    """Render the results under a folder again; return the exit code.

    Files that do not hold a result are named on stderr; the others are rendered all the same.

    Args:
        out: folder of the folders of results.
        tables: names of the tables to render; none for all.
        full: LaTeX with caption, intervals and notes, see `benchmark.results.render.latex`.

    Raises:
        UserError: there are no results.
    """
    paths = [path for path in out.glob("*/*.json") if not tables or path.stem in tables]
    found = {folder: read(folder) for folder in sorted({path.parent for path in paths})}
    if not any(one.tables or one.figures or one.refused for one in found.values()):
        raise UserError(
            f"{out} holds no result of {', '.join(tables) or 'any table'}: "
            f"run `python -m benchmark.run {' '.join(tables) or 'all'}` first"
        )
    refused = 0
    for folder, results in found.items():
        written = []
        for name, result in results.tables.items():
            if tables and name not in tables:
                continue
            for suffix, render in renderers(full_latex=full).items():
                path = folder / f"{name}{suffix}"
                render(result, path)
                written += [path] if path.exists() else []
        for path in [*written, *write_page(folder, out / "runs", results)]:
            print(printable(f"wrote {display_path(path)}"))
        for file, problem in results.refused.items():
            error = f"error: {display_path(folder / file)}: {problem}; it is left out: "
            print(printable(f"{error}measure it again, or remove it"), file=sys.stderr)
        refused += len(results.refused)
    return int(refused > 0)
