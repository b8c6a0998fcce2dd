"""The state of a training run: what is updated, logged, written, and resumed."""

import csv
import math
import os
import time
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from model.checkpoint import read_sidecar, sidecar_path
from model.training import TrainingConfig, TrainingError


class Savable(Protocol):
    """What a run asks of a model, besides being a `torch.nn.Module`."""

    config: object
    """Has `to_dict()`; a run is only resumed with an equal one."""

    def save(self, path: Path, *, extra: dict) -> Path:
        """Write the checkpoint through `model.checkpoint`, with `extra` in its sidecar."""


class Run:
    """The state of a run: model, optimiser, step, loss curve; everything that is resumed."""

    def __init__(self, model: Savable, training: TrainingConfig, identity: dict, out: Path):
        self.model = model
        self.training = training
        self.identity = identity
        self.out = out
        self.step = 0
        self.rows: list[dict] = []
        self.seconds = 0.0
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=training.learning_rate,
            betas=training.betas,
            weight_decay=training.weight_decay,
            fused=True,
        )
        self.names: list[str] = []
        self.sums: Tensor | None = None  # of the logged scalars since the last row
        self.summed = 0
        self.started = time.monotonic()

    def update(self, loss: Tensor, stats: dict[str, Tensor]) -> None:
        """One optimiser step."""
        self.optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.training.grad_clip)
        for group in self.optimizer.param_groups:
            group["lr"] = self.training.learning_rate_at(self.step)
        self.optimizer.step()
        self.step += 1
        # Summed on the device: asking for the values every step would make a GPU wait.
        scalars = {"loss": loss, "grad_norm": norm, **stats}
        values = torch.stack([value.detach().float() for value in scalars.values()])
        self.names = list(scalars)
        self.sums = values if self.sums is None else self.sums + values
        self.summed += 1

    def log(self) -> dict:
        """Close a row of the loss curve: means since the row before.

        Raises:
            TrainingError: a loss or gradient since then is not finite.
        """
        self._require_finite()
        means = (self.sums / self.summed).tolist()
        row = {"step": self.step, **dict(zip(self.names, means, strict=True))}
        self.rows.append(row)
        self.sums, self.summed = None, 0
        self._write_losses()
        return row

    def save(self) -> None:
        """Write ``resume.pt``, atomically."""
        self._require_finite()
        state = {
            "identity": self.identity,
            "step": self.step,
            "seconds": self.seconds + time.monotonic() - self.started,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rows": self.rows,
            "names": self.names,
            "sums": self.sums,
            "summed": self.summed,
        }
        temporary = self.out / "resume.pt.tmp"
        torch.save(state, temporary)
        os.replace(temporary, self.out / "resume.pt")

    def resume(self) -> None:
        """Continue from ``resume.pt`` if there is one.

        Raises:
            TrainingError: it is unreadable, or belongs to another run.
        """
        path = self.out / "resume.pt"
        if not path.is_file():
            return
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            _require_same(state["identity"], self.identity, path)
        except TrainingError:
            raise
        except Exception as error:
            raise TrainingError(
                f"{path} cannot be read ({type(error).__name__}): delete it to start again"
            ) from error
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name in ("step", "seconds", "rows", "names", "sums", "summed"):
            setattr(self, name, state[name])
        if self.sums is not None:
            self.sums = self.sums.to(self.parameters[0].device)
        self._write_losses()

    def finish(self, path: Path, description: str) -> Path:
        """Write the checkpoint and drop the resume state."""
        self.model.eval()
        facts = {
            **self.identity["run"],
            "steps_done": self.step,
            "seconds": round(self.seconds + time.monotonic() - self.started, 1),
            "device": str(self.parameters[0].device),
            "description": description,
            "last_losses": self.rows[-1],
        }
        self.model.save(path, extra={"training": facts})
        (self.out / "resume.pt").unlink(missing_ok=True)
        return path

    def _require_finite(self) -> None:
        if self.sums is not None and not math.isfinite(float(self.sums.sum())):
            raise TrainingError(
                f"the loss is not finite after {self.step} of {self.training.steps} steps: lower "
                f"the learning rate ({self.training.learning_rate:g}) or check the clips; no "
                "checkpoint was overwritten"
            )

    def _write_losses(self) -> None:
        # The whole curve, a hundred rows: after a resume it never shows steps that were lost.
        temporary = self.out / "losses.csv.tmp"
        with open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=["step", *self.names])
            writer.writeheader()
            writer.writerows(self.rows)
        os.replace(temporary, self.out / "losses.csv")


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
        TrainingError: another run has.
    """
    if not (path.is_file() and sidecar_path(path).is_file()):
        return False
    sidecar = read_sidecar(path)
    facts = sidecar.get("extra", {}).get("training", {})
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
