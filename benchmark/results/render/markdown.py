"""A result as Markdown: the measured numbers, and below each row the paper's."""

import re
from pathlib import Path

from benchmark.results.render import layout
from benchmark.results.schema import Result
from datasets.tools.files import write_text

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~$&])")


def render(result: Result, path: Path) -> None:
    """Write the Markdown file."""
    write_text(path, to_markdown(result))


def to_markdown(result: Result) -> str:
    """Return the text of the Markdown file."""
    facts = layout.footnotes(result)
    lines = [f"# {escape(_title(result))}", "", *table(layout.grid(result)), ""]
    if facts:
        beside = any(row.beside for row in result.rows)
        aside = "; rows beside the paper's take no part" if beside else ""
        legend = "**Bold** is the best measured value of a column, <u>underlined</u> the second"
        lines += [
            f"{legend}{aside}.",
            "",
            *(f"- **{escape(name)}:** {escape(text)}" for name, text in facts),
            "",
        ]
    lines += [f"{number}. {escape(note)}" for number, note in enumerate(result.notes, 1)]
    return "\n".join(lines).rstrip() + "\n"


def escape(text: str) -> str:
    """Return `text` so that Markdown shows it literally, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _title(result: Result) -> str:
    kind = f"measured with profile {result.profile}" if result.profile else "configuration"
    return f"{result.table}: {result.title} ({kind})"


def table(grid: list[list[layout.Field]]) -> list[str]:
    """Return the lines of a table whose columns line up in plain text too."""
    texts = [[_field(field) for field in line] for line in grid]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = [f"| {' | '.join(map(str.ljust, line, widths))} |" for line in texts]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _field(field: layout.Field) -> str:
    text = escape(field.text)
    marked = {0: f"**{text}**", 1: f"<u>{text}</u>", None: text}[field.rank]
    return marked + field.spread + field.interval
