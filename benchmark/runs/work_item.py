"""Tasks: the work of one row with one seed."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmark import discover
from benchmark.api.clips import Data
from benchmark.api.errors import Unavailable
from benchmark.api.metric import MetricContext
from benchmark.api.profile import Profile
from benchmark.api.table import Row
from benchmark.runs import cache as store
from benchmark.runs.checkpoints import weights_sha256
from datasets.bodies.smplx_file import BodyFile


@dataclass(frozen=True)
class RunContext:
    """What all rows of a run share.

    Attributes:
        cache: folder of the runs.
        body: the body model file of the evaluation.
        device: ``cpu`` or ``cuda``.
    """

    cache: Path
    body: BodyFile
    device: str

    @property
    def precision(self) -> str:
        """Arithmetic of the models: bfloat16 autocast on a GPU, else float32."""
        return "bf16" if self.device == "cuda" else "fp32"


@dataclass(frozen=True)
class WorkItem:
    """One row's work with one seed.

    Attributes:
        task: what the method does, one of `benchmark.api.table.TASKS`.
        method: name of the method.
        data: the clips.
        seed: of training, sampling and whatever is drawn at random.
        settings: what it trains; empty where `weights` are given.
        weights: trained weights of the user's, or None.
        metrics: names of the metrics that score it.
        estimator: whose motions stand for the true ones of generated videos.
        no_estimator: why there is none, where there should be.
        label: for messages only.
    """

    task: str
    method: str
    data: Data = field(repr=False)
    seed: int
    settings: Mapping[str, object]
    weights: Path | None
    metrics: tuple[str, ...]
    estimator: "WorkItem | None" = None
    no_estimator: str = ""
    label: str = field(default="", compare=False)

    @functools.cached_property
    def identity(self) -> str:
        """Equal for items that are the same work."""
        return store.make_key(
            {
                "kind": self.task,
                "method": self.method,
                "train": self.data.inputs,
                "test": self.data.test_inputs,
                "seed": self.seed,
                "settings": self.settings,
                "weights": self.weights and weights_sha256(self.weights),
                "estimator": self.estimator and self.estimator.identity,
            }
        )

    @property
    def implementation(self):
        """The method, see `benchmark.api.method.Method`."""
        return discover.method(self.method, self.task)

    def metric_context(self, context: RunContext) -> MetricContext:
        """What metrics are told."""
        return MetricContext(
            task=self.task,
            body=context.body,
            seed=self.seed,
            dataset=self.data.dataset,
            cache=context.cache,
        )


def make_item(
    row: Row, task: str, profile: Profile, data: Data, *, seed: int, metrics: tuple[str, ...]
) -> WorkItem:
    """The item of a table's row at a profile's size.

    Raises:
        Unavailable: the row's method needs something that is not here.
    """
    settings = {}
    if row.weights is None:
        settings = discover.method(row.method, task).training_spec(row.params, profile, seed=seed)
    estimator, reason = None, ""
    if task == "i2vm":
        try:
            estimator = estimator_item(profile, data, seed=seed)
        except Unavailable as error:
            reason = str(error)
    return WorkItem(
        task,
        row.method,
        data,
        seed,
        settings,
        row.weights,
        metrics,
        estimator,
        reason,
        label=row.label,
    )


def estimator_item(profile: Profile, data: Data, *, seed: int) -> WorkItem:
    """The training of the profile's estimator.

    Raises:
        Unavailable: it needs something that is not here.
    """
    row = Row(f"estimator {profile.estimator}", profile.estimator)
    return make_item(row, "v2m", profile, data, seed=seed, metrics=())


def distinct(items: Iterable[WorkItem]) -> list[WorkItem]:
    """Each piece of work once, with the metrics of all items that share it."""
    merged: dict[str, WorkItem] = {}
    for item in items:
        known = merged.get(item.identity, item)
        metrics = tuple(sorted({*known.metrics, *item.metrics}))
        merged[item.identity] = dataclasses.replace(known, metrics=metrics)
    return list(merged.values())
