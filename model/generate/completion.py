"""Sequences completed by a transformer, each with a seed of its own."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from model.sequence import Schedule
from model.transformer import UniMo, UniMoConfig
from model.transformer.decoding import Decoder
from model.transformer.sampling import Noise
from model.video_tokens.codec import checked_frames

CLIPS_ON_GPU = 8  # at the paper's size, a cache of 0.8 GB each
CLIPS_AT_ONCE = 64  # on the CPU; a step of one clip costs nearly as much as one of many


@dataclass(frozen=True)
class Sampling:
    """Settings of sampling (appendix A).

    Attributes:
        p: top-p.
        temperature: 0 takes the most likely token.
    """

    p: float = 0.8
    temperature: float = 1.0


SAMPLING = Sampling()  # the paper's, and Cosmos's own


@dataclass(frozen=True, eq=False)
class Completion:
    """A transformer that draws the targets of sequences.

    Attributes:
        model: on its device, in evaluation mode.
        sampling: how tokens are drawn.
    """

    model: UniMo
    sampling: Sampling

    def complete(
        self, schedule: Schedule, visual: np.ndarray, seeds: Sequence[int], *, progress: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Visual (N, t, h, w) and motion tokens (N, T k) of N clips, condition included.

        Args:
            schedule: of the task; motion is no condition of any.
            visual: (N, t, h, w) ids, or the first latent frames (N, 1, h, w) where the condition
                has no other.
            seeds: N, one a clip: its tokens depend on no other clip.
            progress: show progress on stderr.

        Raises:
            ValueError: not a seed for each clip, or ids of another shape.
        """
        if len(seeds) != len(visual):
            raise ValueError(f"{len(seeds)} seeds for {len(visual)} clips: each has one of its own")
        whole = np.zeros((len(visual), *schedule.latent_shape), np.int64)
        whole[:, : visual.shape[1]] = visual
        device = next(self.model.parameters()).device
        motion = np.zeros((len(visual), schedule.num_motion), np.int64)
        done = []
        at_once = CLIPS_ON_GPU if device.type == "cuda" else CLIPS_AT_ONCE
        starts = range(0, len(visual), at_once)
        total = len(starts) * (len(schedule) - schedule.prefix)
        bar = tqdm(total=total, desc=schedule.task, unit="token", disable=not progress, leave=False)
        with bar:
            for start in starts:
                part = slice(start, start + at_once)
                tokens = torch.from_numpy(schedule.assemble(whole[part], motion[part])).to(device)
                noise = Noise([int(seed) for seed in seeds[part]], device)
                targets = []
                for token in self._targets(tokens, schedule, noise):
                    targets.append(token)
                    bar.update()
                tokens[:, schedule.prefix :] = torch.stack(targets, dim=1)
                done.append(tokens.cpu().numpy())
        return schedule.take_apart(np.concatenate(done))

    def _targets(self, tokens: Tensor, schedule: Schedule, noise: Noise) -> Iterator[Tensor]:
        chosen = {"p": self.sampling.p, "temperature": self.sampling.temperature}
        if tokens.is_cuda:
            return self._decoder(schedule, len(tokens)).generate(tokens, noise, **chosen)
        return self.model.generate(tokens, schedule, noise, **chosen)

    @functools.cached_property
    def _decoder(self) -> Callable[[Schedule, int], Decoder]:
        """Compiled decoders of a schedule and a number of clips: compiling one takes a minute.

        They are kept with this object and not beyond it, as each holds the model on its GPU.
        """
        return functools.lru_cache(maxsize=2)(functools.partial(Decoder, self.model))


def checked_size(frames: np.ndarray, config: UniMoConfig, count: int) -> np.ndarray:
    """(N, count, H, W, 3) uint8, of a model's size.

    Raises:
        ValueError: other numbers of frames, or pictures of another size.
    """
    frames = checked_frames(frames)
    wanted = (count, config.height, config.width)
    if frames.shape[1:4] != wanted:
        raise ValueError(
            f"pictures have frames x height x width {frames.shape[1:4]}, this model wants {wanted}"
        )
    return frames
