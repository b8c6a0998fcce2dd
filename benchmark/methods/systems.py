"""Trained systems and the rows that they fill: the user's, or how to train them."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from benchmark.api.clips import Data
from benchmark.api.errors import Unavailable
from benchmark.api.method import Method, Progress
from benchmark.api.profile import Profile
from benchmark.api.table import Row
from benchmark.methods import transformers
from model.system import codec_name

_PROCESSES = 8
# An A100's bf16 peak and the share of it that a training of this kind reaches.
_FLOPS, _SHARE = 312e12, 0.4


class Transformer(Method):
    """A transformer that is trained here, or whose training the user gives.

    Attributes:
        learned: the tasks of its training, where a row's `params` name no others.
    """

    learned: ClassVar[tuple[str, ...]]
    uses_body = True  # a training may mirror clips, and motions turn about the body's pelvis

    def training_spec(self, params: Mapping[str, object], profile: Profile, *, seed: int) -> dict:
        return transformers.training_spec(profile, **self._settings(params), seed=seed)

    def training_command(self, row: Row, profile: Profile) -> str:
        return training_command(row, profile, **self._settings(row.params))

    def use_of(self, sidecar: Mapping[str, Any], row: Row, profile: Profile) -> str:
        return use_of(sidecar, row, profile, **self._settings(row.params))

    def builds_on(self, row: Row, profile: Profile) -> tuple[str, Row] | None:
        return builds_on(row, profile)

    def train(
        self,
        spec: dict,
        data: Data,
        out: Path,
        *,
        device: str,
        progress: Progress,
        base: Path | None = None,
    ) -> Path:
        return transformers.train(spec, data, out, device=device, progress=progress, base=base)

    def require_room(self, spec: dict, out: Path, *, device: str) -> None:
        transformers.require_room(spec, out, device=device)

    def release(self) -> None:
        transformers.release()

    def facts(self, weights: Path) -> dict[str, float]:
        return {"params_m": transformers.num_parameters(weights) / 1e6}

    def _settings(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"tasks": self.learned, **params}


def use_of(
    sidecar: Mapping[str, Any],
    row: Row,
    profile: Profile,
    *,
    tasks: Sequence[str],
    unified: bool = False,
    fine_tuned: bool = False,
) -> str:
    """Return how a user's trained system serves a row, see `benchmark.api.method.Method.use_of`.

    It fills the row if it has the profile's configuration, learned the row's tasks, began as the
    row's training begins and was, for a row of one dataset, fine-tuned on that.
    """
    config, trained = sidecar["config"], sidecar["training"]
    wanted = dataclasses.replace(profile.unimo, unified=unified).to_dict()
    released = profile.codec == "cosmos"
    origin = trained.get("init")
    begun = origin if isinstance(origin, Mapping) else trained
    fits = (
        set(trained.get("tasks") or ()) == set(tasks)
        and dict(config) == json.loads(json.dumps(wanted))
        and codec_name(trained.get("codec")).startswith("cosmos") == released
        and str(begun.get("start")).startswith("cosmos" if released else "random")
    )
    if not fits:
        return ""
    if not fine_tuned:
        return "" if origin else "weights"
    if not origin:
        return "start"
    return "weights" if trained.get("dataset") == row.dataset else ""


def builds_on(row: Row, profile: Profile) -> tuple[str, Row] | None:
    """Return the training that a row's builds on, see `benchmark.api.method.Method.builds_on`.

    A fine-tuned row builds on the user's trained system. With Cosmos's codec, all transformers
    read the tokens of one motion tokenizer, which is also a row of tables 1 and 5.

    Raises:
        Unavailable: the user gave no trained system.
    """
    if row.params.get("fine_tuned"):
        if row.start is None:
            raise Unavailable(
                "the paper's row is the model of table 3, trained on with this dataset: give that "
                "model with --checkpoint"
            )
        return "v2m", Row(row.label, row.method, weights=row.start)
    if profile.codec != "cosmos":
        return None
    sizes = {
        "tokens_per_frame": profile.unimo.tokens_per_frame,
        "codebook_size": profile.unimo.motion_vocab,
    }
    return "tokenizer", Row("motion tokenizer", "unimo", sizes)


def training_command(
    row: Row,
    profile: Profile,
    *,
    tasks: Sequence[str],
    unified: bool = False,
    fine_tuned: bool = False,
) -> str:
    """Return how to train a row's system under torchrun, with its computed needs.

    Empty for the small models, which train in minutes.
    """
    if profile.codec != "cosmos":
        return ""
    words = ["--config paper --tasks", *tasks, *(["--unified"] if unified else []), "--data STORE"]
    training = profile.unimo_training
    if fine_tuned:
        training = profile.fine_tuning
        words.append(f"--init {row.start or 'FOLDER'} --steps {training.steps}")
    else:
        words.append("--tokenizer TOKENIZER --cosmos")
    out = "runs/" + "-".join(filter(None, [row.dataset, *tasks, "unified" if unified else ""]))
    return (
        f"no trained system was given (--checkpoint) and profile {profile.name} trains none unless "
        f"--train is given. Train it with `torchrun --nproc-per-node {_PROCESSES} -m "
        f"model.transformer.train {' '.join(words)} --out {out}` "
        f"({_needs(profile, tasks, training.steps * training.batch_size)}), then give "
        f"--checkpoint {out}"
    )


def _needs(profile: Profile, tasks: Sequence[str], clips: int) -> str:
    """Computed hours and memory of a training of the paper's size, in words."""
    from model.transformer.cost import training_flops
    from model.transformer.train.memory import device_bytes
    from model.transformer.train.steps import schedules

    every = schedules(profile.unimo)
    flops = sum(training_flops(profile.unimo, every[task]) for task in tasks) / len(tasks)
    recomputed = 4 / 3 if profile.unimo_training.activation_checkpointing else 1
    seconds = clips * flops * recomputed / (_PROCESSES * _FLOPS * _SHARE)
    training = dataclasses.replace(profile.unimo_training, tasks=tuple(tasks))
    memory = device_bytes(profile.unimo, training, "cuda", _PROCESSES)
    return (
        f"computed: {memory / 1e9:.0f} GB on each of {_PROCESSES} GPUs; {seconds / 3600:.0f} hours "
        f"on A100 at {_SHARE:.0%} of their peak"
    )
