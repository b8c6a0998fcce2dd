"""Plain text for a terminal: columns as wide as they need be, the last one wrapped."""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WIDTH = 120
_INDENT = "  "


@dataclass(frozen=True)
class Group:
    """Rows of as many columns each, under a heading, which may be empty."""

    heading: str
    rows: Sequence[tuple[str, ...]] = ()


def render(groups: Sequence[Group]) -> str:
    """Return groups as text, `WIDTH` columns wide unless a single word is longer.

    Folders below the user's own are told from ``~`` on.
    """
    lines = []
    for group in groups:
        widths = [max(map(len, column)) for column in zip(*group.rows, strict=True)]
        if group.heading:
            lines += _wrapped(_from_home(group.heading), _INDENT, _INDENT)
        indent = _INDENT * (2 if group.heading else 1)
        for *fields, last in group.rows:
            cells = (f"{text:<{width}}  " for text, width in zip(fields, widths, strict=False))
            start = indent + "".join(cells)
            for number, line in enumerate(last.split("\n")):
                lines += _wrapped(
                    _from_home(line), " " * len(start) if number else start, " " * len(start)
                )
    return "\n".join(lines) + "\n"


def _wrapped(text: str, first: str, later: str) -> list[str]:
    options = {"break_long_words": False, "break_on_hyphens": False}
    lines = textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=later, **options
    ) or [first.rstrip()]
    return [line.rstrip() for line in lines]


def _from_home(text: str) -> str:
    home = re.escape(str(Path.home()))
    return re.sub(rf"(?<![\w./~-]){home}(?![\w.-])", "~", text)
