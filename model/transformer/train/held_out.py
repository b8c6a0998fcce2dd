"""The clips that a training of the transformer is looked at with, and what is seen there."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from model.token_store import TokenClips
from model.transformer import UniMo
from model.transformer.train.config import ARTrainingConfig
from model.transformer.train.distributed import gathered, rank_and_processes
from model.transformer.train.steps import schedules

HELD_OUT = 128  # clips


def recordings_of(ids: Sequence[str]) -> np.ndarray:
    """Return the recording (N,) of each clip: its neighbours in time have the same."""
    return np.array([name.rsplit("/", 3)[0] for name in ids])


def split_held_out(
    clips: TokenClips, *, most: int = HELD_OUT
) -> tuple[TokenClips, TokenClips | None]:
    """Training clips without and with the last few recordings, which `examine` looks at.

    About a tenth of the clips or `most`, whichever is less, and whole recordings, so that no
    clip's neighbours are trained on. None are held out of a single recording.
    """
    recordings = recordings_of(clips.ids)
    first = len(clips.ids) - max(1, min(most, len(clips.ids) // 10))
    held = np.isin(recordings, np.unique(recordings[first:]))
    if held.all():
        held = recordings == recordings[-1]
    if held.all():
        return clips, None
    return _select(clips, ~held), _select(clips, held)


def _select(clips: TokenClips, rows: np.ndarray) -> TokenClips:
    ids = tuple(name for name, kept in zip(clips.ids, rows, strict=True) if kept)
    return replace(clips, ids=ids, visual=clips.visual[rows], motion=clips.motion[rows])


def examine(model: UniMo, training: ARTrainingConfig, clips: TokenClips) -> dict[str, float]:
    """Cross-entropies of held-out clips, nats a token.

    ``shuffled_gap`` is by how much V2M's grows when the videos change places. A model that has not
    learned to look at the video has none, however often it guesses the next token: that can be
    read off the motion before it. It takes two clips.
    """
    was_training = model.training
    model.eval()
    found = {}
    for task in training.tasks:
        for name, value in _mean_losses(model, task, clips.visual, clips.motion, training).items():
            found[f"held_out_{task}_{name}"] = value
    if "v2m" in training.tasks and len(clips.ids) > 1:
        others = np.roll(clips.visual, len(clips.ids) // 2, axis=0)
        blind = _mean_losses(model, "v2m", others, clips.motion, training)["motion"]
        found["shuffled_gap"] = blind - found["held_out_v2m_motion"]
    model.train(was_training)
    return found


def _mean_losses(
    model: UniMo, task: str, visual: np.ndarray, motion: np.ndarray, training: ARTrainingConfig
) -> dict[str, float]:
    """Mean cross-entropies of a task's targets by modality, of those that it has.

    Several processes share the clips, and all get the same means.
    """
    device = next(model.parameters()).device
    schedule = schedules(model.config)[task]
    sums: dict[str, float] = {}
    rank, processes = rank_and_processes()
    starts = range(0, len(visual), training.clips_at_once)
    # All make equally many passes, as they share the weights: one without clips left repeats some.
    for number in range(rank, -(-len(starts) // processes) * processes, processes):
        start = starts[number % len(starts)]
        part = slice(start, start + training.clips_at_once)
        assembled = schedule.assemble(visual[part], motion[part, : schedule.num_motion])
        tokens = torch.from_numpy(assembled).to(device)
        with torch.no_grad():
            losses = model.losses(tokens, schedule)
        for name, values in losses.items():
            if values.numel() and number < len(starts):
                clip_means = values.float().mean(dim=1)
                sums[name] = sums.get(name, 0.0) + float(clip_means.sum())
    shares = gathered(sums)
    return {name: sum(own.get(name, 0.0) for own in shares) / len(visual) for name in shares[0]}
