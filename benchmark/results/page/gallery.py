"""The gallery: clips spread over the ranks of our own error, so that failures are seen too."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark import discover
from benchmark.api.errors import UserError
from benchmark.results.page.drawing_cache import Systems, drawing, run_folder, runs_of_row, seed_of
from benchmark.results.page.names import anchor, heading
from benchmark.results.schema import Result

if TYPE_CHECKING:
    from benchmark.api.clips import Data

TABLES = ("table3", "table2")
_OURS = "unimo"  # the method whose errors rank the clips
_PANELS = 6
_VERSION = 2
_INPUTS = {
    "v2m": "from video to motion",
    "i2vm": "from the first picture to video and motion",
}


def gallery(result: Result, folder: Path, cache: Path) -> dict[str, Any] | None:
    """Return the gallery of a table that is stored in `folder` or can be drawn from the cache.

    Returns:
        ``id``, unique on the page; ``name`` of the table; ``task`` in words; ``error``, what ranks
        the clips; and what `strips.draw` returns of them. None for a table without a gallery, and
        where neither folder nor cache has its clips.
    """
    systems = _systems(result)
    if systems is None:
        return None
    name = result.table

    def draw() -> dict:
        for run_id in systems.runs.values():  # before anything heavy is imported
            run_folder(cache, run_id)
        from benchmark.results.page import strips

        data = _data(result, systems.task)
        return strips.draw(systems, data, cache, folder / "gallery", anchor(name))

    entry = drawing(folder / "gallery", name, systems.runs, draw, version=_VERSION)
    if entry is None:
        return None
    error = f"MPJPE of {systems.ours}"
    if systems.task == "i2vm":
        error += " against the motion seen in its own video"
    return {
        **entry,
        "id": f"gallery-{anchor(name)}",
        "name": heading(name),
        "task": _INPUTS[systems.task],
        "error": error + seed_of(result),
    }


def _systems(result: Result) -> Systems | None:
    """Return the rows that a gallery shows; None where our own row has no errors."""
    if result.table not in TABLES:
        return None
    spec = discover.load("tables", result.table)
    runs = {row.label: runs_of_row(result, row.label) for row in result.rows}
    needed = ("predict", "score pose", *(("estimate",) if spec.task == "i2vm" else ()))
    ours = next(
        (
            row.label
            for row in spec.rows
            if row.method == _OURS and all(stage in runs.get(row.label, {}) for stage in needed)
        ),
        None,
    )
    if ours is None:
        return None
    room = _PANELS - (4 if spec.task == "v2m" else 5)
    others = [label for label in runs if label != ours and "predict" in runs[label]][:room]
    used = {f"{ours}: {stage}": runs[ours][stage] for stage in needed}
    used |= {f"{label}: predict": runs[label]["predict"] for label in others}
    return Systems(spec.task, ours, others, used)


def _data(result: Result, task: str) -> "Data":
    """Return the clips that a table is measured on.

    Raises:
        UserError: they are not here any more.
    """
    from benchmark.runs.data import built_in_path, open_data

    options = result.provenance.options
    stores = [options["test"]] if options.get("test") else options.get("data") or []
    stores = [stores] if isinstance(stores, str) else stores  # a path, in files so far
    path = Path(stores[0]) if stores else None
    profile = discover.load("profiles", result.profile or "")
    data = open_data(
        path or built_in_path(profile, task),
        task=task,
        limit=options.get("limit"),
        splits=("test",),
    )
    if data.sha256 not in {used.sha256 for used in result.provenance.data.values()}:
        raise UserError(f"{data.path} is not what {result.table} was measured on")
    return data
