"""The text of ``run --dry-run``: each work item once, with the tables and figures it is for."""

from collections.abc import Iterator, Sequence

from benchmark.runs import STAGES
from benchmark.runs.chain import Outcome
from benchmark.runs.outcomes import Outcomes
from benchmark.runs.plan import PlannedRow

# Label of a row -> ids of the tables and figures that display it.
_Places = dict[str, list[str]]


def lines(
    computed: Sequence[str],
    rows: Sequence[PlannedRow],
    outcomes: Outcomes,
    *,
    unmade: Sequence[str],
    always: str | None,
    retry: bool,
) -> Iterator[str]:
    """Yield a line for each piece of work, then one for each reason why some cannot be done.

    Args:
        computed: ids of the tables that are computed.
        rows: of the other tables and figures, as far as they are selected.
        outcomes: what the cache holds of the rows' items.
        unmade: see `benchmark.runs.stores.Stores`.
        always: the stage from which on finished work is done again; None: it is not.
        retry: whether clips that failed are tried again.
    """
    if unmade:
        yield (
            f"the built-in clips for {' and '.join(unmade)} tasks are not made yet: "
            "rows that need them are all to do"
        )
    if computed:
        yield f"{', '.join(computed)}: computed at once"
    work: dict[str, _Places] = {}
    absent: dict[str, _Places] = {}
    several = len({item.seed for row in rows for item in row.items}) > 1
    for row in rows:
        if row.absent:
            _add(absent.setdefault(row.absent, {}), row.row.label, row.exhibit)
        for item in row.items:
            label = f"{row.row.label}, seed {item.seed}" if several else row.row.label
            _add(work.setdefault(item.identity, {}), label, row.exhibit)
    for identity, places in work.items():
        state = _state(outcomes.by_identity[identity], always=always, retry=retry)
        yield f"{_where(places)}: {state}"
    for reason, places in absent.items():
        yield f"{_where(places)}: cannot be done here: {reason}"


def _add(places: _Places, label: str, exhibit: str) -> None:
    exhibits = places.setdefault(label, [])
    if exhibit not in exhibits:
        exhibits.append(exhibit)


def _where(places: _Places) -> str:
    """``table3, table7: Our; table5: s=1/24 B=512``: labels of the same exhibits together."""
    labels: dict[str, list[str]] = {}
    for label, exhibits in places.items():
        labels.setdefault(", ".join(exhibits), []).append(label)
    return "; ".join(f"{where}: {' and '.join(own)}" for where, own in labels.items())


def _state(outcome: Outcome, *, always: str | None, retry: bool) -> str:
    """Return the fate of a work item, in words."""
    if always is not None:
        first = STAGES.index(always)
        again = [
            name
            for name in outcome.records
            if STAGES.index(outcome.stages[name].name) >= first and name != "train estimator"
        ]
        if again:
            return f"would be done again, from {again[0]} on"
    if retry and outcome.failed:
        return f"would be done again for {len(outcome.failed)} clips that failed"
    return f"to do, from {outcome.missing[0]} on" if outcome.missing else "cached"
