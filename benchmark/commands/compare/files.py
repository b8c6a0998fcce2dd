"""The files of a comparison: JSON, Markdown, pictures, CSV with a line a pair and column."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmark.api.table import Column
from benchmark.commands.compare import plot
from benchmark.commands.compare.schema import Comparison, Difference
from benchmark.results.render.csv_file import to_csv as csv_text
from benchmark.results.render.layout import Field, letters_of, signed
from benchmark.results.render.markdown import escape, table
from benchmark.results.schema import Cell
from datasets.tools.files import locked, write_text

_SHOWN = 3  # clips at either end; the JSON lists more
_LINE = (
    "value",
    "against_value",
    "difference",
    "relative",
    "low",
    "high",
    "n",
    "groups",
    "improved",
    "worsened",
    "p",
    "p_holm",
    "verdict",
    "reason",
    "run_id",
    "against_run_id",
)


def write(result: Comparison, folder: Path) -> list[Path]:
    """Write the files, the JSON last; returns their paths."""
    names = (".json", ".md", ".csv", ".png", ".svg")
    paths = [folder / f"compare{suffix}" for suffix in names]
    with locked(folder.parents[1] / "runs" / "locks" / f"compare-{folder.name}"):
        write_text(paths[1], to_markdown(result))
        write_text(paths[2], to_csv(result))
        for path in paths[3:]:
            path.unlink(missing_ok=True)  # there may be nothing to draw any more
        plot.render(result, paths[3:])
        result.write(paths[0])
    return [path for path in paths if path.exists()]


def to_markdown(result: Comparison) -> str:
    """Return the text of the Markdown file."""
    columns = {column.key: column for column in result.columns}
    letters = _letters(result)
    own, *_ = result.systems
    opponents = list(dict.fromkeys(line.against for line in result.comparisons))
    lines = [f"# compare: {escape(own)} against {escape(', '.join(opponents))}", ""]
    lines += [*_values(result, columns, letters), ""]
    for opponent in opponents:
        own_lines = [line for line in result.comparisons if line.against == opponent]
        lines += [f"## against {escape(opponent)}", ""]
        if opponent in result.systems:
            lines += [*_tests(own_lines, columns, letters), ""]
            lines += [*_clips(own_lines, columns), ""]
        else:
            lines += [*_quoted(result, own_lines, columns, letters), ""]
    if result.seeds:
        lines += [f"## {len(result.trainings)} trainings of {escape(own)}", ""]
        lines += [*_seeds(result, columns, letters), ""]
    facts = [(f"({letter})", reason) for reason, letter in letters.items()] + _facts(result)
    lines += [f"- **{escape(name)}:** {escape(text)}" for name, text in facts]
    lines += ["", *(f"{number}. {escape(note)}" for number, note in enumerate(result.notes, 1))]
    return "\n".join(lines).rstrip() + "\n"


def to_csv(result: Comparison) -> str:
    """Return the text of the CSV file."""
    units = {column.key: column.unit for column in result.columns}
    own, *_ = result.systems
    lines = []
    for line in result.comparisons:
        other = result.systems.get(line.against)
        lines.append(
            [
                *(result.task, result.data, result.body),
                *(own, result.systems[own].file_sha256),
                *(line.against, other and other.file_sha256),
                *(line.column, units[line.column]),
                *(getattr(line, name) for name in _LINE),
            ]
        )
    names = ["checkpoint", "checkpoint_sha256", "against", "against_sha256", "column", "unit"]
    return csv_text(["task", "data", "body", *names, *_LINE], lines)


def _letters(result: Comparison) -> dict[str, str]:
    """Return the reason why something is missing -> letter, in the order of the tables."""
    cells = [cell for system in result.systems.values() for cell in system.cells.values()]
    with_reason = [*cells, *result.comparisons, *result.seeds.values()]
    return letters_of(one.reason for one in with_reason if one.reason)


def _values(result: Comparison, columns: dict[str, Column], letters: dict[str, str]) -> list[str]:
    grid = [[Field("System"), *(Field(column.heading) for column in columns.values())]]
    for label, system in result.systems.items():
        cells = [(column, system.cells[key]) for key, column in columns.items()]
        grid.append([Field(label), *(_value(column, cell, letters) for column, cell in cells)])
    return table(grid)


def _value(column: Column, cell: Cell, letters: dict[str, str]) -> Field:
    if cell.value is None:
        return Field(f"n/a ({letters[cell.reason]})")
    return Field(column.format(cell.value), _interval(cell, column.format))


def _tests(
    lines: list[Difference], columns: dict[str, Column], letters: dict[str, str]
) -> list[str]:
    texts = ("clips improved", "p (Wilcoxon)", "p (Holm)", "verdict")
    grid = [[Field("Column"), Field("difference", " [95 %]"), *map(Field, texts)]]
    for line in lines:
        column = columns[line.column]
        share = "-"
        if line.improved is not None:
            share = f"{line.improved} of {line.n} ({line.improved / line.n:.0%})"
        texts = (share, _chance(line.p), _chance(line.p_holm), line.verdict or "-")
        fields = [Field(column.heading), _difference(column, line, letters)]
        grid.append([*fields, *map(Field, texts)])
    return table(grid)


def _difference(column: Column, line: Difference, letters: dict[str, str]) -> Field:
    if line.difference is None:
        return Field(f"n/a ({letters[line.reason]})")
    # A reason beside a difference says why it has neither interval nor test.
    if line.reason:
        rest = f" ({letters[line.reason]})"
    else:
        rest = _interval(line, partial(signed, column))
    return Field(signed(column, line.difference), rest)


def _clips(lines: list[Difference], columns: dict[str, Column]) -> list[str]:
    """Return the clips that gain and lose most, by column."""
    texts = []
    for line in lines:
        column = columns[line.column]
        for end, what in (("best", "improved"), ("worst", "worsened")):
            clips = [
                f"{clip.clip_id} ({signed(column, clip.difference)})"
                for clip in getattr(line, end)[:_SHOWN]
            ]
            if clips:
                texts.append(escape(f"{column.label}, {what} most: {', '.join(clips)}"))
    return [f"- {text}" for text in texts]


def _quoted(
    result: Comparison, lines: list[Difference], columns: dict[str, Column], letters: dict[str, str]
) -> list[str]:
    own, *_ = result.systems
    grid = [[Field(text) for text in ("Column", own, "paper", "difference", "relative")]]
    for line in lines:
        column = columns[line.column]
        if line.difference is None:
            fields = [f"n/a ({letters[line.reason]})", *"---"]
        else:
            printed = result.systems[own].cells[column.key].paper_printed
            fields = [column.format(line.value), printed]
            fields.append(signed(column, line.difference))
            fields.append("-" if line.relative is None else f"{line.relative:+.1%}")
        grid.append([Field(text) for text in (column.heading, *fields)])
    return table(grid)


def _seeds(result: Comparison, columns: dict[str, Column], letters: dict[str, str]) -> list[str]:
    """Mean and spread of each column, and the value of each training under its seed."""
    named = [f"{label} (seed {own.seed})" for label, own in result.trainings.items()]
    heading = ("Column", "mean ± standard deviation", "range", *named)
    grid = [[Field(text) for text in heading]]
    for key, found in result.seeds.items():
        column, values = columns[key], found.values
        if found.mean is None:
            spread, ends = f"n/a ({letters[found.reason]})", "-"
        else:
            spread = f"{column.format(found.mean)} ± {column.format(found.std)}"
            ends = f"{column.format(min(values))} to {column.format(max(values))}"
        each = ("-" if value is None else column.format(value) for value in values)
        grid.append([Field(text) for text in (column.heading, spread, ends, *each)])
    return table(grid)


def _facts(result: Comparison) -> list[tuple[str, str]]:
    facts = [("Task", result.task), ("Data", result.data), ("Body", result.body)]
    facts += [("Data sha256", ", ".join(data.sha256 for data in result.provenance.data.values()))]
    if result.estimator:
        facts.append(("Estimator", result.estimator))
    facts += [(f"Protocol ({name})", text) for name, text in result.protocol.items()]
    for label, system in result.systems.items():
        numbers = [f"{name} {value:.4g}" for name, value in system.facts.items()]
        runs = [run["run_id"] for run in system.runs.values()]
        text = [f"{system.path}, method {system.method}", *numbers]
        text += [f"weights sha256 {system.file_sha256}", f"runs {', '.join(runs)}"]
        facts.append((label, "; ".join(text)))
    for label, own in result.trainings.items():
        if label not in result.systems:
            runs = ", ".join(own.runs.values())
            facts.append((label, f"{own.path}; weights sha256 {own.file_sha256}; runs {runs}"))
    return facts


def _interval(of: Cell | Difference, text: Callable[[float], str]) -> str:
    return " [{}, {}]".format(*map(text, of.interval)) if of.interval else ""


def _chance(p: float | None) -> str:
    if p is None:
        return "-"
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"
