"""Figures, from outcomes to files: a picture, its numbers as JSON, and a Markdown page."""

import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.api.errors import Unavailable, one_line
from benchmark.api.figure import FigureSpec, Picture, SystemOutput
from benchmark.api.paths import ROOT, redact_paths
from benchmark.api.profile import Profile
from benchmark.figures.drawing.style import plain, styled
from benchmark.results import table
from benchmark.results.cells import RowOutcome
from benchmark.results.figure_schema import FigureResult, FigureRow
from benchmark.results.render.markdown import escape
from benchmark.runs import artifacts, cache
from benchmark.runs.plan import LEFT_OUT
from benchmark.runs.work_item import RunContext
from datasets.tools.files import hash_lines, locked, sha256_of, write_bytes, write_text
from datasets.tools.typed_json import load

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LARGEST = 500_000  # bytes of a picture
_DPI = (170, 140, 110, 90, 70)  # the first that makes the picture small enough


def write_pictures(result: FigureResult, path: Path, draw: Callable[[], Picture]) -> Picture:
    """Draw the picture of a result; write it beside `path`, as PNG and, where small, as SVG.

    Raises:
        Unavailable: whatever `draw` raises; nothing is written.
    """
    with styled():
        picture = draw()
        _inscribe(picture.figure, result)
        _save(picture.figure, path)
    return picture


def to_markdown(result: FigureResult, *, picture: bool) -> str:
    """Return the page of a figure: the picture, how to read it, what is missing."""
    name = result.figure
    lines = [f"# {escape(name)}: {escape(result.title)} (profile {result.profile})", ""]
    if picture:
        lines += [f"![{escape(name)}]({name}.png)", "", escape(result.caption), ""]
    else:
        lines += [f"unavailable: {escape(result.reason or '')}", ""]
    lines += [f"- **Data:** {escape(result.data)}", f"- **Body:** {escape(result.body)}"]
    lines += [
        f"- **{escape(row.label)}:** unavailable: {escape(row.reason or '')}"
        for row in result.rows
        if row.status == "unavailable" and picture and row.reason != LEFT_OUT
    ]
    if left := [escape(row.label) for row in result.rows if row.reason == LEFT_OUT]:
        lines.append(f"- {LEFT_OUT}: {', '.join(left)}")
    notes = [f"{number}. {escape(note)}" for number, note in enumerate(result.notes, 1)]
    return "\n".join([*lines, "", *notes]).rstrip() + "\n"


def _inscribe(figure: "Figure", result: FigureResult) -> None:
    """Write on the picture itself its title and data, and which systems are not in it."""
    heading = f"{result.figure}: {result.title} (profile {result.profile})"
    text = plain(f"{heading}\n{result.data}")
    above = 1 + 0.12 / figure.get_figheight()
    figure.text(0.5, above, text, ha="center", va="bottom", fontsize=10)
    missing = [row.label for row in result.rows if row.status == "unavailable"]
    if missing:
        below = -0.08 / figure.get_figheight()
        text = plain(f"Not shown, as unavailable or left out: {', '.join(missing)}")
        figure.text(0, below, text, va="top", fontsize=8, color="#444444")


def _save(figure: "Figure", path: Path) -> None:
    """Write the PNG, in the finest resolution that keeps it small, and the SVG where that is small.

    Neither holds a date.
    """
    for dpi in _DPI:
        png = _bytes(figure, "png", dpi=dpi, metadata={"Software": None})
        if len(png) <= _LARGEST:
            break
    svg = _bytes(figure, "svg", metadata={"Date": None})
    for suffix, content in ((".png", png), (".svg", svg)):
        if suffix == ".png" or len(content) <= _LARGEST:
            write_bytes(path.with_suffix(suffix), content)


def _bytes(figure: "Figure", kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, bbox_inches="tight", pad_inches=0.06, **options)
    return buffer.getvalue()


def illustrate(
    spec: FigureSpec,
    systems: Sequence[RowOutcome],
    folder: Path,
    *,
    context: RunContext,
    profile: Profile,
    options: Mapping[str, Any],
    always: bool,
) -> tuple[FigureResult, list[Path]]:
    """Draw a figure from what the cache holds and write its files.

    Args:
        spec: the figure.
        systems: its rows, with what the cache knows of them.
        folder: of the files.
        context: of the run.
        profile: the size of everything.
        options: as given, for the record.
        always: draw it also where the same is drawn already.

    Returns:
        The result, and the paths written, or found to be up to date.
    """
    rows, outputs = [], []
    for system in systems:
        row, output = _row(system, context)
        rows.append(row)
        outputs += [output] if output else []
    result = _undrawn(spec, systems, rows, context=context, profile=profile, options=options)
    path = folder / f"{spec.id}.json"
    files = [path.with_suffix(suffix) for suffix in (".md", ".png", ".svg")]
    with locked(folder.parent / "runs" / "locks" / f"{folder.name}-{path.stem}"):
        before = None if always else _up_to_date(path, result)
        if before is not None:
            return before, [path, *(file for file in files if file.exists())]
        for file in (path, *files):
            file.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            result = _draw(spec, outputs, result, path)
        except (Unavailable, OSError, ValueError) as error:  # such as a damaged video
            known = isinstance(error, Unavailable)
            result = dataclasses.replace(
                result,
                status="unavailable" if known else "failed",
                reason=redact_paths(str(error) if known else one_line(error)),
            )
        write_text(files[0], to_markdown(result, picture=files[1].exists()))
        result.write(path)
    return result, [path, *(file for file in files if file.exists())]


