"""The files of a comparison: JSON, Markdown, pictures, CSV with a line a pair and column."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmark.api.table import Column
from benchmark.commands.compare import plot
from benchmark.commands.compare.schema import Comparison, Difference, SeedSpread
from benchmark.results.render.csv_file import to_csv as csv_text
from benchmark.results.render.layout import Field, letters_of, signed
from benchmark.results.render.markdown import escape, table
from benchmark.results.schema import Cell
from datasets.tools.files import locked, write_text

_SHOWN = 3  # clips at either end; the JSON lists more
# Fields of a difference in the CSV file.
_LINE = [
    field.name
    for field in dataclasses.fields(Difference)
    if field.name not in ("against", "column", "best", "worst")
]


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
    return _Markdown(result).text()


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


class _Markdown:
    """The sections of the Markdown file."""

    def __init__(self, result: Comparison):
        self.result = result
        self.columns = {column.key: column for column in result.columns}
        self.own = next(iter(result.systems))
        cells = [cell for system in result.systems.values() for cell in system.cells.values()]
        with_reason = [*cells, *result.comparisons, *result.seeds.values()]
        # Reason why something is missing -> letter, in the order of the tables.
        self.letters = letters_of(one.reason for one in with_reason if one.reason)

    def text(self) -> str:
        result, own = self.result, escape(self.own)
        opponents = list(dict.fromkeys(line.against for line in result.comparisons))
        lines = [f"# compare: {own} against {escape(', '.join(opponents))}", "", *self._values()]
        for opponent in opponents:
            pairs = [line for line in result.comparisons if line.against == opponent]
            lines += ["", f"## against {escape(opponent)}", ""]
            if opponent in result.systems:
                lines += [*self._tests(pairs), "", *self._clips(pairs)]
            else:
                lines += self._quoted(pairs)
        if result.seeds:
            lines += ["", f"## {len(result.trainings)} trainings of {own}", "", *self._seeds()]
        facts = [(f"({letter})", reason) for reason, letter in self.letters.items()]
        facts += self._facts()
        lines += ["", *(f"- **{escape(name)}:** {escape(text)}" for name, text in facts)]
        lines += ["", *(f"{number}. {escape(note)}" for number, note in enumerate(result.notes, 1))]
        return "\n".join(lines).rstrip() + "\n"

    def _missing(self, one: Cell | Difference | SeedSpread) -> str:
        return f"n/a ({self.letters[one.reason or '']})"

    def _values(self) -> list[str]:
        grid = [[Field("System"), *(Field(column.heading) for column in self.result.columns)]]
        for label, system in self.result.systems.items():
            cells = [(column, system.cells[key]) for key, column in self.columns.items()]
            grid.append([Field(label), *(self._value(column, cell) for column, cell in cells)])
        return table(grid)

    def _value(self, column: Column, cell: Cell) -> Field:
        if cell.value is None:
            return Field(self._missing(cell))
        return Field(column.format(cell.value), _interval(cell, column.format))

    def _tests(self, lines: Sequence[Difference]) -> list[str]:
        texts = ("clips improved", "p (Wilcoxon)", "p (Holm)", "verdict")
        grid = [[Field("Column"), Field("difference", " [95 %]"), *map(Field, texts)]]
        for line in lines:
            column, share = self.columns[line.column], "-"
            if line.improved is not None:
                share = f"{line.improved} of {line.n} ({line.improved / line.n:.0%})"
            texts = (share, _chance(line.p), _chance(line.p_holm), line.verdict or "-")
            grid.append([Field(column.heading), self._difference(column, line), *map(Field, texts)])
        return table(grid)

    def _difference(self, column: Column, line: Difference) -> Field:
        if line.difference is None:
            return Field(self._missing(line))
        # A reason beside a difference says why it has neither interval nor test.
        interval = _interval(line, partial(signed, column))
        rest = f" ({self.letters[line.reason]})" if line.reason else interval
        return Field(signed(column, line.difference), rest)

    def _clips(self, lines: Sequence[Difference]) -> list[str]:
        """Return the clips that gain and lose most, by column."""
        texts = []
        for line in lines:
            column = self.columns[line.column]
            for end, what in ((line.best, "improved"), (line.worst, "worsened")):
                clips = [
                    f"{one.clip_id} ({signed(column, one.difference)})" for one in end[:_SHOWN]
                ]
                if clips:
                    texts.append(f"{column.label}, {what} most: {', '.join(clips)}")
        return [f"- {escape(text)}" for text in texts]

    def _quoted(self, lines: Sequence[Difference]) -> list[str]:
        grid = [[Field(text) for text in ("Column", self.own, "paper", "difference", "relative")]]
        for line in lines:
            column = self.columns[line.column]
            if line.difference is None:
                texts = [self._missing(line), *"---"]
            else:
                printed = self.result.systems[self.own].cells[column.key].paper_printed
                relative = "-" if line.relative is None else f"{line.relative:+.1%}"
                change = signed(column, line.difference)
                texts = [column.format(line.value), printed, change, relative]
            grid.append([Field(text) for text in (column.heading, *texts)])
        return table(grid)

    def _seeds(self) -> list[str]:
        """Mean and spread of each column, and the value of each training under its seed."""
        named = [f"{name} (seed {one.seed})" for name, one in self.result.trainings.items()]
        heading = ("Column", "mean ± standard deviation", "range", *named)
        grid = [[Field(text) for text in heading]]
        for key, found in self.result.seeds.items():
            form, values = self.columns[key].format, found.values
            if found.mean is None:
                spread, ends = self._missing(found), "-"
            else:
                spread = f"{form(found.mean)} ± {form(found.std)}"
                ends = f"{form(min(values))} to {form(max(values))}"
            each = ("-" if value is None else form(value) for value in values)
            grid.append([Field(text) for text in (self.columns[key].heading, spread, ends, *each)])
        return table(grid)

    def _facts(self) -> list[tuple[str, str]]:
        result = self.result
        stores = ", ".join(data.sha256 for data in result.provenance.data.values())
        facts = [("Task", result.task), ("Data", result.data), ("Body", result.body)]
        facts.append(("Data sha256", stores))
        if result.estimator:
            facts.append(("Estimator", result.estimator))
        facts += [(f"Protocol ({name})", text) for name, text in result.protocol.items()]
        for label, system in result.systems.items():
            numbers = [f"{name} {value:.4g}" for name, value in system.facts.items()]
            runs = ", ".join(run["run_id"] for run in system.runs.values())
            text = [f"{system.path}, method {system.method}", *numbers]
            text += [f"weights sha256 {system.file_sha256}", f"runs {runs}"]
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
