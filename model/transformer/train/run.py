"""One training of the transformer, from tokens to a checkpoint."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from model.system import TokenizerFiles, TrainedSystem
from model.training.config import TrainingError
from model.training.sidecar import WEIGHTS
from model.transformer.config import UniMoConfig
from model.transformer.train.config import ARTrainingConfig

if TYPE_CHECKING:  # torch is imported where it is used, so that --help answers at once
    from torch.utils.tensorboard import SummaryWriter

    from model.transformer import UniMo
    from model.transformer.train.token_set import Tokens


def train(
    model: "UniMo",
    training: ARTrainingConfig,
    tokens: "Tokens",
    out: Path,
    *,
    device: str = "cpu",
    start: str = "random",
    system: TrainedSystem | None = None,
    files: TokenizerFiles | None = None,
    keep_state: bool = False,
    progress: bool = True,
    board: bool = False,
    on_step: "Callable[[int, str], None] | None" = None,
) -> Path:
    """Train `model` in place and write its checkpoint; resume what an earlier call left in `out`.

    Args:
        model: a fresh model, or one with weights of Cosmos or of `system`. Under torchrun it is
            sharded here.
        training: steps, batch size, tasks and optimiser.
        tokens: what it learns from.
        out: folder of the run, made if needed.
        device: ``cpu`` or ``cuda``; bf16 is computed with on the latter.
        start: where the initial weights come from, if not from `system`: ``random``, or ``cosmos
            <sha256>``; resuming requires the same.
        system: where the initial weights come from; the checkpoint keeps facts of it.
        keep_state: leave the last resume state, so that the run can go on with more steps.
        files: of the tokenizers, copied beside the model.
        progress: show a progress bar on stderr.
        board: also write the loss curve for TensorBoard.
        on_step: called after every step with the steps done and how it goes.

    Returns:
        ``out/model.safetensors``.

    Raises:
        TrainingError: `out` holds another run, or one that cannot go on; the loss stopped being
            finite, tokens that the model has no rows for, or processes that do not divide a step's
            clips.
    """
    from model.training.checkpoint import load_weights
    from model.training.identity import identity_of, is_finished
    from model.transformer.train import distributed, sharded
    from model.transformer.train.held_out import examine
    from model.transformer.train.steps import require_divisible, step_losses

    tokens.require_fitting(model.config)
    rank, processes = distributed.rank_and_processes()
    require_divisible(training, processes)
    if training.optimizer == "muon" and processes > 1:
        raise TrainingError("muon is for one process: choose --optimizer adamw")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    if system is not None:
        start = f"system {system.sha256}"
    identity = identity_of(model, training, {**tokens.identity, "start": start})
    path = out / WEIGHTS

    def copy_tokenizers() -> None:
        with distributed.together():
            if files is not None and rank == 0:
                files.copy_to(out)

    if is_finished(path, identity):
        copy_tokenizers()
        load_weights(path, model)
        model.to(device).eval()
        return path
    if training.head_from_codes and system is None:
        model.start_from_codes(tokens.codes)
    model.activation_checkpointing = training.activation_checkpointing
    run = sharded.start(model, training, identity, out, device, training.ema_decay)
    run.resume()
    copy_tokenizers()  # not before: the folder may be another run's
    precise = distributed.precision(device, processes)
    writer = open_board(out, run.step) if board and rank == 0 else None

    def losses(step: int):
        part = step_losses(model, training, tokens.train, step, rank=rank, processes=processes)
        while True:
            with precise():
                loss = next(part, None)
            if loss is None:
                return
            yield loss

    def text_of(row: dict) -> str:
        if writer is not None:
            for name, value in {**row, "seconds": run.elapsed}.items():
                writer.add_scalar(name, value, row["step"])
            writer.flush()
        names = ("v2m_motion", "i2vm_motion", "i2vm_visual", "i2v_visual", "shuffled_gap")
        return ", ".join(f"{name}={row[name]:.2f}" for name in names if name in row)

    def look() -> dict[str, float]:
        with precise():
            return examine(model, training, tokens.held_out)

    run.go(
        losses,
        text_of=text_of,
        progress=progress and rank == 0,
        on_step=on_step,
        examine=look,
    )
    return run.finish(
        "UniMo: " + " and ".join(training.tasks),
        keep_state=keep_state,
        skipped_clips=len(tokens.skipped),
        dataset=tokens.dataset,
        **tokens.clip_facts,
        **({} if system is None else {"init": system.as_start}),
    )


def open_board(out: Path, step: int) -> "SummaryWriter":
    """A TensorBoard writer for a run at `step`; later steps, of a run that was killed, are hidden.

    Raises:
        TrainingError: the package is not installed.
    """
    require_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(out / "tensorboard"), purge_step=step + 1)


def require_tensorboard() -> None:
    """Raise a TrainingError if TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise TrainingError("--tensorboard needs the package: pip install tensorboard")


def built_in_shots(config: UniMoConfig, *, progress: bool = True) -> Path:
    """Return the store of built-in shots for a model's clips, made if it is not there."""
    import os
    from dataclasses import replace

    from datasets.adapters.embedded_shots import DATASET
    from datasets.prepare.built_in import make_store

    return make_store(
        replace(DATASET, shot_frames=config.num_frames, image_size=config.width),
        num_frames=config.num_frames,
        video_size=config.width,
        workers=len(os.sched_getaffinity(0)),
        progress=progress,
    )