def complete(result: FigureResult) -> bool:
    """Return True if the figure is drawn with all rows that were asked for."""
    asked = [row for row in result.rows if row.reason != LEFT_OUT]
    whole = result.status == "drawn" and all(row.status == "measured" for row in asked)
    return whole or not asked


def _up_to_date(path: Path, result: FigureResult) -> FigureResult | None:
    """Return the result in a file if it is drawn from the same and its files are there."""
    try:
        before = FigureResult.from_json(load(path))
    except ValueError:  # there is none, or of an earlier schema
        return None
    if before.drawn_from != result.drawn_from or before.status == "failed":
        return None
    suffixes = (".md", ".png") if before.status == "drawn" else (".md",)
    whole = all(path.with_suffix(suffix).exists() for suffix in suffixes)
    return before if whole else None


def _row(row: RowOutcome, context: RunContext) -> tuple[FigureRow, SystemOutput | None]:
    """Return a row as the JSON has it, and its output where that can be drawn."""
    found = FigureRow(label=row.row.label, task=row.task, status="measured")
    outcome = row.outcomes[0] if row.outcomes else None
    if outcome is None or "predict" not in outcome.records:
        failure = outcome.failure("") if outcome else None
        reason = row.absent or (failure.reason if failure else row.failed) or "not done yet"
        return _unavailable(found, reason), None
    found = dataclasses.replace(found, run_id=outcome.stages["predict"].id)
    output = _output(row, context)
    try:
        if not output.is_smpl:
            return found, output
        reason = "its motion is SMPL's, and only SMPL-X is drawn"
    except Unavailable as error:
        reason = str(error)
    return _unavailable(found, reason), None


def _unavailable(row: FigureRow, reason: str) -> FigureRow:
    return dataclasses.replace(row, status="unavailable", reason=redact_paths(reason))


def _output(row: RowOutcome, context: RunContext) -> SystemOutput:
    (item,), (outcome,) = row.items, row.outcomes
    training = outcome.stages["train"].folder if "train" in outcome.stages else None
    weights = item.weights
    if weights is None:
        weights = outcome.stages["train"].folder / outcome.records["train"].weights
    return artifacts.system_output(
        outcome.stages["predict"].folder,
        item.data,
        label=row.row.label,
        task=row.task,
        training=training,
        weights=weights,
        device=context.device,
        seed=item.seed,
    )


def _undrawn(
    spec: FigureSpec,
    systems: Sequence[RowOutcome],
    rows: Sequence[FigureRow],
    *,
    context: RunContext,
    profile: Profile,
    options: Mapping[str, Any],
) -> FigureResult:
    """Return what is known before drawing."""
    done = [row for row in systems if row.items]
    stores = list({row.items[0].data.path: row.items[0].data for row in done}.values())
    seeds = {row.items[0].seed for row in done}
    notes = [
        *(note for task in spec.rows for note in profile.notes[task]),
        *(note for data in stores for note in data.notes),
        *spec.notes,
        *table.row_notes(done),
    ]
    if len(options["seeds"]) > 1 and seeds:
        notes.append(f"Of the trainings, that with seed {min(seeds)} is shown.")
    result = FigureResult(
        figure=spec.id,
        title=profile.titled(spec.title),
        profile=profile.name,
        data="; ".join(map(table.data_text, stores)) or "none",
        body=f"{context.body.name} {context.body.sha256[:12]}",
        status="unavailable",
        reason="; ".join(dict.fromkeys(row.reason for row in rows if row.reason)),
        rows=tuple(rows),
        values={},
        notes=tuple(dict.fromkeys(notes)),
        drawn_from="",
        provenance=table.made_with(
            context,
            stores,
            options,
            seeds=seeds,
            runs={row.row.label: table.run_facts(row.outcomes[0]) for row in done},
        ),
    )
    depends_on = result.to_json() | {"provenance": None, "code": _code()}
    return dataclasses.replace(result, drawn_from=cache.make_key(depends_on))


def _code() -> str:
    """Return a hash of what draws: a figure whose code was changed is drawn again."""
    files = [Path(__file__), *sorted((ROOT / "benchmark" / "figures").rglob("*.py"))]
    return hash_lines([sha256_of(file) for file in files])


def _draw(
    spec: FigureSpec, systems: Sequence[SystemOutput], result: FigureResult, path: Path
) -> FigureResult:
    """Write the pictures; return the result with what is in them.

    Raises:
        Unavailable: there is nothing to draw; the message says why.
    """
    if not systems:
        raise Unavailable(result.reason)
    picture = write_pictures(result, path, lambda: spec.draw(systems))
    return dataclasses.replace(
        result,
        status="drawn",
        reason=None,
        caption=picture.caption,
        clips=tuple(picture.clips),
        values=dict(picture.values),
    )
