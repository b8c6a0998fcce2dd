"""Charts from the cache of runs: the errors of single clips, and the losses of the trainings."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.api.errors import Unavailable
from benchmark.api.metric import POOLED
from benchmark.api.table import Column
from benchmark.figures.drawing.losses import Curve, read_losses
from benchmark.figures.drawing.style import COLORS, plain, styled
from benchmark.results.page.drawing_cache import (
    Chart,
    drawing,
    run_folder,
    runs_of_row,
    seed_of,
)
from benchmark.results.page.names import anchor, heading, shortened
from benchmark.results.render.figure import save
from benchmark.results.schema import Result
from benchmark.runs import artifacts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_VERSION = 3
_POSE = "mpjpe"  # the column whose errors are shown clip by clip
_HELD_OUT = "held_out_"  # begins the columns of losses on clips that are not trained on
_POINTS = 150  # of a curve
_WITHIN = 3  # curves whose names stand within the axes
_SHADES = 0.35  # opacity of single clips
_WIDTH = 4.9  # inches
_DECADE = 10  # largest loss per smallest from which the axis is logarithmic


def charts(result: Result, folder: Path, cache: Path) -> list[Chart]:
    """Return the charts of a table that are stored in `folder` or can be drawn from the cache."""
    runs = {row.label: runs_of_row(result, row.label) for row in result.rows}
    scored = {cell.row for cell in result.cells if cell.column == _POSE and cell.value is not None}
    found = []
    for what, draw, stage, labels in (
        ("errors", _errors, "score pose", scored),
        ("losses", _losses, "train", runs.keys()),
    ):
        used = {
            label: own[stage] for label, own in runs.items() if label in labels and stage in own
        }
        if not used:
            continue
        name = f"{anchor(result.table)}-{what}"
        path = folder / "page" / f"{name}.png"
        draw_it = partial(_draw, draw, result, used, cache, path)
        entry = drawing(path.parent, name, used, draw_it, version=_VERSION)
        if entry is not None:
            title = entry["title"] + seed_of(result)
            found.append(Chart(f"page/{entry['files'][0]}", title, entry["text"]))
    return found


def clip_errors(cache: Path, run_id: str) -> dict[str, float]:
    """Return clip id -> MPJPE of each clip that a score run has one of.

    Raises:
        Unavailable: the run is not in the cache, or has no errors of clips.
        ValueError: it is damaged.
    """
    scores = artifacts.read_scores(run_folder(cache, run_id) / "scores.parquet")
    found = {
        score.clip_id: score.sum / score.count
        for score in scores
        if score.column == _POSE and score.count and score.clip_id != POOLED
    }
    if not found:
        raise Unavailable(f"{run_id} has no {_POSE} of single clips")
    return found


def _draw(
    draw: Callable[[Result, Mapping[str, str], Path], "tuple[Figure, str, str]"],
    result: Result,
    runs: Mapping[str, str],
    cache: Path,
    path: Path,
) -> dict:
    """Draw a chart; return its entry."""
    with styled():
        figure, title, text = draw(result, runs, cache)
        save(figure, path)
    return {"files": [path.name], "title": title, "text": text}


def _errors(result: Result, runs: Mapping[str, str], cache: Path) -> "tuple[Figure, str, str]":
    """Return a strip of dots a system, one dot a clip, with quartiles and median."""
    import numpy as np
    from matplotlib.figure import Figure

    column = next(column for column in result.columns if column.key == _POSE)
    systems = {label: list(clip_errors(cache, run).values()) for label, run in runs.items()}
    height = 0.75 + 0.34 * len(systems)
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    axis = figure.subplots()
    for place, errors in enumerate(systems.values()):
        colour = COLORS[place % len(COLORS)]
        # Apart by the golden ratio: even, and the same every time.
        apart = 0.5 * ((np.arange(len(errors)) * 0.618034) % 1.0 - 0.5)
        axis.scatter(errors, place + apart, s=7, color=colour, alpha=_SHADES, linewidths=0)
        low, middle, high = np.percentile(errors, (25, 50, 75))
        axis.plot([low, high], [place, place], color=colour, linewidth=5, solid_capstyle="butt")
        for colour, width in (("#FFFFFF", 3.4), ("#000000", 1.4)):
            axis.plot([middle] * 2, [place - 0.3, place + 0.3], color=colour, linewidth=width)
    axis.set_yticks(range(len(systems)), [plain(_wrapped(label)) for label in systems])
    axis.set_ylim(len(systems) - 0.5, -0.5)
    axis.set_xlim(left=0)
    axis.set_xlabel(f"{column.label} of a clip ({column.unit})")
    axis.grid(axis="x")
    title = "Errors of single clips: the bar is the middle half, the line the median"
    return figure, title, _in_words(column, systems)


def _wrapped(label: str) -> str:
    """Return a label on two lines at most."""
    return "\n".join(textwrap.wrap(shortened(label), 24)[:2])


def _in_words(column: Column, systems: Mapping[str, Sequence[float]]) -> str:
    import numpy as np

    lines = []
    for label, errors in systems.items():
        best, middle, worst = np.percentile(errors, (0, 50, 100))
        numbers = ", ".join(column.format(value) for value in (best, middle, worst))
        lines.append(f"{label}: {numbers} {column.unit} ({len(errors)} clips)")
    return f"{column.label}, a dot a clip. Best, median and worst clip: {'; '.join(lines)}."


def _losses(result: Result, runs: Mapping[str, str], cache: Path) -> "tuple[Figure, str, str]":
    """Return a panel for each kind of training; of one with held-out clips, a panel for itself."""
    from matplotlib.figure import Figure

    trainings = _trainings(runs, cache)
    if not trainings:
        raise Unavailable(f"{heading(result.table)} has no training with losses")
    panels: dict[tuple, dict[str, dict[str, Curve]]] = {}
    for label, losses in trainings.items():
        alone = any(name.startswith(_HELD_OUT) for name in losses)
        panels.setdefault((*losses, label if alone else ""), {})[label] = losses
    figure = Figure(figsize=(_WIDTH, 1.9 * len(panels)), layout="constrained")
    for axis, panel in zip(
        figure.subplots(len(panels), squeeze=False)[:, 0], panels.values(), strict=True
    ):
        _panel(axis, panel)
    words = [
        f"{label}: {losses['loss'][1][-1]:.3g} after step {losses['loss'][0][-1]:.0f}"
        for label, losses in trainings.items()
    ]
    held_out = any(name.startswith(_HELD_OUT) for losses in trainings.values() for name in losses)
    title = "Losses of the trainings" + ("; dashed: on held-out clips" if held_out else "")
    return figure, title, f"Loss by step. Last values: {'; '.join(words)}."


def _panel(axis, panel: Mapping[str, Mapping[str, Curve]]) -> None:
    import numpy as np
    from matplotlib.ticker import LogLocator, NullFormatter

    number = 0
    for label, losses in panel.items():
        pairs = [name for name in losses if _HELD_OUT + name in losses]
        for name in pairs or ["loss"]:
            colour = COLORS[number % len(COLORS)]
            dash = "-" if number < len(COLORS) else "-."
            number += 1
            named = plain(shortened(name.replace("_", " ") if pairs else label))
            axis.plot(
                *_thinned(*losses[name]), color=colour, linewidth=1.2, linestyle=dash, label=named
            )
            if pairs:
                axis.plot(*losses[_HELD_OUT + name], color=colour, linewidth=1.2, linestyle="--")
        if pairs:
            axis.set_title(plain(shortened(label)), fontsize=9, loc="left")
    values = np.concatenate([line.get_ydata() for line in axis.lines])
    if values.min() > 0 and values.max() > _DECADE * values.min():
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("step")
    axis.set_ylabel("loss")
    axis.grid()
    aside = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)} if number > _WITHIN else {}
    axis.legend(fontsize=7, frameon=False, **aside)


def _trainings(runs: Mapping[str, str], cache: Path) -> dict[str, dict[str, Curve]]:
    """Row -> column -> (steps, losses); a training that several rows share is of the first."""
    found, seen = {}, set()
    for label, run_id in runs.items():
        path = run_folder(cache, run_id) / "losses.csv"
        if run_id in seen or not path.is_file():  # a system with nothing to train
            continue
        seen.add(run_id)
        columns = read_losses(path)
        if "loss" in columns:
            found[label] = columns
    return found


def _thinned(steps: Sequence[float], values: Sequence[float]) -> tuple[list, list]:
    """Means over equal pieces of the curve, `_POINTS` of them at most."""
    import numpy as np

    pieces = min(_POINTS, len(steps))
    thinned = [
        [float(piece.mean()) for piece in np.array_split(np.asarray(line), pieces)]
        for line in (steps, values)
    ]
    return thinned[0], thinned[1]
