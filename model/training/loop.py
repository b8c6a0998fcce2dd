"""The state of a training run: what is updated, logged, written, and resumed."""

import csv
import math
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from datasets.tools.files import replacing
from model.training.checkpoint import CheckpointError, read_sidecar, sidecar_path
from model.training.config import TrainingConfig, TrainingError
from model.training.interrupt import interrupt_held
from model.training.optimizer import make_optimizer

Loss = tuple[Tensor, dict[str, Tensor]]
"""A scalar to minimise, and named scalars to log."""


class Savable(Protocol):
    """What a run asks of a model, besides being a `torch.nn.Module`."""

    config: object
    """Has `to_dict()`; a run is only resumed with an equal one."""

    def save(self, path: Path, *, extra: dict) -> Path:
        """Write the checkpoint through `model.training.checkpoint`, with `extra` in its sidecar."""


class TrainingRun:
    """The state of a run: model, optimiser, step, loss curve; everything that is resumed.

    Args:
        model: a fresh model, on its device.
        training: steps and optimiser.
        identity: what must be equal for a run to be the same run, see `identity_of`.
        out: folder of the run; it exists.
        ema_decay: keep an exponential average of the weights, which `finish` writes instead; 0
            keeps none.
    """

    def __init__(
        self,
        model: Savable,
        training: TrainingConfig,
        identity: dict,
        out: Path,
        *,
        ema_decay: float = 0.0,
    ):
        self.model = model
        self.training = training
        self.identity = identity
        self.out = out
        self.step = 0
        self.rows: list[dict] = []
        self.seconds = 0.0
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = make_optimizer(model, training)
        self.ema_decay = ema_decay
        self.average = [value.clone() for value in self._values()] if ema_decay else []
        # Of the logged scalars since the last row: sum and number of steps.
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.started = time.monotonic()

    def go(
        self,
        losses: Callable[[int], Iterable[Loss]],
        *,
        bar: tqdm,
        shown: Callable[[dict], str],
        checkpoint_seconds: float = 15.0,
        on_step: Callable[[int, str], None] | None = None,
        examine: Callable[[], dict[str, float]] | None = None,
    ) -> None:
        """Train from where the run is to its end.

        Args:
            losses: of a step, as for `update`; a function of the step alone.
            bar: progress, one unit a step; closed at the end.
            shown: a row of the loss curve to what stands beside the bar.
            checkpoint_seconds: longest time between two writings of the resume state.
            on_step: called after every step with the steps done and the text beside the bar.
            examine: numbers to add to ten of the curve's rows, from a look at the model.

        Raises:
            TrainingError: a loss or gradient is not finite.
            KeyboardInterrupt: Ctrl-C; a process alone has finished its step and written its state.
        """
        saved_at, latest = time.monotonic(), ""
        with bar, self._interrupts() as interrupted:
            while self.step < self.training.steps:
                self.update(losses(self.step))
                last = self.step == self.training.steps
                if last or self.step % max(1, self.training.steps // 100) == 0:
                    tenth = self.step % max(1, self.training.steps // 10) == 0
                    latest = shown(self.log(examine() if examine and (last or tenth) else {}))
                    bar.set_postfix_str(latest, refresh=False)
                bar.update()
                if on_step is not None:
                    on_step(self.step, latest)
                if interrupted():
                    self.save()
                    raise KeyboardInterrupt
                if not last and self._agreed(time.monotonic() - saved_at >= checkpoint_seconds):
                    self.save()
                    saved_at = time.monotonic()

    def update(self, losses: Iterable[Loss]) -> None:
        """One optimiser step on a sum of losses, each backward before the next is computed."""
        self.optimizer.zero_grad()
        scalars: dict[str, Tensor] = {}
        for loss, stats in losses:
            loss.backward()
            for name, value in {"loss": loss, **stats}.items():
                value = value.detach().float()
                scalars[name] = scalars[name] + value if name in scalars else value
        scalars["grad_norm"] = self._clip().detach().float()
        for group in self.optimizer.param_groups:
            group["lr"] = self.training.learning_rate_at(self.step)
        self.optimizer.step()
        if self.average:
            # The average of few steps is theirs alone, not still the initial weights.
            decay = min(self.ema_decay, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(self.average, self._values(), 1 - decay)
        self.step += 1
        self._add(scalars)

    def log(self, extra: dict[str, float] | None = None) -> dict:
        """Close a row of the loss curve: means since the row before, and `extra`.

        Raises:
            TrainingError: a loss or gradient since then is not finite.
        """
        self._require_finite()
        row = {"step": self.step, **self._take_means(), **(extra or {})}
        self.rows.append(row)
        self._write_losses()
        return row

    def save(self) -> None:
        """Write ``resume.pt``, atomically."""
        self._require_finite()
        state = {
            "identity": self.identity,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            **self._progress(),
        }
        with replacing(self.out / "resume.pt") as temporary:
            torch.save(state, temporary)

    def resume(self) -> None:
        """Continue from ``resume.pt`` if there is one.

        Raises:
            TrainingError: it is unreadable, or belongs to another run.
        """
        path = self.out / "resume.pt"
        if not path.is_file():
            return
        state = self._read(path, delete=path)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for average, kept in zip(self.average, state["average"], strict=True):
            average.copy_(kept)
        self._set_progress(state)

    def finish(self, path: Path, description: str, **facts) -> Path:
        """Write the checkpoint and drop the resume state.

        Args:
            path: of the checkpoint.
            description: of what was trained.
            facts: JSON-ready, kept in the sidecar with what the run knows of itself; unlike the
                identity they are no part of what makes two runs the same.
        """
        self.model.eval()
        for value, average in zip(self._values(), self.average, strict=False):
            value.copy_(average)
        self._write(path, {"training": self._facts(description) | facts})
        return path

    def _write(self, path: Path, extra: dict) -> None:
        self.model.save(path, extra=extra)
        (self.out / "resume.pt").unlink(missing_ok=True)

    def _values(self) -> list[Tensor]:
        """What the parameters hold here, without gradient; writing to them changes the model."""
        return [p.detach() for p in self.parameters]

    def _clip(self) -> Tensor:
        """Limit the gradient's norm; returns what it was."""
        return torch.nn.utils.clip_grad_norm_(self.parameters, self.training.grad_clip)

    def _agreed(self, due: bool) -> bool:
        """Whether to write the resume state, if by this process's clock it is `due` or not."""
        return due

    def _interrupts(self) -> AbstractContextManager[Callable[[], bool]]:
        """Holds Ctrl-C back while it is open; says whether there was one."""
        return interrupt_held()

    def _add(self, scalars: dict[str, Tensor]) -> None:
        """Count a step's scalars towards the next row."""
        # Summed on the device: asking for the values every step would make a GPU wait.
        for name, value in scalars.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def _take_means(self) -> dict[str, float]:
        """Means of the scalars since the row before; the next row starts from nothing."""
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means

    def _facts(self, description: str) -> dict:
        return {
            **self.identity["run"],
            "steps_done": self.step,
            "seconds": round(self.seconds + time.monotonic() - self.started, 1),
            "device": str(self.parameters[0].device),
            "description": description,
            "last_losses": self.rows[-1],
        }

    def _progress(self) -> dict:
        return {
            "step": self.step,
            "seconds": self.seconds + time.monotonic() - self.started,
            "rows": self.rows,
            "sums": self.sums,
            "counts": self.counts,
        }

    def _set_progress(self, state: dict) -> None:
        for name in ("step", "seconds", "rows", "counts"):
            setattr(self, name, state[name])
        device = self.parameters[0].device
        self.sums = {name: value.to(device) for name, value in state["sums"].items()}
        self._write_losses()

    def _read(self, path: Path, *, delete: Path) -> dict:
        """A resume state; `delete` is what its user must delete if it is damaged."""
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            _require_same(state["identity"], self.identity, path)
        except TrainingError:
            raise
        except Exception as error:
            raise TrainingError(
                f"{path} cannot be read ({type(error).__name__}): delete {delete} to start again"
            ) from error
        return state

    def _require_finite(self) -> None:
        if not self._is_finite():
            raise TrainingError(
                f"the loss is not finite after {self.step} of {self.training.steps} steps: lower "
                f"the learning rate ({self.training.learning_rate:g}) or check the clips; no "
                "checkpoint was overwritten"
            )

    def _is_finite(self) -> bool:
        return not self.sums or math.isfinite(float(sum(self.sums.values())))

    def _write_losses(self) -> None:
        # The whole curve, a hundred rows: after a resume it never shows steps that were lost.
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        with (
            replacing(self.out / "losses.csv") as temporary,
            temporary.open("w", newline="") as file,
        ):
            writer = csv.DictWriter(file, fieldnames=names or ["step"])
            writer.writeheader()
            writer.writerows(self.rows)


def identity_of(model: Savable, training: TrainingConfig, data: dict) -> dict:
    """What must be equal for a run to be the same run; `data` identifies what it learns from."""
    return {
        "class": type(model).__name__,
        "config": model.config.to_dict(),
        "run": {**training.to_dict(), **data},
    }


def is_finished(path: Path, identity: dict) -> bool:
    """Whether this very run has ended at `path`.

    Raises:
        TrainingError: another run has, or its sidecar is unreadable.
    """
    if not (path.is_file() and sidecar_path(path).is_file()):
        return False
    try:
        sidecar = read_sidecar(path)
    except CheckpointError as error:
        raise TrainingError(f"{error}: delete it to start again, or name another folder") from error
    extra = sidecar.get("extra")
    facts = extra.get("training") if isinstance(extra, dict) else None
    facts = facts if isinstance(facts, dict) else {}
    found = {name: facts.get(name) for name in identity["run"]}
    _require_same(
        {"class": sidecar["class"], "config": sidecar["config"], "run": found}, identity, path
    )
    return facts.get("steps_done") == facts["steps"]


def _require_same(found: dict, wanted: dict, path: Path) -> None:
    """Raise if the run at `path` is not the one asked for, naming the first difference."""
    differences = [("model", found["class"], wanted["class"])] + [
        (name, found[part].get(name), wanted[part].get(name))
        for part in ("config", "run")
        for name in {**found[part], **wanted[part]}
    ]
    for name, old, new in differences:
        if old != new:
            raise TrainingError(
                f"{path} is of another run ({name} is {old} there, {new} here): "
                "name another folder, or delete that one"
            )
