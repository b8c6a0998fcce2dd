"""A run of several processes, each of which holds a part of every parameter (FSDP2).

Until such a run is finished, its folder holds

* ``resume/00000120/rank-0-of-2.pt`` ...: the part of each process after step 120, plain tensors;
* ``resume/state.json``: which step and how many processes. Written last, and what makes the files
  of that step valid: whoever is stopped anywhere leaves the state before or the state after.

Never `torch.distributed.checkpoint`, whose metadata is a pickle.
"""

import contextlib
import math
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    MixedPrecisionPolicy,
    fully_shard,
    register_fsdp_forward_method,
)
from torch.distributed.tensor import DTensor

from datasets.tools.files import read_json, write_json
from model.training.config import TrainingConfig, TrainingError
from model.training.identity import goes_on, require_same
from model.training.loop import TrainingRun
from model.training.resume import DamagedState, read_state, write_state
from model.transformer import UniMo
from model.transformer.train.distributed import gathered, rank_and_processes, together


def shard(model: UniMo, device: str) -> UniMo:
    """Give this process its part of every parameter of `model`, in place, on `device`.

    A block is a unit, whole only while it computes; the embeddings, the last norm and the heads are
    one more, whole from the forward to the end of the backward pass. Heads are not a unit of their
    own: the units' hooks hang on a module being called, and a factorised head never is.

    Args:
        model: on the CPU, with the same weights in all processes. Made there and not on the device
            because a unit is moved when it is split: of the 16 GB of the paper's size a GPU then
            holds one unit, 2 GB at most, beside its parts. Made with values and not on the meta
            device because those of a seed, or of Cosmos, are then those of a single process.
        device: ``cpu`` or ``cuda``; bf16 is computed with on the latter, and summed up in float32.
    """
    mesh = init_device_mesh(device, (rank_and_processes()[1],))
    policy = MixedPrecisionPolicy()
    if device == "cuda":
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    for layer in model.layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)
    register_fsdp_forward_method(model, "losses")
    return model


class ShardedRun(TrainingRun):
    """A `TrainingRun` of a model from `shard`.

    All processes call the same methods in the same order.
    """

    def __init__(
        self,
        model: UniMo,
        training: TrainingConfig,
        identity: dict,
        out: Path,
        *,
        ema_decay: float = 0.0,
    ):
        super().__init__(model, training, identity, out, ema_decay=ema_decay)
        self.rank, self.processes = rank_and_processes()
        # Of the logged scalars since the last row: the steps in which this process had them. It has
        # none of a task whose clips went to the others.
        self.seen: dict[str, list[int]] = {}

    def save(self) -> None:
        """Write this process's part of the state; the parts become valid all at once."""
        self._require_finite()
        folder, marker = self._folder(self.step), marker_path(self.out)
        state = {
            "identity": self.identity,
            "parameters": self._values(),
            "optimizer": _map_state(self.optimizer.state_dict(), lambda _, part: part.to_local()),
            "average": self.average,
            **self._progress(),
        }
        with together():
            write_state(folder / self._file, state)
        with together():
            if self.rank == 0:
                write_json(marker, {"step": self.step, "processes": self.processes})
                for other in marker.parent.iterdir():
                    if other.is_dir() and other != folder:
                        shutil.rmtree(other, ignore_errors=True)
        self.saved_step = self.step

    def resume(self) -> None:
        """Continue from the resume state if there is one; from the start if a part is damaged.

        Raises:
            TrainingError: it belongs to another run, or not all processes see it.
        """
        state = problem = None
        try:
            marker = read_marker(self.out)
            if marker is not None:
                path = self._folder(marker[0]) / self._file
                state = read_state(path, self.parameters[0].device)
        except DamagedState as error:
            problem = str(error)
        problems = [text for text in gathered(problem) if text is not None]
        if problems:
            if self.rank == 0:
                print(f"{problems[0]}: the training starts anew", file=sys.stderr)
            return
        with together():
            if state is not None:
                if not goes_on(state["identity"], self.identity, self.out):
                    require_same(state["identity"], self.identity, self.out)
                self._continue(state)
        steps = gathered(self.step)
        if len(set(steps)) > 1:
            raise TrainingError(
                f"the processes found themselves at steps {steps} of {self.out}: it must be one "
                "folder for all of them"
            )

    def _continue(self, state: dict) -> None:
        for value, kept in zip(self._values(), state["parameters"], strict=True):
            value.copy_(kept)
        for average, kept in zip(self.average, state["average"], strict=True):
            average.copy_(kept)

        def whole(number: int, part: Tensor) -> DTensor:
            # Shape and stride are of the whole: parts of unequal size do not tell.
            like = self.parameters[number]
            return DTensor.from_local(
                part.to(like.device),
                like.device_mesh,
                like.placements,
                run_check=False,
                shape=like.shape,
                stride=like.stride(),
            )

        self.optimizer.load_state_dict(_map_state(state["optimizer"], whole))
        self._set_progress(state)

    def _folder(self, step: int) -> Path:
        return marker_path(self.out).parent / f"{step:08d}"

    @property
    def _file(self) -> str:
        return f"rank-{self.rank}-of-{self.processes}.pt"

    def _write_checkpoint(self, path: Path, extra: dict) -> None:
        """Process 0 writes what a single one would; the others wait for it."""
        state = {}
        # One parameter at a time: the whole model need not fit the device.
        for name, value in self.model.state_dict().items():
            whole = value.full_tensor() if isinstance(value, DTensor) else value
            if self.rank == 0:
                state[name] = whole.detach().cpu()
        with together():
            if self.rank == 0:
                with torch.device("meta"):
                    model = UniMo(self.model.config)
                model.load_state_dict(state, assign=True)
                model.save(path, extra=extra)

    def _delete_state(self) -> None:
        with together():
            if self.rank == 0:
                shutil.rmtree(marker_path(self.out).parent, ignore_errors=True)

    def _values(self) -> list[Tensor]:
        return [p.detach().to_local() for p in self.parameters]

    def _clip(self) -> Tensor:
        return super()._clip().full_tensor()

    def _agreed(self, due: bool) -> bool:
        # Clocks differ. On the CPU, also where the training is not: no GPU is waited for.
        decision = torch.tensor([due])
        torch.distributed.broadcast(decision, 0)
        return bool(decision)

    def _interrupts(self) -> AbstractContextManager[Callable[[], bool]]:
        # It reaches the processes in different steps, which one alone cannot save: all stop at
        # once, and go on from the last state that they agreed on.
        return contextlib.nullcontext(lambda: False)

    def _add(self, scalars: dict[str, Tensor]) -> None:
        super()._add(scalars)
        for name in scalars:
            self.seen.setdefault(name, []).append(self.step)

    def _take_means(self) -> dict[str, float]:
        totals = {name: float(total) for name, total in self.sums.items()}
        everyones = gathered((totals, self.seen))
        self.seen = {}
        means = {}
        for name in dict.fromkeys(name for totals, _ in everyones for name in totals):
            steps = set().union(*(seen.get(name, ()) for _, seen in everyones))
            total = math.fsum(totals.get(name, 0.0) for totals, _ in everyones)
            means[name] = total / self.processes / len(steps)
        super()._take_means()
        return means

    def _is_finite(self) -> bool:
        return all(gathered(super()._is_finite()))

    def _progress(self) -> dict:
        return {**super()._progress(), "seen": self.seen}

    def _set_progress(self, state: dict) -> None:
        self.seen = state["seen"]
        super()._set_progress(state)

    def _write_losses(self) -> None:
        if self.rank == 0:
            super()._write_losses()


