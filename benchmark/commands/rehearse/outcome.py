"""The outcome of a rehearsal: its stages, and what stands in the cells of its reports."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.api.profile import REHEARSAL
from benchmark.commands.rehearse.stages import Stage
from benchmark.results import reading
from benchmark.results.render.layout import Field
from benchmark.results.render.markdown import escape, table
from datasets.tools.files import write_json, write_text
from datasets.tools.typed_json import Record, decode, load

_STATUSES = ("measured", "not_applicable", "unavailable", "failed")


@dataclass(frozen=True, kw_only=True)
class Exhibit(Record):
    """A table or figure of the rehearsal.

    Attributes:
        name: such as ``table2``.
        cells: status -> number of cells; of a figure, of systems.
        reasons: why there is no value -> rows, with their columns, that have none.
    """

    name: str
    cells: Mapping[str, int]
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RunStage(Record):
    """A stage of the rows of tables and figures, of all rows together.

    Attributes:
        name: such as ``train``.
        runs: that were done.
        seconds: of all.
        peak_memory_mb: of the largest process.
    """

    name: str
    runs: int
    seconds: float
    peak_memory_mb: int | None


@dataclass(frozen=True, kw_only=True)
class Rehearsal(Record):
    """All that a rehearsal found.

    Attributes:
        note: what it is, and that its numbers mean nothing.
        device: ``cpu`` or ``cuda``.
        stages: in the order of the steps.
        exhibits: tables, then figures.
        runs: stages of the rows.
    """

    note: str = REHEARSAL
    device: str
    stages: tuple[Stage, ...]
    exhibits: tuple[Exhibit, ...] = ()
    runs: tuple[RunStage, ...] = ()

    @property
    def failed(self) -> bool:
        """True if a step, a cell or a figure failed."""
        return any(stage.status == "failed" for stage in self.stages) or any(
            one.cells.get("failed") for one in self.exhibits
        )

    def write(self, folder: Path) -> list[Path]:
        """Write ``rehearsal.json`` and ``rehearsal.md``; return their paths."""
        paths = [folder / "rehearsal.json", folder / "rehearsal.md"]
        write_text(paths[1], to_markdown(self))
        write_json(paths[0], self.to_json())
        return paths


def read_stages(folder: Path) -> dict[str, Stage]:
    """Return name -> stage of the rehearsal before in a folder; none where there was none."""
    try:
        return {one.name: one for one in decode(Rehearsal, load(folder / "rehearsal.json")).stages}
    except ValueError:
        return {}


def read_reports(folder: Path) -> tuple[tuple[Exhibit, ...], tuple[RunStage, ...]]:
    """Return the tables and figures in the folders of a folder of reports, and their stages."""
    exhibits, runs = [], {}
    for path in sorted(folder.glob("rehearsal*")):
        results = reading.read(path)
        for name, result in results.tables.items():
            cells = [(f"{c.row} ({c.column})", c.status, c.reason) for c in result.cells]
            exhibits.append(_exhibit(name, cells))
            runs |= _runs(result.provenance.runs)
        for name, one in results.figures.items():
            cells = [(row.label, row.status, row.reason) for row in one.rows]
            if one.status != "drawn":
                cells.append(("the picture", one.status, one.reason))
            exhibits.append(_exhibit(name, cells))
            runs |= _runs(one.provenance.runs)
        exhibits += [
            Exhibit(name=name, cells={"failed": 1}, reasons={problem: ("the file",)})
            for name, problem in results.refused.items()
        ]
    names = dict.fromkeys(name for name, _ in runs)
    return tuple(exhibits), tuple(_run_stage(name, runs) for name in names)


def _exhibit(name: str, cells: Iterable[tuple[str, str, str | None]]) -> Exhibit:
    counts: Counter[str] = Counter()
    reasons: dict[str, tuple[str, ...]] = {}
    for what, status, reason in cells:
        counts[status] += 1
        if status in ("unavailable", "failed"):
            reasons[reason or ""] = (*reasons.get(reason or "", ()), what)
    return Exhibit(name=name, cells=dict(counts), reasons=reasons)


def _runs(found: Mapping[str, Mapping[str, Mapping]]) -> dict[tuple[str, str], Mapping]:
    """(stage, id of the run) -> its record: a run that several rows share counts once."""
    return {
        (stage, str(record["run_id"])): record
        for stages in found.values()
        for stage, record in stages.items()
    }


def _run_stage(name: str, runs: Mapping[tuple[str, str], Mapping]) -> RunStage:
    own = [record for (stage, _), record in runs.items() if stage == name]
    peaks = [record["peak_memory_mb"] for record in own if record.get("peak_memory_mb")]
    return RunStage(
        name=name,
        runs=len(own),
        seconds=round(sum(record.get("seconds") or 0.0 for record in own), 1),
        peak_memory_mb=max(peaks, default=None),
    )


def to_markdown(found: Rehearsal) -> str:
    """Return the stages and the cells as Markdown."""
    lines = [
        f"# Rehearsal of the paper's run, on {found.device}",
        "",
        f"{found.note}: weights are random, models narrow, datasets miniatures. It shows whether "
        "every command, table and figure runs to its end, and no more.",
        "",
    ]
    heading = ("stage", "what came of it", "seconds", "MB", "what it does not show")
    grid = [
        [one.name, _came(one), f"{one.seconds:.0f}", _memory(one.peak_memory_mb), one.unseen]
        for one in found.stages
    ]
    lines += [*_table(heading, grid), "", "MB: the most that the largest process held."]
    if found.exhibits:
        grid = [
            [one.name, *(str(one.cells.get(status, 0)) for status in _STATUSES)]
            for one in found.exhibits
        ]
        heading = ("table or figure", "measured", "n/a", "unavailable", "failed")
        lines += ["", "## Cells", "", *_table(heading, grid), ""]
        lines += [
            f"- {escape(one.name)}, {escape(', '.join(where))}: {escape(reason)}"
            for one in found.exhibits
            for reason, where in one.reasons.items()
        ]
    if found.runs:
        grid = [
            [one.name, str(one.runs), f"{one.seconds:.0f}", _memory(one.peak_memory_mb)]
            for one in found.runs
        ]
        heading = ("stage of the rows", "runs", "seconds", "MB")
        lines += ["", "## Stages of the rows", "", *_table(heading, grid)]
    return "\n".join(lines).rstrip() + "\n"


def _table(heading: Iterable[str], grid: Iterable[Iterable[str]]) -> list[str]:
    return table([[Field(text) for text in line] for line in (heading, *grid)])


def _came(stage: Stage) -> str:
    return f"{stage.status}: {stage.reason}" if stage.reason else stage.status


def _memory(megabytes: int | None) -> str:
    return "-" if megabytes is None else str(megabytes)
