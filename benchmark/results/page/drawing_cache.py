"""A cache of drawings beside the page: each is stored with the runs that it was drawn from."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.api.errors import Unavailable, UserError, one_line
from benchmark.results.schema import Result
from benchmark.runs.cache import read_record
from datasets.tools.files import fits_own_sha256, read_json, with_own_sha256, write_json

_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Chart:
    """A picture on the page.

    Attributes:
        file: its path from the page.
        title: above it.
        text: what is in it, for those who do not see it.
    """

    file: str
    title: str
    text: str


@dataclass(frozen=True)
class Systems:
    """Rows of a table that the gallery can show.

    Attributes:
        task: what they do, one of `benchmark.api.table.TASKS`.
        ours: label of the row that ranks the clips.
        others: labels of the rows beside it, as many as find room.
        runs: ``<label>: <stage>`` -> run id, of all that is drawn from.
    """

    task: str
    ours: str
    others: Sequence[str]
    runs: dict[str, str]

    def folder(self, cache: Path, label: str, stage: str = "predict") -> Path:
        """Return the folder of a run of a row; raises as `run_folder`."""
        return run_folder(cache, self.runs[f"{label}: {stage}"])


def drawing(
    folder: Path, name: str, runs: Mapping[str, str], draw: Callable[[], dict], *, version: int
) -> dict | None:
    """Return the entry of a drawing that is of these runs; draw it where there is none.

    Args:
        folder: of the drawings, with ``<folder>.json``, which names the runs of each.
        name: of the entry.
        runs: what is drawn from: name -> run id.
        draw: writes files into `folder` and returns what the page must know, with their names in
            ``files``. It raises `Unavailable` where the cache of runs lacks something, and an
            OSError, ValueError or `UserError` where that is damaged or has changed.
        version: of the drawing, to be raised when it changes.

    Returns:
        None if it cannot be drawn; the error is printed, except when a run is not in the cache.
    """
    index = folder / f"{folder.name}.json"
    known = read_json(index)
    if index.exists() and (known is None or not fits_own_sha256(known)):
        print(f"{index} is damaged: what it names is drawn again", file=sys.stderr)
        known = None
    known = known or {}
    entries = known.get("entries", {}) if known.get("schema_version") == _SCHEMA_VERSION else {}
    old = entries.get(name, {})
    made_of = {"version": version, "runs": dict(runs)}
    if old.get("made_of") == made_of and all(
        (folder / Path(file).name).is_file() for file in old["files"]
    ):
        return old
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new = draw() | {"made_of": made_of}
    except Unavailable:
        return None
    except (UserError, OSError, ValueError) as error:
        print(f"{folder / name} is not drawn: {one_line(error)}", file=sys.stderr)
        return None
    for file in old.get("files", []):
        if file not in new["files"]:
            (folder / Path(file).name).unlink(missing_ok=True)
    entries[name] = new
    known = {"schema_version": _SCHEMA_VERSION, "entries": entries}
    write_json(index, with_own_sha256(known))
    return new


def run_folder(cache: Path, run_id: str) -> Path:
    """Return the folder of a run in the cache.

    Raises:
        Unavailable: it is not there.
        ValueError: one of its files is damaged.
    """
    stage, _, key = run_id.partition("/")
    folder = cache / Path(stage).name / Path(key).name
    if not (folder / "run.json").is_file():
        raise Unavailable(f"{run_id} is not in the cache")
    _, damage = read_record(folder)
    if damage:
        raise ValueError(f"{run_id}: {damage}")
    return folder


def seed_of(result: Result) -> str:
    """Return the seed that `runs_of_row` is of, as the end of a title; empty for a single one."""
    seeds = result.provenance.seeds
    return f" (seed {seeds[0]})" if len(seeds) > 1 else ""


def runs_of_row(result: Result, label: str) -> dict[str, str]:
    """Return stage -> run id of a row, of the first of several seeds; empty without any."""
    runs, seeds = result.provenance.run_facts, result.provenance.seeds or (0,)
    found = runs.get(label) or runs.get(f"{label}, seed {seeds[0]}") or {}
    return {stage: run.run_id for stage, run in found.items()}
