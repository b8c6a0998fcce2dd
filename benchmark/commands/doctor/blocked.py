"""Section 5: which rows and columns of which tables cannot be measured here, for each reason.

Nothing is listed here: methods, metrics and stores are asked, as a run of the tables would.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from benchmark import discover
from benchmark.api.errors import NotApplicable, Unavailable, UserError, one_line
from benchmark.api.metric import MetricContext
from benchmark.api.profile import Profile
from benchmark.api.table import Row, TableSpec
from benchmark.commands.doctor.page import Group
from benchmark.commands.options import body_file
from benchmark.discover import metrics_of
from benchmark.runs.stores import Stores
from datasets.bodies.smplx_file import BodyFile

_PROFILES = ("embedded", "paper")
_SEEN = "what an estimator sees in generated videos"

Cells = set[tuple[str, str]]  # label of a row, key of a column


def groups() -> list[Group]:
    """Return a group for each reason, with rows (tables, profiles, what of them is blocked)."""
    try:
        body = body_file(None)
    except UserError as error:
        return [Group(str(error), [("all tables", "all profiles", "all rows")])]
    blocked: dict[str, dict[tuple[str, str], list[str]]] = {}
    for name in _PROFILES:
        profile = discover.load("profiles", name)
        answers = _Answers(profile, body)
        for table in _measured():
            for reason, text in answers.reasons(table):
                tables = blocked.setdefault(reason, {})
                tables.setdefault((table.id, text), []).append(name)
    if not blocked:
        return [Group("nothing")]
    return [Group(reason, _rows(tables)) for reason, tables in blocked.items()]


def _measured() -> list[TableSpec]:
    tables, _ = discover.exhibits([*discover.summaries("tables")])
    return [table for table in tables if table.compute is None]


def _rows(tables: Mapping[tuple[str, str], list[str]]) -> list[tuple[str, str, str]]:
    """Tables of which the same is blocked share a row."""
    merged: dict[tuple[str, str], list[str]] = {}
    for (table, text), profiles in tables.items():
        where = "both profiles" if len(profiles) > 1 else f"only {profiles[0]}"
        merged.setdefault((where, text), []).append(table)
    return [(", ".join(ids), where, text) for (where, text), ids in merged.items()]


class _Answers:
    """The answers of methods, stores and metrics with a profile, each asked once."""

    def __init__(self, profile: Profile, body: BodyFile):
        self._profile, self._body = profile, body
        self._stores = Stores(profile, quiet=True)
        # A method that has all its files reads them for their sha256: not for every table.
        self._method = functools.cache(self._ask_method)
        self._data = functools.cache(self._ask_store)

    def reasons(self, table: TableSpec) -> list[tuple[str, str]]:
        """Return the reasons, each with what it blocks of a table."""
        found: dict[str, Cells] = {}
        columns = {column.key for column in (*table.columns, *table.more_columns)}
        for row in (*table.rows, *table.more_rows):
            reasons = [self._method(row.method, table.task, tuple(row.params.items()))]
            reasons += [self._data(table.task, row.dataset)] if row.dataset else []
            for reason in filter(None, reasons):
                found.setdefault(reason, set()).update((row.label, key) for key in columns)
            for key, reason in self._of_columns(table, row):
                found.setdefault(reason, set()).add((row.label, key))
        answers = [(reason, _summary(table, cells)) for reason, cells in found.items()]
        seen = {column.key for each in _measured() if each.task == "v2m" for column in each.columns}
        if table.task == "i2vm" and columns & seen:
            reason = self._method(self._profile.estimator, "v2m", ())
            answers += [(reason, _SEEN)] if reason else []
        return answers

    def _ask_method(self, name: str, task: str, params: tuple) -> str:
        method = discover.method(name, task)
        return _reason(name, lambda: method.training_spec(dict(params), self._profile, seed=0))

    def _ask_store(self, task: str, dataset: str) -> str:
        return _reason(dataset, lambda: self._stores.find(task, dataset))

    def _of_columns(self, table: TableSpec, row: Row) -> Iterable[tuple[str, str]]:
        """Columns of the table that a metric lacks something for, each with the reasons."""
        cache = Path("reports", "runs").absolute()
        context = MetricContext(
            task=table.task, body=self._body, seed=0, dataset=row.dataset, cache=cache
        )
        for name in metrics_of(table):
            metric = discover.load("metrics", name)
            try:
                missing = metric.missing(context)
            except Exception as error:  # of a damaged file, as the damage will have it
                missing = dict.fromkeys(metric.columns, _damaged(name, error))
            for column in (*table.columns, *table.more_columns):
                if column.key in missing:
                    yield from ((column.key, why) for why in taken_apart(missing, column.key))


def _reason(name: str, ask: Callable[[], object]) -> str:
    """Return the error message of `ask`, or an empty string if it raises nothing."""
    try:
        ask()
    except NotApplicable:  # at no place
        return ""
    except (Unavailable, UserError) as error:
        return str(error)
    except Exception as error:  # of a damaged file, as the damage will have it
        return _damaged(name, error)
    return ""


def _damaged(name: str, error: Exception) -> str:
    return (
        f"{name}: a file is damaged ({one_line(error)}): get again what sections 3 and 4 call wrong"
    )


def taken_apart(missing: Mapping[str, str], column: str) -> list[str]:
    """Split a combined reason into the single reasons already reported for other columns."""

    def parts(reason: str) -> set[str]:
        return set(reason.split("; "))

    whole = parts(missing[column])
    others = [reason for reason in dict.fromkeys(missing.values()) if parts(reason) < whole]
    covered = set().union(*map(parts, others))
    return others if covered == whole else [missing[column]]


def _summary(table: TableSpec, cells: Cells) -> str:
    """Cells in words: whole rows by their labels, else columns."""
    columns = {column.key: column.label for column in (*table.columns, *table.more_columns)}
    rows = [row.label for row in (*table.rows, *table.more_rows)]
    of_row = {label: [key for key in columns if (label, key) in cells] for label in rows}
    whole = [label for label in rows if len(of_row[label]) == len(columns)]
    if len(whole) == len(rows):
        return "all rows"
    words = [f"rows {'; '.join(whole)}"] if whole else []
    parts: dict[tuple[str, ...], list[str]] = {}
    for label in rows:
        if of_row[label] and label not in whole:
            parts.setdefault(tuple(of_row[label]), []).append(label)
    for keys, labels in parts.items():
        text = "columns " + ", ".join(columns[key] for key in keys)
        every = len(labels) == len(rows) - len(whole)
        words.append(text if every else f"{text} of {'; '.join(labels)}")
    return "; ".join(words)
