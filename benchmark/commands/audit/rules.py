"""The ways to check numbers against each other; each returns a `Finding`."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from statistics import median
from typing import NamedTuple

from benchmark.commands.audit.paper import TABLES, Cells, Paper

POSE = ("mpjpe", "pa_mpjpe", "pve", "accel")


class Finding(NamedTuple):
    """What a check found: what ought to be printed, what is, and whether they agree."""

    expected: str
    printed: str
    holds: bool


Rule = Callable[[Paper], Finding]


def repeated(source: tuple[str, str], *copies: tuple[str, str], keys: Sequence[str] = POSE) -> Rule:
    """The copies' rows print what the source's row does; rows are (table, label)."""

    def find(paper: Paper) -> Finding:
        printed = [paper.values(*copy, *keys) for copy in copies]
        return equal(paper.values(*source, *keys), *printed)

    return find


def rounded(source: tuple[str, str], copy: tuple[str, str], keys: Sequence[str] = POSE) -> Rule:
    """The copy's row is the source's, rounded to the decimals that the copy prints."""

    def find(paper: Paper) -> Finding:
        printed = paper.values(*copy, *keys)
        full = paper.values(*source, *keys)
        return equal(
            [round_like(value, like) for value, like in zip(full, printed, strict=True)], printed
        )

    return find


def means(overall: str, *parts: str) -> Rule:
    """A column of table 9 is the mean of others, in all its rows."""

    def find(paper: Paper) -> Finding:
        rows = paper.rows["table9"].values()
        printed = [row[overall] for row in rows]
        exact = [sum(row[part] for part in parts) / len(parts) for row in rows]
        return equal(
            [round_like(mean, like) for mean, like in zip(exact, printed, strict=True)], printed
        )

    return find


def overall_repeated(paper: Paper) -> Finding:
    """Table 2 prints the two overall columns of table 9."""
    methods = ("Baseline", "Ours")
    overall = ("appearance_overall", "motion_overall")
    expected = [value for method in methods for value in paper.values("table9", method, *overall)]
    printed = [
        value for method in methods for value in paper.values("table2", method, "app", "mot")
    ]
    return equal(expected, printed)


def aligned_is_smaller(paper: Paper) -> Finding:
    """Alignment lowers the error, in every row of the paper."""
    rows = list(_pose_rows(paper))
    ratios = [row["pa_mpjpe"] / row["mpjpe"] for _, row in rows]
    broken = [where for (where, _), ratio in zip(rows, ratios, strict=True) if ratio > 1]
    told = f"ratios {min(ratios):.3f} to {max(ratios):.3f}"
    return Finding(f"PA-MPJPE at most MPJPE in {len(rows)} rows", or_else(broken, told), not broken)


def surface_is_larger(paper: Paper) -> Finding:
    """Vertices err more than joints, in every row of the paper."""
    rows = list(_pose_rows(paper))
    broken = [
        f"{where}: PVE {row['pve']}, MPJPE {row['mpjpe']}"
        for where, row in rows
        if row["pve"] <= row["mpjpe"]
    ]
    return Finding(f"PVE above MPJPE in {len(rows)} rows", or_else(broken, "so in all"), not broken)


def surface_ratio(paper: Paper) -> Finding:
    """PVE / MPJPE of table 11's rows lie within a quarter of their median."""
    ratios = {label: row["pve"] / row["mpjpe"] for label, row in paper.rows["table11"].items()}
    middle = median(ratios.values())
    broken = [
        f"{label}: {ratio:.2f}"
        for label, ratio in ratios.items()
        if abs(ratio / middle - 1) > Decimal("0.25")
    ]
    told = f"{min(ratios.values()):.2f} to {max(ratios.values()):.2f}"
    return Finding(f"PVE/MPJPE within 25 % of {middle:.2f}", or_else(broken, told), not broken)


def best(table: str, row: str, *, keys: Sequence[str] = (), but: Sequence[str] = ()) -> Rule:
    """A row is the only best of its table in the columns `keys` (all) without `but`."""

    def find(paper: Paper) -> Finding:
        others = [label for label in paper.rows[table] if label != row]
        ahead = _ahead(paper, table, row, others, keys)
        labels = {column.key: column.label for column in paper.columns[table]}
        lost = [key for key, wins in ahead.items() if not wins]
        elsewhere = f" but {', '.join(labels[key] for key in but)}" if but else ""
        told = [f"not in {', '.join(labels[key] for key in lost)}"] if lost else []
        return Finding(
            f"{row} best in all {len(ahead)} columns{elsewhere}",
            or_else(told, "so in all"),
            set(lost) == set(but),
        )

    return find


