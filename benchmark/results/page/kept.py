"""What is drawn from the cache and kept beside the page, with the runs that it is of."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmark.api.errors import Unavailable, UserError, one_line
from datasets.tools.files import read_json, write_json

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
class Kept:
    """A folder of things drawn from runs, and ``<folder>.json`` in it, which says of which.

    Attributes:
        folder: of the things.
    """

    folder: Path

    def entry(
        self, name: str, runs: Mapping[str, str], draw: Callable[[], dict], *, version: int
    ) -> dict | None:
        """What is kept under a name, if it is of these runs; else what `draw` makes anew.

        Args:
            name: of the entry.
            runs: what is drawn from: name -> run id.
            draw: writes files into `folder` and returns what the page must know, with their names
                in ``files``; raises `Unavailable` where the cache has not what it needs, and an
                OSError, ValueError or `UserError` where that is damaged or not the same any more.
            version: of the drawing, to be raised when it changes.

        Returns:
            None where there is nothing of these runs; why it could not be drawn is told on stderr,
            unless that is for want of a cache.
        """
        index = self.folder / f"{self.folder.name}.json"
        known = read_json(index) or {}
        entries = known.get("entries", {}) if known.get("schema_version") == _SCHEMA_VERSION else {}
        old = entries.get(name)
        made_of = {"version": version, "runs": dict(runs)}
        if old and old["made_of"] == made_of and self._there(old):
            return old
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            new = draw() | {"made_of": made_of}
        except Unavailable:
            return None
        except (UserError, OSError, ValueError) as error:
            print(f"{self.folder / name} is not drawn: {one_line(error)}", file=sys.stderr)
            return None
        for file in (old or {}).get("files", []):
            if file not in new["files"]:
                (self.folder / Path(file).name).unlink(missing_ok=True)
        entries[name] = new
        write_json(index, {"schema_version": _SCHEMA_VERSION, "entries": entries})
        return new

    def _there(self, entry: dict) -> bool:
        return all((self.folder / Path(file).name).is_file() for file in entry["files"])


def run_folder(cache: Path, run_id: str) -> Path:
    """Folder of a run in the cache.

    Raises:
        Unavailable: it is not there.
    """
    stage, _, key = run_id.partition("/")
    folder = cache / Path(stage).name / Path(key).name
    if not (folder / "run.json").is_file():
        raise Unavailable(f"{run_id} is not in the cache")
    return folder


def of_seed(result: dict) -> str:
    """Which of several trainings `runs_of_row` is of, as the end of a title; else empty."""
    seeds = result.get("provenance", {}).get("seeds") or [0]
    return f" (seed {seeds[0]})" if len(seeds) > 1 else ""


def runs_of_row(result: dict, label: str) -> dict[str, str]:
    """Stage -> run id of a row, of the first of several seeds; empty without any."""
    provenance = result.get("provenance", {})
    runs = provenance.get("runs", {})
    seeds = provenance.get("seeds") or [0]
    found = runs.get(label) or runs.get(f"{label}, seed {seeds[0]}") or {}
    return {stage: run["run_id"] for stage, run in found.items()}
