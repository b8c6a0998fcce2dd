"""Measures work items: looks up what the cache holds, does the rest, looks up again."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmark.runs import STAGES
from benchmark.runs.artifacts import discard_failed_parts
from benchmark.runs.cache import CachedStage
from benchmark.runs.chain import Outcome, lookup
from benchmark.runs.work_item import RunContext, WorkItem, distinct
from benchmark.runs.workers import execute


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """The contents of the cache for all work items of a run.

    Attributes:
        by_identity: `WorkItem.identity` -> outcome, with the metrics of all rows that share it.
        failures: `WorkItem.identity` -> error message, of the items that failed in this run.
        cached: ids of the runs that were done before this one began.
    """

    by_identity: Mapping[str, Outcome]
    failures: Mapping[str, str]
    cached: frozenset[str]

    def made(self, run_ids: str) -> list[str]:
        """UTC times, ISO 8601, at which the runs named in a cell's ``run_id`` were made."""
        return [
            self._finished[run_id] for run_id in run_ids.split(", ") if run_id in self._finished
        ]

    @functools.cached_property
    def _finished(self) -> Mapping[str, str]:
        return {
            outcome.stages[name].id: record.finished
            for outcome in self.by_identity.values()
            for name, record in outcome.records.items()
        }

    def of(self, item: WorkItem) -> Outcome:
        """The outcome of an item, with its metrics alone."""
        return self.by_identity[item.identity].for_metrics(item.metrics)


def look_up(context: RunContext, items: Iterable[WorkItem]) -> Outcomes:
    """Look up each distinct item once; nothing is done."""
    found = {item.identity: lookup(context, item) for item in distinct(items)}
    done = (outcome.stages[name].id for outcome in found.values() for name in outcome.records)
    return Outcomes(by_identity=found, failures={}, cached=frozenset(done))


def measure(
    context: RunContext,
    items: Iterable[WorkItem],
    selected: Iterable[WorkItem],
    *,
    always: str | None,
    retry: bool,
    workers: int,
    quiet: bool,
) -> Outcomes:
    """Do what the cache lacks of the selected items, and return the outcomes of all.

    Args:
        context: of the run.
        items: all whose outcome is wanted, the selected ones among them.
        selected: those to be done.
        always: do again this stage of theirs, and those that follow it; None: what is missing.
        retry: do again what failed, single clips included.
        workers: number of worker processes.
        quiet: print no progress.
    """
    items = list(items)
    known = look_up(context, items)
    if always or retry:
        for item in distinct(selected):
            _reopen(known.of(item).stages, always, retry)
        known = look_up(context, items)
    todo = [item for item in distinct(selected) if known.of(item).missing]
    if not todo:
        return known
    failures = execute(todo, context, workers=workers, quiet=quiet)
    found = look_up(context, items).by_identity
    return Outcomes(by_identity=found, failures=failures, cached=known.cached)


def _reopen(stages: Mapping[str, CachedStage], always: str | None, retry: bool) -> None:
    """Discard stages that are to be done again, and those that follow them."""
    again = False
    for stage in stages.values():
        # A training follows from nothing before it: it is done again only where it is named.
        if stage.name == "train" and always != "train":
            continue
        again = again or (always is not None and STAGES.index(stage.name) >= STAGES.index(always))
        if again:
            stage.discard()
        elif retry:
            again = discard_failed_parts(stage)
