"""The files of a figure: its pictures, and the page that shows them. Results are `illustrate`'s."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.figures.drawn import Picture
from benchmark.render.figure import STYLE, plain
from benchmark.render.markdown import escape

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
            temporary = path.with_suffix(f"{suffix}.tmp")
            temporary.write_bytes(content)
            temporary.replace(path.with_suffix(suffix))


def _bytes(figure: "Figure", kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, bbox_inches="tight", pad_inches=0.06, **options)
    return buffer.getvalue()