def _map_state(state: dict, change: Callable[[int, Tensor], Tensor]) -> dict:
    """An AdamW's state with `change(number of the parameter, tensor)` of all but step counts."""
    return {
        "state": {
            number: {
                name: value if name == "step" else change(number, value)
                for name, value in entries.items()
            }
            for number, entries in state["state"].items()
        },
        "param_groups": state["param_groups"],
    }


def read_marker(out: Path) -> tuple[int, int] | None:
    """Step and processes of the sharded resume state in a run's folder; None without one.

    Raises:
        DamagedState: it cannot be read.
    """
    path = marker_path(out)
    if not path.exists():
        return None
    found = read_json(path) or {}
    step, processes = found.get("step"), found.get("processes")
    if not isinstance(step, int) or not isinstance(processes, int):
        raise DamagedState(f"{path} cannot be read")
    return step, processes


def marker_path(out: Path) -> Path:
    """Return the file that makes a sharded resume state valid."""
    return out / "resume" / "state.json"


def _require_processes(out: Path, count: int) -> None:
    try:
        marker = read_marker(out)
    except DamagedState as error:
        if count > 1:
            return  # `ShardedRun.resume` says so, and starts anew
        raise TrainingError(f"{error}: delete {marker_path(out).parent} to start again") from error
    if marker is not None:
        found = marker[1]
    elif (out / "resume.pt").is_file():
        found = 1
    else:
        return
    if found != count:
        raise TrainingError(
            f"{out} holds a run of {found} process{'es' * (found > 1)} that was stopped, and this "
            f"is one of {count}: start as many, or name another folder"
        )


def start(
    model: UniMo, training: TrainingConfig, identity: dict, out: Path, device: str, ema_decay: float
) -> TrainingRun:
    """Return the run of a training: of the whole model, or under torchrun of a shard of it.

    Raises:
        TrainingError: `out` holds the resume state of another number of processes.
    """
    _, count = rank_and_processes()
    _require_processes(out, count)
    if count == 1:
        return TrainingRun(model.to(device), training, identity, out, ema_decay=ema_decay)
    return ShardedRun(shard(model, device), training, identity, out, ema_decay=ema_decay)
