"""Figures, from options to files: a picture, its numbers as JSON, and a page to read.

The JSON has ``schema_version``, ``figure``, ``title``, ``profile``, ``data``, ``body``, ``status``
(``drawn``, ``unavailable`` or ``failed``), ``reason``, ``caption``, ``clips`` (ids of those shown),
``rows`` (``label``, ``task``, ``status``, ``reason``, ``run_id``), ``values`` (the numbers in the
picture), ``notes``, ``drawn_from`` and ``provenance``. What cannot be drawn has no picture.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.api.errors import Unavailable, one_line
from benchmark.api.figure import FigureSpec, Picture, SystemOutput
from benchmark.api.paths import ROOT, redact_paths
from benchmark.api.profile import Profile
from benchmark.figures.drawing.style import STYLE, plain
from benchmark.results import table
from benchmark.results.cells import RowOutcome
from benchmark.results.render.markdown import escape
from benchmark.runs import artifacts, cache, provenance
from benchmark.runs.plan import LEFT_OUT
from benchmark.runs.work_item import RunContext
from datasets.tools.files import (
    hash_lines,
    locked,
    read_json,
    sha256_of,
    write_bytes,
    write_json,
    write_text,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LARGEST = 500_000  # bytes of a picture
_DPI = (170, 140, 110, 90, 70)  # the first that makes the picture small enough


def write_pictures(result: dict, path: Path, draw: Callable[[], Picture]) -> Picture:
    """Draw what a result is of; write it beside `path`, as PNG and, where that is small, as SVG.

    Raises:
        Unavailable: whatever `draw` raises; nothing is written.
    """
    import matplotlib

    with matplotlib.rc_context(STYLE):
        made = draw()
        _inscribe(made.figure, result)
        _save(made.figure, path)
    return made


def to_markdown(result: dict, *, picture: bool) -> str:
    """The page of a figure: the picture, how to read it, what is missing."""
    name = result["figure"]
    lines = [f"# {escape(name)}: {escape(result['title'])} (profile {result['profile']})", ""]
    if picture:
        lines += [f"![{escape(name)}]({name}.png)", "", escape(result["caption"]), ""]
    else:
        lines += [f"unavailable: {escape(result['reason'])}", ""]
    lines += [f"- **Data:** {escape(result['data'])}", f"- **Body:** {escape(result['body'])}"]
    lines += [
        f"- **{escape(row['label'])}:** unavailable: {escape(row['reason'])}"
        for row in result["rows"]
        if row["status"] == "unavailable" and picture
    ]
    notes = [f"{number}. {escape(note)}" for number, note in enumerate(result["notes"], 1)]
    return "\n".join([*lines, "", *notes]).rstrip() + "\n"


def _inscribe(figure: "Figure", result: dict) -> None:
    """Say on the picture itself what it is of, and which systems are not in it."""
    heading = f"{result['figure']}: {result['title']} (profile {result['profile']})"
    text = plain(f"{heading}\n{result['data']}")
    above = 1 + 0.12 / figure.get_figheight()
    figure.text(0.5, above, text, ha="center", va="bottom", fontsize=10)
    missing = [row["label"] for row in result["rows"] if row["status"] == "unavailable"]
    if missing:
        below = -0.08 / figure.get_figheight()
        text = plain(f"Not shown, as unavailable or left out: {', '.join(missing)}")
        figure.text(0, below, text, va="top", fontsize=8, color="#444444")


def _save(figure: "Figure", path: Path) -> None:
    """The PNG, in the finest resolution that keeps it small, and the SVG where that is small too.

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


SCHEMA_VERSION = 1