def worst(table: str, row: str, keys: Sequence[str] = POSE) -> Rule:
    """Every other row of the table is better in the columns `keys`."""

    def find(paper: Paper) -> Finding:
        broken = [
            other
            for other in paper.rows[table]
            if other != row and not all(_ahead(paper, table, other, [row], keys).values())
        ]
        return Finding(
            f"{row} worst in {len(keys)} columns", or_else(broken, "so in all"), not broken
        )

    return find


def not_best_everywhere(paper: Paper) -> Finding:
    """UniMo is not the best of table 11 in every column of both datasets."""
    wins = {}
    for dataset in ("3DPW", "RICH"):
        others = [f"{method}, {dataset}" for method in ("4DHuman", "GVHMR")]
        ahead = _ahead(paper, "table11", f"Our, {dataset}", others, POSE)
        wins |= {f"{dataset} {key}": won for key, won in ahead.items()}
    won = sum(wins.values())
    return Finding(f"Our best in fewer than {len(wins)}", f"best in {won}", won < len(wins))


def equal_decimals(paper: Paper) -> Finding:
    """The numbers of a column are printed with equally many decimals; table 4 has no column."""
    broken = []
    for table in TABLES:
        for column in paper.columns[table] if table != "table4" else ():
            values = [row[column.key] for row in paper.rows[table].values()]
            odd = _odd_decimals(value for value in values if value is not None)
            broken += [f"table {table[5:]} {column.label} {value}" for value in odd]
    return Finding("one precision in every column", or_else(broken, "so in all"), not broken)


def equal_decimals_of_scores(paper: Paper) -> Finding:
    """All scores of table 9 are printed with equally many decimals."""
    odd = _odd_decimals(value for row in paper.rows["table9"].values() for value in row.values())
    return Finding("one precision in table 9", or_else(map(str, odd), "so in all"), not odd)


def published(paper: Paper) -> Finding:
    """Table 11's GVHMR is what its authors publish, as far as they print decimals."""
    own = paper.published["table11"]
    labels = [label for label in own if label.startswith("GVHMR")]
    theirs = [own[label][key] for label in labels for key in POSE]
    printed = [value for label in labels for value in paper.values("table11", label, *POSE)]
    same = [round_like(value, like) == like for value, like in zip(printed, theirs, strict=True)]
    return Finding(join(theirs), join(printed), all(same))


def equal(expected: Sequence[Decimal], *printed: Sequence[Decimal]) -> Finding:
    """All of `printed` equal `expected`; shows the first that does not."""
    other = next((values for values in printed if values != expected), printed[0])
    return Finding(join(expected), join(other), other == expected)


def join(values: Iterable[Decimal]) -> str:
    """Numbers as printed, in one line."""
    return ", ".join(map(str, values))


def or_else(broken: Iterable[str], told: str) -> str:
    """What breaks a rule or, if nothing does, what is told of the numbers that keep it."""
    return "; ".join(broken) or told


def round_like(value: Decimal, like: Decimal) -> Decimal:
    """`value` with the decimals of `like`."""
    return value.quantize(Decimal(1).scaleb(like.as_tuple().exponent), ROUND_HALF_UP)


def _pose_rows(paper: Paper) -> Iterator[tuple[str, Cells]]:
    """(where, cells) of every row with motion errors."""
    for table in TABLES:
        for label, row in paper.rows[table].items():
            if row.get("mpjpe") is not None:
                yield f"table {table[5:]} {label}", row


def _ahead(
    paper: Paper, table: str, row: str, others: Sequence[str], keys: Sequence[str]
) -> dict[str, bool]:
    """Column -> whether `row` is better than all `others`, where one of them has a number."""
    ahead = {}
    for column in paper.columns[table]:
        rivals = [paper.rows[table][other][column.key] for other in others]
        rivals = [value for value in rivals if value is not None]
        if column.better is None or not rivals or (keys and column.key not in keys):
            continue
        own, lower = paper.value(table, row, column.key), column.better == "lower"
        ahead[column.key] = own < min(rivals) if lower else own > max(rivals)
    return ahead


def _odd_decimals(values: Iterable[Decimal]) -> list[Decimal]:
    """The numbers with other decimals than most."""
    values = list(values)
    decimals = Counter(-value.as_tuple().exponent for value in values)
    usual = decimals.most_common(1)[0][0]
    return [value for value in values if -value.as_tuple().exponent != usual]
