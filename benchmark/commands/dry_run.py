"""What ``run --dry-run`` says: each piece of work once, with the tables and figures of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmark.api.table import TableSpec
from benchmark.results import figure
from benchmark.runs import chain, plan
from benchmark.runs.work_item import RunContext, WorkItem, distinct


@dataclass
class _Shown:
    """Rows that are shown somewhere: label -> ids of the tables and figures."""

    by_label: dict[str, list[str]] = field(default_factory=dict)

    def add(self, label: str, exhibit: str) -> None:
        exhibits = self.by_label.setdefault(label, [])
        if exhibit not in exhibits:
            exhibits.append(exhibit)

    def __str__(self) -> str:
        """``table3, table7: Our; table5: s=1/24 B=512``: labels of the same exhibits together."""
        labels: dict[str, list[str]] = {}
        for label, exhibits in self.by_label.items():
            labels.setdefault(", ".join(exhibits), []).append(label)
        return "; ".join(f"{where}: {' and '.join(own)}" for where, own in labels.items())


def lines(
    context: RunContext,
    computed: Sequence[TableSpec],
    plans: Mapping[str, Sequence[plan.Planned]],
    drawings: Sequence[figure.Planned],
    *,
    unmade: Sequence[str],
    always: bool,
) -> Iterator[str]:
    """What would be done, a line for each piece of work; then what cannot be done, and why.

    Args:
        context: of the run.
        computed: tables whose numbers are computed.
        plans: table id -> rows.
        drawings: the figures.
        unmade: see `benchmark.runs.data.Stores`.
        always: whether the cache is left aside.
    """
    if unmade:
        yield (
            f"the built-in clips for {' and '.join(unmade)} tasks are not made yet: "
            "rows that need them are all to do"
        )
    if computed:
        yield f"{', '.join(table.id for table in computed)}: computed at once"
    items, work, absent = [], {}, {}
    several = len({item.seed for _, _, own, _ in _rows(plans, drawings) for item in own}) > 1
    for exhibit, label, own, reason in _rows(plans, drawings):
        if reason:
            absent.setdefault(reason, _Shown()).add(label, exhibit)
        for item in own:
            seeded = f"{label}, seed {item.seed}" if several else label
            work.setdefault(item.identity, _Shown()).add(seeded, exhibit)
        items += own
    for item in distinct(items):
        yield f"{work[item.identity]}: {_state(chain.lookup(context, item), always=always)}"
    for reason, shown in absent.items():
        yield f"{shown}: cannot be done here: {reason}"


def _rows(
    plans: Mapping[str, Sequence[plan.Planned]], drawings: Sequence[figure.Planned]
) -> Iterable[tuple[str, str, Sequence[WorkItem], str]]:
    """Table or figure, label, work, and why there is none, of every row that was asked for."""
    for name, rows in plans.items():
        for row in rows:
            if row.selected:
                yield name, row.row.label, row.items, row.absent
    for drawing in drawings:
        for row in drawing.rows:
            if row.absent != figure.LEFT_OUT:
                own = [row.item] if row.item is not None else []
                yield drawing.spec.id, row.row.label, own, row.absent


def _state(outcome: chain.Outcome, *, always: bool) -> str:
    """What becomes of a piece of work."""
    if always and outcome.records:
        return "would be done again"
    return f"to do, from {outcome.missing[0]} on" if outcome.missing else "cached"
