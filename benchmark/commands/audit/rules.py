"""The ways to check numbers against each other; each returns a `Finding`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from benchmark.commands.audit.paper import Paper

POSE = ("mpjpe", "pa_mpjpe", "pve", "accel")
POSE_TABLES = "1-3, 5-8, 10, 11"
FINAL = "s=1/36 B=512"  # the final tokenizer's row of table 5
MILLION = 10**6


class Finding(NamedTuple):
    """The text that ought to be printed, the text that is, and whether they agree."""

    expected: str
    printed: str
    holds: bool


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: what is checked, in one phrase.
        tables: numbers of the tables it reads, and ``text`` for the running text, with commas.
        finding: expected and printed.
        note: how to read it.
    """

    name: str
    tables: str
    finding: Finding
    note: str = ""


def equal(expected: Sequence[Decimal], *printed: Sequence[Decimal]) -> Finding:
    """Compare all of `printed` with `expected`; the first that differs is shown."""
    other = next((values for values in printed if values != expected), printed[0])
    return Finding(join(expected), join(other), other == expected)


def unbroken(expected: str, broken: Iterable[str], otherwise: str = "so in all") -> Finding:
    """Return a finding that shows what breaks the expectation, or `otherwise` if nothing does."""
    text = "; ".join(broken)
    return Finding(expected, text or otherwise, not text)


def repeated(paper: Paper, *rows: tuple[str, str], keys: Sequence[str] = POSE) -> Finding:
    """Compare rows, (table, label), that must print the same."""
    return equal(*(paper.values(*row, *keys) for row in rows))


def means(paper: Paper, overall: str, *parts: str) -> Finding:
    """Compare a column of table 9 with the mean of others, in all its rows."""
    rows = paper.rows["table9"].values()
    exact = [sum(row[part] for part in parts) / len(parts) for row in rows]
    printed = [row[overall] for row in rows]
    return equal([*map(round_like, exact, printed)], printed)


def best(
    paper: Paper, table: str, row: str, *, keys: Sequence[str] = (), but: Sequence[str] = ()
) -> Finding:
    """Expect a row to be the only best of its table in the columns `keys` (all) without `but`."""
    others = [label for label in paper.rows[table] if label != row]
    ahead = is_ahead(paper, table, row, others, keys)
    labels = {column.key: column.label for column in paper.columns[table]}
    lost = [key for key, wins in ahead.items() if not wins]
    elsewhere = f" but {', '.join(labels[key] for key in but)}" if but else ""
    printed = f"not in {', '.join(labels[key] for key in lost)}" if lost else "so in all"
    expected = f"{row} best in all {len(ahead)} columns{elsewhere}"
    return Finding(expected, printed, set(lost) == set(but))


def along_codebooks(paper: Paper, rule: str, key: str, *, falls: bool) -> Finding:
    """Expect a column of table 5 to fall, or else grow, with the size of the codebook."""
    rows = [
        [paper.value("table5", f"s=1/{tokens} B={size}", key) for size in (256, 512, 1024)]
        for tokens in (24, 36)
    ]
    holds = all(row == sorted(set(row), reverse=falls) for row in rows)
    return Finding(rule, "; ".join(map(join, rows)), holds)


def is_ahead(
    paper: Paper, table: str, row: str, others: Sequence[str], keys: Sequence[str]
) -> dict[str, bool]:
    """Return column -> True if `row` beats all `others`, for columns where one has a number."""
    ahead = {}
    for column in paper.columns[table]:
        rivals = [paper.rows[table][other][column.key] for other in others]
        rivals = [value for value in rivals if value is not None]
        if column.better is None or not rivals or (keys and column.key not in keys):
            continue
        own, lower = paper.value(table, row, column.key), column.better == "lower"
        ahead[column.key] = own < min(rivals) if lower else own > max(rivals)
    return ahead


def odd_decimals(values: Iterable[Decimal | None]) -> list[Decimal]:
    """Return the numbers with other decimals than most."""
    numbers = [value for value in values if value is not None]
    decimals = Counter(value.as_tuple().exponent for value in numbers)
    usual = decimals.most_common(1)[0][0]
    return [value for value in numbers if value.as_tuple().exponent != usual]


def join(values: Iterable[Decimal]) -> str:
    """Return numbers as printed, in one line."""
    return ", ".join(map(str, values))


def round_like(value: Decimal, like: Decimal) -> Decimal:
    """Return `value` with the decimals of `like`."""
    return value.quantize(Decimal(1).scaleb(like.as_tuple().exponent), ROUND_HALF_UP)


def codes_of(label: str) -> Decimal:
    """Return the size of the codebook in a row's label."""
    return Decimal(label.rpartition("=")[2])


def added(paper: Paper, before: str, after: str) -> Decimal:
    """Return by how many millions of parameters two rows of table 5 differ."""
    return paper.value("table5", after, "params_m") - paper.value("table5", before, "params_m")


def same_growth(expected: Decimal, printed: Decimal) -> Finding:
    """Compare two differences in millions of parameters."""
    return Finding(f"{expected:+} M", f"{printed:+} M", expected == printed)
