"""Video and motion in, video and motion out: codec, motion tokenizer and transformer together."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from datasets import adapters
from model import assets
from model.sequence import VIDEO_ALONE, Schedule
from model.system import TrainedSystem
from model.token_store import token_identity
from model.tokenizer import MotionTokenizer
from model.training.sidecar import CheckpointError
from model.transformer import UniMo
from model.transformer.decoding import Decoder
from model.transformer.sampling import Noise
from model.transformer.train.steps import schedules
from model.video_tokens.choose import open_codec
from model.video_tokens.codec import VideoCodec, checked_frames

FPS = 30.0  # of checkpoints that do not say the rate of their clips
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


@dataclass(frozen=True, eq=False)
class Pipeline:
    """The parts of one UniMo, which must have been trained together.

    Attributes:
        model: on its device, in evaluation mode.
        codec: video <-> visual tokens.
        tokenizer: motion <-> motion tokens.
        sampling: how tokens are drawn.
        note: a warning for users about the training data; empty where there is none.
        fps: frames per second of the clips it was trained on.
        space: frame of reference of its motion, ``camera`` or ``world``.
    """

    model: UniMo
    codec: VideoCodec
    tokenizer: MotionTokenizer
    sampling: Sampling = Sampling()
    note: str = ""
    fps: float = FPS
    space: Literal["camera", "world"] = "camera"

    @classmethod
    def load(
        cls,
        system: TrainedSystem,
        *,
        sampling: Sampling | None = None,
        device: str = "cpu",
    ) -> "Pipeline":
        """Return a trained system, ready to run.

        Raises:
            CheckpointError: a file that cannot be read, or parts not trained together.
        """
        codec = open_codec(system.codec, device=device)
        tokenizer = MotionTokenizer.load(system.tokenizer).to(device)
        trained = system.facts
        for name, wanted in token_identity(codec, tokenizer).items():
            if trained.get(name) != wanted:
                raise CheckpointError(
                    f"{system.weights} was trained on other tokens ({name} differs): give the "
                    "codec and the tokenizer of its training (--codec and --tokenizer, or files "
                    "named codec.safetensors and tokenizer.safetensors beside it)"
                )
        model = UniMo.load(system.weights).to(device)
        if device == "cuda":
            model = model.bfloat16()  # a step reads every weight: half the bytes, half the time
        notes = []
        if trained.get("made_by") == assets.MADE_BY or _is_built_in(trained.get("dataset")):
            notes.append(
                "this model has only seen rendered people of the built-in data, in pictures of "
                f"{model.config.width} pixels: what it makes of real pictures is often wrong"
            )
        fps, space = trained.get("fps"), trained.get("space", "camera")
        if not isinstance(fps, (int, float)) or not 0 < fps <= 1000:
            fps = FPS
            if trained.get("made_by") != assets.MADE_BY:
                notes.append(
                    f"the checkpoint does not say the rate of its clips: {FPS:g} frames per second "
                    "are assumed"
                )
        if space not in ("camera", "world"):
            raise CheckpointError(
                f"{system.weights} was trained on motions in {space} space: not in one"
            )
        return cls(
            model, codec, tokenizer, sampling or Sampling(), "; ".join(notes), float(fps), space
        )

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The sequences of the tasks."""
        return schedules(self.model.config)

    def v2m(
        self, frames: np.ndarray, seeds: Sequence[int], *, progress: bool = False
    ) -> np.ndarray:
        """Motion channels (N, T, 79) in camera space, of videos (N, T, H, W, 3) uint8.

        Args:
            frames: of the model's length and size.
            seeds: N, one a clip: its motion depends on no other clip.
            progress: show progress on stderr.

        Raises:
            ValueError: videos of another length or size, or not a seed for each.
        """
        visual = self.codec.encode(self._checked(frames, self.model.config.num_frames))
        motion = self.v2m_tokens(visual, seeds, progress=progress)
        return self.tokenizer.decode_channels(motion)

    def v2m_tokens(
        self, visual: np.ndarray, seeds: Sequence[int], *, progress: bool = False
    ) -> np.ndarray:
        """Motion tokens (N, T k) of visual tokens (N, t, h, w); as `v2m`."""
        return self._generate("v2m", visual, seeds, progress)[1]

    def i2vm(
        self, images: np.ndarray, seeds: Sequence[int], *, progress: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Videos that begin with images (N, H, W, 3) uint8, and their motion.

        Returns:
            Visual tokens (N, t, h, w), which `codec` decodes to pictures, and motion channels (N,
            T, 79) in camera space.

        Raises:
            ValueError: images of another size, or not a seed for each.
        """
        images = self._checked(np.asarray(images)[:, None], 1)
        visual, motion = self.i2vm_tokens(self.codec.encode(images), seeds, progress=progress)
        return visual, self.tokenizer.decode_channels(motion)

    def i2vm_tokens(
        self, first: np.ndarray, seeds: Sequence[int], *, progress: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Visual (N, t, h, w) and motion tokens (N, T k) after first latent frames (N, 1, h, w)."""
        return self._generate("i2vm", self._begun(first), seeds, progress)

    def i2v(
        self, images: np.ndarray, seeds: Sequence[int], *, progress: bool = False
    ) -> np.ndarray:
        """Visual tokens (N, t, h, w) of videos alone, of a model trained on them (the baseline).

        Arguments and errors as for `i2vm`.
        """
        images = self._checked(np.asarray(images)[:, None], 1)
        begun = self._begun(self.codec.encode(images))
        return self._generate(VIDEO_ALONE, begun, seeds, progress)[0]

    def _begun(self, first: np.ndarray) -> np.ndarray:
        """Visual tokens (N, t, h, w) with the first latent frames (N, 1, h, w), else zeros."""
        visual = np.zeros((len(first), *self.model.config.latent_shape), np.int64)
        visual[:, :1] = first
        return visual

    def _generate(
        self, task: str, visual: np.ndarray, seeds: Sequence[int], progress: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        if len(seeds) != len(visual):
            raise ValueError(f"{len(seeds)} seeds for {len(visual)} clips: each has one of its own")
        schedule = self.schedules[task]
        device = next(self.model.parameters()).device
        motion = np.zeros((len(visual), schedule.num_motion), np.int64)
        done = []
        at_once = CLIPS_ON_GPU if device.type == "cuda" else CLIPS_AT_ONCE
        starts = range(0, len(visual), at_once)
        total = len(starts) * (len(schedule) - schedule.prefix)
        with tqdm(total=total, desc=task, unit="token", disable=not progress, leave=False) as bar:
            for start in starts:
                part = slice(start, start + at_once)
                tokens = torch.from_numpy(schedule.assemble(visual[part], motion[part])).to(device)
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

        They are kept with the pipeline and not beyond it, as each holds the model on its GPU.
        """
        return functools.lru_cache(maxsize=2)(functools.partial(Decoder, self.model))

    def _checked(self, frames: np.ndarray, count: int) -> np.ndarray:
        config = self.model.config
        frames = checked_frames(frames)
        wanted = (count, config.height, config.width)
        if frames.shape[1:4] != wanted:
            raise ValueError(
                f"pictures have frames x height x width {frames.shape[1:4]}, this model wants "
                f"{wanted}"
            )
        return frames


def _is_built_in(dataset: object) -> bool:
    return dataset in adapters.names() and not adapters.get(dataset).needs_root
