"""A result as a picture: the paper's numbers on the left, the measured ones on the right.

The two have axes of their own: what can be compared between embedded models and the paper's is the
trend, not the height.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from benchmark.api.table import Column, Trend
from benchmark.figures.drawing.style import COLORS, GRID, plain, styled
from benchmark.results.schema import Cell, Result, ResultRow
from datasets.tools.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = ("s", "o", "^", "D", "v", "P", "X")
_PANELS = 6  # columns drawn, from the left of the table
_ROWS = 30  # rows drawn, from its top
_LABEL, _LINES = 26, 3  # letters of a row's label on a line; lines of it at most

Source = Literal["paper", "value"]  # field of a cell that is drawn
_SOURCES: tuple[Source, ...] = ("paper", "value")


def render(result: Result, path: Path) -> None:
    """Write a PNG or SVG, by the suffix; none where no column that has a best has a value."""
    measured = {cell.column for cell in result.cells if cell.value is not None}
    columns = [column for column in result.columns if column.better and column.key in measured]
    columns = columns[:_PANELS]
    if not columns:
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    trend = result.figure
    rows = result.rows if trend else result.rows[:_ROWS]
    height = 2.3 if trend else 0.9 + 0.32 * len(rows)
    heading = f"{result.table}: {result.title}\n{result.data}"
    if len(rows) < len(result.rows):
        heading += f"\nthe first {len(rows)} of {len(result.rows)} rows"
    with styled():
        figure, axes = plt.subplots(
            len(columns),
            2,
            figsize=(9, height * len(columns) + 1.1),
            squeeze=False,
            sharex="col" if trend else False,
            sharey=False if trend else "row",
            layout="constrained",
        )
        for line, column in zip(axes, columns, strict=True):
            for axis, source in zip(line, _SOURCES, strict=True):
                if trend:
                    _draw_trend(axis, result, trend, column, source)
                else:
                    _draw_dots(axis, result, rows, column, source)
        axes[0, 0].set_title("Paper (printed)", fontweight="bold")
        axes[0, 1].set_title(f"Measured here ({result.profile})", fontweight="bold")
        if trend:
            for axis in axes[-1]:
                axis.set_xlabel(trend.x_label)
            handles, labels = axes[0, 0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        figure.align_ylabels()
        figure.suptitle(plain(heading))
        save(figure, path)
        plt.close(figure)


def save(figure: "Figure", path: Path) -> None:
    """Write a figure of matplotlib atomically, as what its suffix says; without a date."""
    kind = path.suffix[1:]
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=130, format=kind, metadata=metadata)


def _draw_trend(axis: "Axes", result: Result, trend: Trend, column: Column, source: Source) -> None:
    """Draw one line or marker a series, over the parameter on the x axis."""
    rows = [row for row in result.rows if {trend.x, trend.series} <= row.params.keys()]
    positions = sorted({row.params[trend.x] for row in rows})
    series = sorted({row.params[trend.series] for row in rows})
    for number, name in enumerate(series):
        points: list[tuple[float, Cell]] = []
        for row in rows:
            cell = result.cell(row.label, column.key)
            if row.params[trend.series] == name and getattr(cell, source) is not None:
                points.append((positions.index(row.params[trend.x]), cell))
        # Apart by a little, so that intervals of one x do not cover each other.
        shift = 0.09 * (number - (len(series) - 1) / 2)
        points = [(x + shift, cell) for x, cell in sorted(points, key=lambda point: point[0])]
        _plot(axis, points, source, number, label=f"{trend.series_label} = {name}")
    axis.set_xticks(range(len(positions)), [str(position) for position in positions])
    axis.set_xlim(-0.4, len(positions) - 0.6)
    axis.set_ylabel(column.heading)
    axis.set_ylim(bottom=0)
    axis.grid(axis="y")


def _plot(
    axis: "Axes", points: Sequence[tuple[float, Cell]], source: Source, number: int, *, label: str
) -> None:
    """Draw markers at (position, cell), joined, with the measured interval as a bar."""
    xs = [x for x, _ in points]
    ys = [getattr(cell, source) for _, cell in points]
    bars = None
    intervals = [cell.interval for _, cell in points if cell.interval is not None]
    if source == "value" and len(intervals) == len(points):
        bars = [
            [y - low for y, (low, _) in zip(ys, intervals, strict=True)],
            [high - y for y, (_, high) in zip(ys, intervals, strict=True)],
        ]
    axis.errorbar(
        xs,
        ys,
        yerr=bars,
        color=COLORS[number % len(COLORS)],
        marker=_MARKERS[number % len(_MARKERS)],
        markersize=5,
        linewidth=1.2,
        elinewidth=0.8,
        capsize=2,
        label=label,
    )


def _draw_dots(
    axis: "Axes", result: Result, rows: Sequence[ResultRow], column: Column, source: Source
) -> None:
    """Draw one dot a row, in the order of the table, with its value beside it."""
    reach = [0.0]
    for number, row in enumerate(rows):
        cell = result.cell(row.label, column.key)
        value = getattr(cell, source)
        if value is None:
            # Of a row beside the paper's there is nothing to miss in the paper.
            if source == "value" or not row.beside:
                axis.annotate("not available", (0, number), va="center", color="#666666")
            continue
        color = COLORS[number % len(COLORS)]
        axis.plot([0, value], [number, number], color=GRID, linewidth=1.5, zorder=1)
        if source == "value" and cell.interval is not None:
            axis.plot(cell.interval, [number] * 2, color=color, linewidth=1)
            reach.append(cell.interval[1])
        axis.plot(value, number, marker=_MARKERS[number % len(_MARKERS)], color=color, zorder=3)
        axis.annotate(
            column.format(value), (value, number), (0, 6), textcoords="offset points", ha="center"
        )
        reach.append(value)
    wrapped = [
        plain(textwrap.fill(row.label, _LABEL, max_lines=_LINES, placeholder="…")) for row in rows
    ]
    axis.set_yticks(range(len(rows)), wrapped)
    axis.set_ylim(len(rows) - 0.5, -0.7)
    axis.set_xlim(0, 1.1 * max(reach) or 1.1)
    axis.set_xlabel(column.heading)
    axis.grid(axis="x")
