"""Measures work items: looks up what the cache holds, does the rest, looks up again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmark.runs.chain import Outcome, lookup
from benchmark.runs.work_item import RunContext, WorkItem, distinct
from benchmark.runs.workers import execute


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """What the cache holds of all work items of a run.

    Attributes:
        by_identity: `WorkItem.identity` -> outcome, with the metrics of all rows that share it.
        failures: `WorkItem.identity` -> error message, of the items that failed in this run.
    """

    by_identity: Mapping[str, Outcome]
    failures: Mapping[str, str]

    def of(self, item: WorkItem) -> Outcome:
        """The outcome of an item, with its metrics alone."""
        return self.by_identity[item.identity].for_metrics(item.metrics)


def look_up(context: RunContext, items: Iterable[WorkItem]) -> Outcomes:
    """Look up each distinct item once; nothing is done."""
    found = {item.identity: lookup(context, item) for item in distinct(items)}
    return Outcomes(by_identity=found, failures={})


def measure(
    context: RunContext,
    items: Iterable[WorkItem],
    selected: Iterable[WorkItem],
    *,
    always: bool,
    workers: int,
    quiet: bool,
) -> Outcomes:
    """Do what the cache lacks of the selected items, and return the outcomes of all.

    Args:
        context: of the run.
        items: all whose outcome is wanted, the selected ones among them.
        selected: those to be done.
        always: do again what the cache holds of them.
        workers: number of worker processes.
        quiet: print no progress.
    """
    items = list(items)
    known = look_up(context, items)
    todo = [item for item in distinct(selected) if always or known.of(item).missing]
    if not todo:
        return known
    if always:
        for item in todo:
            for stage in known.of(item).stages.values():
                stage.discard()
    failures = execute(todo, context, workers=workers, quiet=quiet)
    return Outcomes(by_identity=look_up(context, items).by_identity, failures=failures)
