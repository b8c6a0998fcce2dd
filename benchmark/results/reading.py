"""Reads the JSON results of a folder, each file checked against its schema."""

from dataclasses import dataclass, field
from pathlib import Path

from benchmark import discover
from benchmark.results.figure_schema import FigureResult
from benchmark.results.schema import Result
from datasets.tools.discovery import natural_key
from datasets.tools.typed_json import load, printable


@dataclass(frozen=True, kw_only=True)
class Results:
    """The results of a folder.

    Attributes:
        tables: stem of a file -> result, in natural order.
        figures: the same of figures.
        refused: name of a file that cannot be shown -> what is wrong with it.
    """

    tables: dict[str, Result] = field(default_factory=dict)
    figures: dict[str, FigureResult] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def read(folder: Path) -> Results:
    """Read the results of a folder, such as ``reports/embedded``.

    An object that neither names a table or figure nor is called like one is another program's.
    """
    results = Results()
    for path in sorted(folder.glob("*.json"), key=lambda path: natural_key(path.stem)):
        try:
            value = load(path)
            if not isinstance(value, dict):
                raise ValueError("is no JSON object")
            if "table" in value or path.stem in discover.summaries("tables"):
                result = Result.from_json(value)
                _require_known("tables", result.table)
                _require_profile(result.profile, folder)
                results.tables[path.stem] = result
            elif "figure" in value or path.stem in discover.summaries("figures"):
                figure = FigureResult.from_json(value)
                _require_known("figures", figure.figure)
                _require_profile(figure.profile, folder)
                results.figures[path.stem] = figure
        except ValueError as error:
            results.refused[printable(path.name)] = " ".join(str(error).split())
    return results


def _require_known(kind: str, name: str) -> None:
    if name not in discover.summaries(kind):
        raise ValueError(
            f"{name!r} is none of the {kind}: see `python -m benchmark.run list {kind}`"
        )


def _require_profile(profile: str | None, folder: Path) -> None:
    """Refuse a result of another profile than the folder's, whose name begins with it."""
    if profile is not None and f"{folder.resolve().name}-".startswith(f"{profile}-") is False:
        raise ValueError(f"is of the profile {profile!r}, but lies in the folder {folder.name}")
