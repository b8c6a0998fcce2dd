"""A comparison as a picture: the difference of each column to each opponent, with its interval."""

from collections.abc import Sequence
from pathlib import Path

from benchmark.commands.compare.schema import Comparison, Difference
from benchmark.figures.drawing.style import COLORS, plain, styled
from benchmark.results.render.figure import save
from benchmark.results.render.layout import signed

_COLOR = {"better": COLORS[0], "worse": COLORS[1]}  # of a verdict; grey where there is none
_UNDECIDED = "#777777"
_MARKER = {"better": "o", "worse": "s"}


def render(result: Comparison, paths: Sequence[Path]) -> None:
    """Write the picture to each of the paths, PNG or SVG; nothing where no pair was tested.

    Differences are in percent of the opponent's value, since columns have other units.
    """
    tested = [line for line in result.comparisons if line.interval and line.relative is not None]
    if not tested:
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    opponents = list(dict.fromkeys(line.against for line in tested))
    own = next(iter(result.systems))
    with styled():
        figure, axes = plt.subplots(
            len(opponents),
            1,
            figsize=(7, 0.9 + 0.42 * len(tested) + 0.5 * len(opponents)),
            squeeze=False,
            sharex=True,
            height_ratios=[sum(line.against == name for line in tested) for name in opponents],
            layout="constrained",
        )
        for axis, name in zip(axes[:, 0], opponents, strict=True):
            _draw(axis, [line for line in tested if line.against == name], result)
            axis.set_title(plain(f"{own} against {name}"), fontsize=9, loc="left")
        axes[-1, 0].set_xlabel("difference of the means, % of the other's (95 % interval)")
        figure.suptitle(plain(f"compare: {result.task}\n{result.data}"))
        for path in paths:
            save(figure, path)
        plt.close(figure)


def _draw(axis, lines: Sequence[Difference], result: Comparison) -> None:
    columns = {column.key: column for column in result.columns}
    axis.axvline(0, color="#000000", linewidth=0.8)
    for place, line in enumerate(lines):
        column, scale = columns[line.column], 100.0 / abs(line.against_value)
        color = _COLOR.get(line.verdict, _UNDECIDED)
        axis.plot([line.low * scale, line.high * scale], [place, place], color=color, linewidth=1.4)
        axis.plot(line.difference * scale, place, _MARKER.get(line.verdict, "D"), color=color)
        difference = signed(column, line.difference)
        text = f"{difference} {column.unit}, {line.verdict or 'no test'}"
        axis.annotate(
            plain(text),
            (line.difference * scale, place),
            (0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=7,
        )
    labels = [plain(columns[line.column].heading) for line in lines]
    axis.set_yticks(range(len(lines)), labels)
    axis.set_ylim(len(lines) - 0.5, -0.8)
    axis.margins(x=0.15)
    axis.grid(axis="x")
