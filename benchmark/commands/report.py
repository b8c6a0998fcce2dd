"""The verb ``report``: renders the files of results again."""

from collections.abc import Sequence
from pathlib import Path

from benchmark.api.errors import UserError
from benchmark.api.paths import display_path
from benchmark.results import table
from benchmark.results.page.document import write_page
from benchmark.results.render import RENDERERS
from datasets.tools.files import read_json


def render_again(out: Path, tables: Sequence[str]) -> int:
    """Render the results under `out` again, of the tables named or of all.

    Raises:
        UserError: there are none.
    """
    found = sorted(path for path in out.glob("*/*.json") if not tables or path.stem in tables)
    results = {path: result for path in found if table.is_result(result := read_json(path))}
    if not results:
        raise UserError(
            f"{out} holds no result of {', '.join(tables) or 'any table'}: "
            f"run `python -m benchmark.run {' '.join(tables) or 'all'}` first"
        )
    for path, result in results.items():
        for suffix, render in RENDERERS.items():
            render(result, path.with_suffix(suffix))
            if path.with_suffix(suffix).exists():
                print(f"wrote {display_path(path.with_suffix(suffix))}")
    for folder in dict.fromkeys(path.parent for path in results):
        for path in write_page(folder, out / "runs"):
            print(f"wrote {display_path(path)}")
    return 0
