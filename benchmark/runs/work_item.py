"""Work items: the work of one row with one seed."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmark import discover
from benchmark.api.clips import Data
from benchmark.api.errors import Unavailable
from benchmark.api.method import Method
from benchmark.api.metric import MetricContext
from benchmark.api.profile import Profile
from benchmark.api.table import Row
from benchmark.runs.cache import make_key
from benchmark.runs.checkpoints import weights_sha256
from datasets.bodies.smplx_file import BodyFile


@dataclass(frozen=True)
class RunContext:
    """The settings that all work items of a run share.

    Attributes:
        cache: folder of the cached stages.
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


@dataclass(frozen=True, kw_only=True)
class WorkItem:
    """One row's work with one seed.

    Attributes:
        task: what the method does, one of `benchmark.api.table.TASKS`.
        method: name of the method.
        data: the clips.
        seed: of training, sampling and whatever is drawn at random.
        training_spec: all that training depends on besides the clips, as JSON values; empty if
            there are `weights`.
        weights: trained weights of the user; None trains some.
        base: the training, or the weights, that its own training builds on; None for most.
        pixels: identity of what makes the pixels of the method's tokens; empty where that is its
            codec.
        enhancer: identity of the tool that enhances its videos; empty where none does.
        metrics: names of the metrics that score it.
        estimator: the training, or the weights, of the estimator whose motions stand for the true
            ones of generated videos; None for other tasks.
        no_estimator: why there is no estimator for a task that needs one.
        label: of its row, for messages.
    """

    task: str
    method: str
    data: Data = field(repr=False)
    seed: int = 0
    training_spec: Mapping[str, object] = field(default_factory=dict)
    weights: Path | None = None
    base: "WorkItem | None" = None
    pixels: Mapping[str, str] = field(default_factory=dict)
    enhancer: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    estimator: "WorkItem | None" = None
    no_estimator: str = ""
    label: str = field(default="", compare=False)

    @functools.cached_property
    def identity(self) -> str:
        """A hash that is equal for items that are the same work."""
        return make_key(
            {
                "kind": self.task,
                "method": self.method,
                "train": self.data.inputs,
                "test": self.data.test_inputs,
                "seed": self.seed,
                "settings": self.training_spec,
                "weights": self.weights and self.weights_sha256(self.weights),
                **self.code,
                "estimator": self.estimator and self.estimator.identity,
                **({"base": self.base.identity} if self.base else {}),
                **({"pixels": self.pixels} if self.pixels else {}),
                **({"enhancer": self.enhancer} if self.enhancer else {}),
            }
        )

    @property
    def implementation(self) -> Method:
        """The method that does it."""
        return discover.method(self.method, self.task)

    @property
    def code(self) -> dict[str, object]:
        """The part of keys that identifies a method not of the package; empty for its own."""
        found = discover.own_code("methods", self.method)
        return {"code": found} if found else {}

    def weights_sha256(self, path: Path) -> str:
        """Return the identity of weights of its method."""
        return weights_sha256(path, whole=bool(self.code))

    def metric_context(self, context: RunContext) -> MetricContext:
        """Return the context that metrics get before they score."""
        return MetricContext(
            task=self.task,
            body=context.body,
            seed=self.seed,
            dataset=self.data.dataset,
            cache=context.cache,
            rates=self.data.test_rates,
        )


def require_trainable(row: Row, task: str, profile: Profile) -> None:
    """Check that a row's training can be done, before its clips are looked for.

    Raises:
        Unavailable: something that it needs is not here, or it is the user's to train.
    """
    if row.weights is not None:
        return
    method = discover.method(row.method, task)
    if not profile.trains and (command := method.training_command(row, profile)):
        raise Unavailable(command)
    method.training_spec(row.params, profile, seed=0)
    if base := method.builds_on(row, profile):
        require_trainable(base[1], base[0], profile)


def make_item(
    row: Row, task: str, profile: Profile, data: Data, *, seed: int, metrics: tuple[str, ...]
) -> WorkItem:
    """Return the work of a row at a profile's size.

    Raises:
        Unavailable: the row's method needs something that is not here.
    """
    method = discover.method(row.method, task)
    if row.weights is None and method.learns(profile) and data.sha256 and not data.train_ids:
        raise Unavailable("it learns from training clips: give stores of them with --data")
    spec: dict = {}
    base, estimator, reason = None, None, ""
    if row.weights is None:
        spec = method.training_spec(row.params, profile, seed=seed)
        if needed := method.builds_on(row, profile):
            base = make_item(needed[1], needed[0], profile, data, seed=seed, metrics=())
    if task == "i2vm":
        try:
            estimator = estimator_item(profile, data, seed=seed)
        except Unavailable as error:
            reason = str(error)
    return WorkItem(
        task=task,
        method=row.method,
        data=data,
        seed=seed,
        training_spec=spec,
        weights=row.weights,
        base=base,
        pixels=method.pixels(profile),
        enhancer=_enhancer() if row.enhanced else {},
        metrics=metrics,
        estimator=estimator,
        no_estimator=reason,
        label=row.label,
    )


def _enhancer() -> dict[str, str]:
    """Identity of SeedVR.

    Raises:
        Unavailable: it is not installed.
    """
    from datasets.tools.isolated import ToolMissing
    from model.video_tokens.seedvr import ENV_HOME, ENV_PYTHON, SeedVR

    try:
        tool = SeedVR.installed()
        if tool is None:
            raise Unavailable(f"no SeedVR is installed: set ${ENV_HOME} and ${ENV_PYTHON}")
        return tool.identity()
    except ToolMissing as error:
        raise Unavailable(str(error)) from error


def estimator_item(profile: Profile, data: Data, *, seed: int) -> WorkItem:
    """Return the training of the profile's estimator.

    Raises:
        Unavailable: it needs something that is not here.
    """
    row = Row(f"estimator {profile.estimator}", profile.estimator)
    return make_item(row, "v2m", profile, data, seed=seed, metrics=())


def distinct(items: Iterable[WorkItem]) -> list[WorkItem]:
    """Return each piece of work once, with the metrics of all items that share it."""
    merged: dict[str, WorkItem] = {}
    for item in items:
        known = merged.get(item.identity, item)
        metrics = tuple(sorted({*known.metrics, *item.metrics}))
        merged[item.identity] = dataclasses.replace(known, metrics=metrics)
    return list(merged.values())