def illustrate(
    spec: FigureSpec,
    systems: Sequence[RowOutcome],
    folder: Path,
    *,
    context: RunContext,
    profile: Profile,
    options: Mapping[str, object],
    always: bool,
) -> tuple[dict, list[Path]]:
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
        What its JSON holds, and the paths written, or found to be up to date.
    """
    rows, drawn = [], []
    for row in systems:
        found = _row(row)
        rows.append(found)
        if found["status"] == "measured":
            one = _drawn(row, context)
            if reason := _why_not(one):
                found |= {"status": "unavailable", "reason": reason}
            else:
                drawn.append(one)
    result = _frame(spec, systems, rows, context=context, profile=profile, options=options)
    path = folder / f"{spec.id}.json"
    files = [path.with_suffix(suffix) for suffix in (".md", ".png", ".svg")]
    with locked(folder.parent / "runs" / "locks" / f"{folder.name}-{path.stem}"):
        before = read_json(path) or {}
        whole = files[0].exists() and before.get("status") != "failed"
        whole = whole and (before.get("status") != "drawn" or files[1].exists())
        if before.get("drawn_from") == result["drawn_from"] and not always and whole:
            return before, [path, *(file for file in files if file.exists())]
        for file in (path, *files):
            file.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            _draw(spec, drawn, result, path)
        except (Unavailable, OSError, ValueError) as error:  # a damaged video, say
            known = isinstance(error, Unavailable)
            reason = redact_paths(str(error) if known else one_line(error))
            result |= {"status": "unavailable" if known else "failed", "reason": reason}
        write_text(files[0], to_markdown(result, picture=files[1].exists()))
        write_json(path, result)
    return result, [path, *(file for file in files if file.exists())]


def complete(result: dict) -> bool:
    """Whether it is drawn with all rows that were asked for."""
    asked = [row for row in result["rows"] if row["reason"] != LEFT_OUT]
    drawn = result["status"] == "drawn" and all(row["status"] == "measured" for row in asked)
    return drawn or not asked


def _row(row: RowOutcome) -> dict:
    """A row as the JSON has it."""
    outcome = row.outcomes[0] if row.outcomes else None
    done = outcome is not None and "predict" in outcome.records
    reason = row.absent or (outcome and outcome.failure) or "not done yet"
    return {
        "label": row.row.label,
        "task": row.task,
        "status": "measured" if done else "unavailable",
        "reason": None if done else redact_paths(reason),
        "run_id": outcome.stages["predict"].id if done else None,
    }


def _why_not(one: SystemOutput) -> str:
    """Why a prediction cannot be drawn; empty if it can."""
    try:
        return "its motion is SMPL's, and only SMPL-X is drawn" if one.is_smpl else ""
    except Unavailable as error:
        return str(error)


def _drawn(row: RowOutcome, context: RunContext) -> SystemOutput:
    (item,), (outcome,) = row.items, row.outcomes
    training = outcome.stages["train"].folder if "train" in outcome.stages else None
    return artifacts.system_output(
        outcome.stages["predict"].folder,
        item.data,
        label=row.row.label,
        task=row.task,
        training=training,
        weights=item.weights or training / outcome.records["train"].weights,
        device=context.device,
        seed=item.seed,
    )


def _frame(
    spec: FigureSpec,
    systems: Sequence[RowOutcome],
    rows: list[dict],
    *,
    context: RunContext,
    profile: Profile,
    options: Mapping[str, object],
) -> dict:
    """What is known before drawing."""
    done = [row for row in systems if row.items]
    used = list({row.items[0].data.path: row.items[0].data for row in done}.values())
    notes = [
        *(note for task in spec.rows for note in profile.notes[task]),
        *(note for data in used for note in data.notes),
        *spec.notes,
        *table.row_notes(done),
    ]
    seeds = {row.items[0].seed for row in done}
    if len(options["seeds"]) > 1 and seeds:
        notes.append(f"Of the trainings, that with seed {min(seeds)} is shown.")
    shown = {
        "schema_version": SCHEMA_VERSION,
        "figure": spec.id,
        "title": spec.title,
        "profile": profile.name,
        "data": "; ".join(map(table.data_text, used)) or "none",
        "body": f"{context.body.name} {context.body.sha256[:12]}",
        "status": "unavailable",
        "reason": "; ".join(dict.fromkeys(row["reason"] for row in rows if row["reason"])),
        "caption": "",
        "clips": [],
        "rows": rows,
        "values": {},
        "notes": list(dict.fromkeys(notes)),
    }
    return shown | {
        "drawn_from": cache.make_key(shown | {"code": _code()}),
        "provenance": provenance.collect()
        | {
            "options": dict(options),
            "seeds": sorted(seeds),
            "data": {
                data.name: {"sha256": data.sha256, "split_rule": data.split_rule} for data in used
            },
            "body": {"name": context.body.name, "sha256": context.body.sha256},
            "runs": {row.row.label: table.run_facts(row.outcomes[0]) for row in done},
        },
    }


def _code() -> str:
    """Identity of what draws: a figure whose code was changed is drawn again."""
    files = [Path(__file__), *sorted((ROOT / "benchmark" / "figures").rglob("*.py"))]
    return hash_lines([sha256_of(file) for file in files])


def _draw(spec: FigureSpec, drawn: Sequence[SystemOutput], result: dict, path: Path) -> None:
    """Write the pictures and add what drawing found out to the result.

    Raises:
        Unavailable: there is nothing to draw; the message says why.
    """
    if not drawn:
        raise Unavailable(result["reason"])
    made = write_pictures(result, path, lambda: spec.draw(drawn))
    result |= {
        "status": "drawn",
        "reason": None,
        "caption": made.caption,
        "clips": list(made.clips),
        "values": dict(made.values),
    }
