"""The state of a training run: what is updated, logged, written, and resumed."""

import math
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from model.training.checkpoint import load_weights, writing
from model.training.config import TrainingConfig, TrainingError
from model.training.identity import goes_on, identity_of, is_finished, require_same
from model.training.interrupt import interrupt_held
from model.training.optimizer import make_optimizer
from model.training.resume import DamagedState, delete_state, read_state, write_state
from model.training.saved_model import SavedModel
from model.training.sidecar import WEIGHTS

Loss = tuple[Tensor, dict[str, Tensor]]
"""A scalar to minimise, and named scalars to log."""

_LARGE = 200_000_000  # bytes of a resume state


def begin(
    model: SavedModel, training: TrainingConfig, data: dict, out: Path, *, device: str
) -> "TrainingRun | None":
    """Return the run of a fresh model, resumed; None if it has ended and the model has its weights.

    Args:
        model: is moved to the device.
        training: its settings.
        data: see `identity_of`.
        out: folder of the run, made if needed.
        device: ``cpu`` or ``cuda``.

    Raises:
        TrainingError: `out` holds another run.
    """
    out.mkdir(parents=True, exist_ok=True)
    identity = identity_of(model, training, data)
    if is_finished(out / WEIGHTS, identity):
        load_weights(out / WEIGHTS, model)
        model.to(device).eval()
        return None
    run = TrainingRun(model.to(device), training, identity, out)
    run.resume()
    return run


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
        model: SavedModel,
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
        self.saved_step: int | None = None  # of the resume state on disk
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
        text_of: Callable[[dict], str],
        progress: bool,
        description: str = "",
        checkpoint_seconds: float | None = None,
        on_step: Callable[[int, str], None] | None = None,
        examine: Callable[[], dict[str, float]] | None = None,
    ) -> None:
        """Train from where the run is to its end.

        Args:
            losses: of a step, as for `update`; a function of the step alone.
            text_of: returns the text beside the progress bar for a row of the loss curve.
            progress: show a progress bar on stderr.
            description: shown before the bar.
            checkpoint_seconds: longest time between two writings of the resume state; None: 15,
                and 600 where it is large.
            on_step: called after every step with the steps done and the text beside the bar.
            examine: numbers to add to ten of the curve's rows, from a look at the model.

        Raises:
            TrainingError: a loss or gradient is not finite.
            KeyboardInterrupt: Ctrl-C; a process alone has finished its step and written its state.
        """
        saved_at, latest, steps = time.monotonic(), "", self.training.steps
        bar = tqdm(
            initial=self.step, total=steps, desc=description, disable=not progress, unit="step"
        )
        self.model.train()
        if checkpoint_seconds is None:
            checkpoint_seconds = 600.0 if self._state_bytes() > _LARGE else 15.0
        with bar, self._interrupts() as interrupted:
            while self.step < steps:
                self.update(losses(self.step))
                last = self.step == steps
                if last or self.step % max(1, steps // 100) == 0:
                    tenth = self.step % max(1, steps // 10) == 0
                    latest = text_of(self.log(examine() if examine and (last or tenth) else {}))
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
                scalars[name] = scalars.get(name, 0) + value
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
        rate = self.training.learning_rate_at(self.step - 1)
        row = {"step": self.step, "learning_rate": rate, **self._take_means(), **(extra or {})}
        self.rows.append(row)
        self._write_losses()
        return row

    def save(self) -> None:
        """Write ``resume.pt`` and its record.

        Raises:
            TrainingError: a loss or gradient is not finite.
            CheckpointError: the disk is full.
        """
        self._require_finite()
        state = {
            "identity": self.identity,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            **self._progress(),
        }
        write_state(self.out / "resume.pt", state)
        self.saved_step = self.step

    def resume(self) -> None:
        """Continue from ``resume.pt`` if there is one; from the start, and said, if it is damaged.

        Raises:
            TrainingError: it belongs to another run.
        """
        path = self.out / "resume.pt"
        if not path.is_file():
            return
        try:
            state = read_state(path, self.parameters[0].device)
        except DamagedState as error:
            print(f"{error}: the training starts anew", file=sys.stderr)
            return
        if not goes_on(state["identity"], self.identity, path):
            require_same(state["identity"], self.identity, path)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for average, kept in zip(self.average, state["average"], strict=True):
            average.copy_(kept)
        self._set_progress(state)

    @property
    def elapsed(self) -> float:
        """Seconds of training, those before the last resume included."""
        return self.seconds + time.monotonic() - self.started

    def finish(self, description: str, *, keep_state: bool = False, **facts) -> Path:
        """Write the checkpoint and delete the resume state.

        The state is brought up to date first: where there is no room for the checkpoint, the same
        command later only writes it.

        Args:
            description: of what was trained.
            keep_state: leave the resume state, from which the run can go on with more steps.
            facts: JSON-ready, kept in the sidecar with what the run knows of itself; unlike the
                identity they are no part of what makes two runs the same.

        Raises:
            CheckpointError: the disk is full.
        """
        if self.saved_step != self.step:
            self.save()
        self.model.eval()
        for value, average in zip(self._values(), self.average, strict=False):
            value.copy_(average)
        path = self.out / WEIGHTS
        training = {
            **self.identity["run"],
            "steps_done": self.step,
            "seconds": round(self.elapsed, 1),
            "device": str(self.parameters[0].device),
            "threads": torch.get_num_threads(),  # with others, sums round differently
            "description": description,
            "last_losses": self.rows[-1],
        }
        self._write_checkpoint(path, {"training": training | facts})
        if not keep_state:
            self._delete_state()
        return path

    def _state_bytes(self) -> int:
        copies = 4 if self.average else 3  # weights, AdamW's two averages, that of the weights
        return copies * sum(p.numel() * p.element_size() for p in self.parameters)

    def _write_checkpoint(self, path: Path, extra: dict) -> None:
        self.model.save(path, extra=extra)

    def _delete_state(self) -> None:
        delete_state(self.out / "resume.pt")

    def _values(self) -> list[Tensor]:
        """The parameters of this process, without gradient; writing to them changes the model."""
        return [p.detach() for p in self.parameters]

    def _clip(self) -> Tensor:
        """Limit the gradient's norm; returns the norm before."""
        return torch.nn.utils.clip_grad_norm_(self.parameters, self.training.grad_clip)

    def _agreed(self, due: bool) -> bool:
        """True if the resume state is to be written; `due` is what this process's clock says."""
        return due

    def _interrupts(self) -> AbstractContextManager[Callable[[], bool]]:
        """A context that holds Ctrl-C back and yields a function: true once there was one."""
        return interrupt_held()

    def _add(self, scalars: dict[str, Tensor]) -> None:
        """Count a step's scalars towards the next row."""
        # Summed on the device: asking for the values every step would make a GPU wait.
        for name, value in scalars.items():
            self.sums[name] = self.sums.get(name, 0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def _take_means(self) -> dict[str, float]:
        """Means of the scalars since the row before; the next row starts from nothing."""
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        self.sums, self.counts = {}, {}
        return means

    def _progress(self) -> dict:
        return {
            "step": self.step,
            "seconds": self.elapsed,
            "rows": self.rows,
            "sums": self.sums,
            "counts": self.counts,
        }

    def _set_progress(self, state: dict) -> None:
        for name in ("step", "seconds", "rows", "counts"):
            setattr(self, name, state[name])
        device = self.parameters[0].device
        self.sums = {name: value.to(device) for name, value in state["sums"].items()}
        self.saved_step = self.step
        self._write_losses()

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
        curve = pd.DataFrame(self.rows, columns=None if self.rows else ["step"])
        with writing(self.out / "losses.csv") as temporary:
            curve.to_csv(temporary, index=False, lineterminator="\r\n")
