"""The rows of a table that the gallery shows, and where their predictions are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.results.page.drawing_cache import run_folder


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


def prediction_folder(cache: Path, systems: Systems, label: str, stage: str = "predict") -> Path:
    """Return the folder with the predictions of a row.

    Raises:
        Unavailable: they are not in the cache.
    """
    return run_folder(cache, systems.runs[f"{label}: {stage}"])
