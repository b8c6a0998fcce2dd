"""A result as a picture: the paper's numbers on the left, the measured ones on the right.

The two have axes of their own: what can be compared between embedded models and the paper's is the
trend, not the height.
"""

import textwrap
from pathlib import Path

from benchmark.api.table import Column
from benchmark.figures.drawing.style import COLORS, GRID, STYLE, plain
from benchmark.results.render import layout
from datasets.tools.files import replacing

_MARKERS = ("s", "o", "^", "D", "v", "P", "X")
_PANELS = 6  # columns drawn, from the left of the table
_LABEL, _LINES = 26, 3  # letters of a row's label on a line; lines of it at most


def render(result: dict, path: Path) -> None:
    """Write a PNG or SVG, by the suffix; none where no column that has a best has a value."""
    measured = {cell["column"] for cell in result["cells"] if cell["status"] == "measured"}
    columns = [
        column for column in layout.columns_of(result) if column.better and column.key in measured
    ][:_PANELS]
    if not columns:
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    draw = _draw_trend if result["figure"] else _draw_dots
    height = 2.3 if result["figure"] else 0.9 + 0.32 * len(result["rows"])
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(columns),
            2,
            figsize=(9, height * len(columns) + 1.1),
            squeeze=False,
            sharex="col" if result["figure"] else False,
            sharey=False if result["figure"] else "row",
            layout="constrained",
        )
        for line, column in zip(axes, columns, strict=True):
            for axis, source in zip(line, ("paper", "value"), strict=True):
                draw(axis, result, column, source)
        axes[0, 0].set_title("Paper (printed)", fontweight="bold")
        axes[0, 1].set_title(f"Measured here ({result['profile']})", fontweight="bold")
        if result["figure"]:
            for axis in axes[-1]:
                axis.set_xlabel(result["figure"]["x_label"])
            handles, labels = axes[0, 0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        figure.align_ylabels()
        figure.suptitle(plain(f"{result['table']}: {result['title']}\n{result['data']}"))
        save(figure, path)
        plt.close(figure)


def save(figure, path: Path) -> None:
    """Write a figure of matplotlib atomically, as what its suffix says; without a date."""
    kind = path.suffix[1:]
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=130, format=kind, metadata=metadata)


def _draw_trend(axis, result: dict, column: Column, source: str) -> None:
    """One line or marker a series, over the parameter on the x axis."""
    layout_of = result["figure"]
    positions = sorted({row["params"][layout_of["x"]] for row in _swept(result)})
    series = sorted({row["params"][layout_of["series"]] for row in _swept(result)})
    for number, name in enumerate(series):
        own = [row for row in _swept(result) if row["params"][layout_of["series"]] == name]
        points = []
        for row in own:
            cell = layout.cell_of(result, row["label"], column)
            if _value(cell, source) is not None:
                points.append((positions.index(row["params"][layout_of["x"]]), cell))
        # Apart by a little, so that intervals of one x do not cover each other.
        shift = 0.09 * (number - (len(series) - 1) / 2)
        points = [(x + shift, cell) for x, cell in sorted(points, key=lambda point: point[0])]
        _plot(axis, points, source, number, label=f"{layout_of['series_label']} = {name}")
    axis.set_xticks(range(len(positions)), [str(position) for position in positions])
    axis.set_xlim(-0.4, len(positions) - 0.6)
    axis.set_ylabel(column.heading)
    axis.set_ylim(bottom=0)
    axis.grid(axis="y", color=GRID, linewidth=0.6)
    axis.set_axisbelow(True)


def _plot(axis, points: list, source: str, number: int, *, label: str) -> None:
    """Markers at (position, cell), joined, with the measured interval as a bar."""
    xs = [x for x, _ in points]
    ys = [_value(cell, source) for _, cell in points]
    color = COLORS[number % len(COLORS)]
    marker = _MARKERS[number % len(_MARKERS)]
    bars = None
    if source == "value" and all(cell["low"] is not None for _, cell in points):
        bars = [
            [y - cell["low"] for y, (_, cell) in zip(ys, points, strict=True)],
            [cell["high"] - y for y, (_, cell) in zip(ys, points, strict=True)],
        ]
    axis.errorbar(
        xs,
        ys,
        yerr=bars,
        color=color,
        marker=marker,
        markersize=5,
        linewidth=1.2,
        elinewidth=0.8,
        capsize=2,
        label=label,
    )


def _draw_dots(axis, result: dict, column: Column, source: str) -> None:
    """One dot a row, in the order of the table, with its value beside it."""
    labels = [row["label"] for row in result["rows"]]
    for number, label in enumerate(labels):
        cell = layout.cell_of(result, label, column)
        value = _value(cell, source)
        if value is None:
            # Of a row beside the paper's there is nothing to miss in the paper.
            if source == "value" or not result["rows"][number]["beside"]:
                axis.annotate("not available", (0, number), va="center", color="#666666")
            continue
        color = COLORS[number % len(COLORS)]
        axis.plot([0, value], [number, number], color=GRID, linewidth=1.5, zorder=1)
        if source == "value" and cell["low"] is not None:
            axis.plot([cell["low"], cell["high"]], [number] * 2, color=color, linewidth=1)
        axis.plot(value, number, marker=_MARKERS[number % len(_MARKERS)], color=color, zorder=3)
        axis.annotate(
            column.format(value), (value, number), (0, 6), textcoords="offset points", ha="center"
        )
    wrapped = [
        plain(textwrap.fill(label, _LABEL, max_lines=_LINES, placeholder="…")) for label in labels
    ]
    axis.set_yticks(range(len(labels)), wrapped)
    axis.set_ylim(len(labels) - 0.5, -0.7)
    cells = [layout.cell_of(result, label, column) for label in labels]
    reach = [cell["high"] if source == "value" else None for cell in cells]
    reach += [_value(cell, source) for cell in cells]
    axis.set_xlim(0, 1.1 * max(filter(None, reach), default=1.0))
    axis.set_xlabel(column.heading)
    axis.grid(axis="x", color=GRID, linewidth=0.6)
    axis.set_axisbelow(True)


def _swept(result: dict) -> list[dict]:
    """The rows that have both parameters of the trend."""
    names = {result["figure"]["x"], result["figure"]["series"]}
    return [row for row in result["rows"] if names <= row["params"].keys()]


def _value(cell: dict, source: str) -> float | None:
    return cell["paper"] if source == "paper" else cell["value"]
