"""Colours and matplotlib settings of all figures."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

# Okabe and Ito's colours, distinguishable with any colour vision; a series also has its marker.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GRID = "#DDDDDD"
STYLE: dict[Any, Any] = {  # of matplotlib
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "svg.hashsalt": "unimo-bench",  # else ids in it differ from run to run
    "svg.fonttype": "none",
}


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Draw in the style of all figures; letters that the font lacks are drawn as boxes, unsaid."""
    import matplotlib

    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        yield


def plain(text: str) -> str:
    """`text` without what matplotlib takes for mathematics."""
    return text.replace("$", r"\$")
