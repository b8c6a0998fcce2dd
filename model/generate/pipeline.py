"""Video and motion in, video and motion out: codec, motion tokenizer and transformer together."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from datasets import adapters
from model import assets
from model.generate.completion import SAMPLING, Completion, Sampling, checked_size
from model.sequence import VIDEO_ALONE, Schedule
from model.system import TrainedSystem
from model.token_store import token_identity
from model.tokenizer import MotionTokenizer
from model.training.memory import require_memory
from model.training.sidecar import CheckpointError, sidecar_path
from model.transformer import UniMo, UniMoConfig
from model.transformer.cost import generation_bytes
from model.transformer.train.steps import schedules
from model.video_tokens.choose import open_codec
from model.video_tokens.codec import VideoCodec

FPS = 30.0  # of checkpoints that do not say the rate of their clips


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
    sampling: Sampling = SAMPLING
    note: str = ""
    fps: float = FPS
    space: Literal["camera", "world"] = "camera"

    @classmethod
    def load(
        cls,
        system: TrainedSystem,
        *,
        sampling: Sampling = SAMPLING,
        device: str = "cpu",
    ) -> "Pipeline":
        """Return a trained system, ready to run.

        Raises:
            CheckpointError: a file that cannot be read, or parts not trained together.
            TrainingError: it does not fit the memory that is free.
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
        _require_room(system, device)
        model = UniMo.load(system.weights)
        if device.startswith("cuda"):
            model = model.bfloat16()  # a step reads every weight: half the bytes, half the time
        model = model.to(device)
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
        return cls(model, codec, tokenizer, sampling, "; ".join(notes), float(fps), space)

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
        config = self.model.config
        visual = self.codec.encode(checked_size(frames, config, config.num_frames))
        motion = self.v2m_tokens(visual, seeds, progress=progress)
        return self.tokenizer.decode_channels(motion)

    def v2m_tokens(
        self, visual: np.ndarray, seeds: Sequence[int], *, progress: bool = False
    ) -> np.ndarray:
        """Motion tokens (N, T k) of visual tokens (N, t, h, w); as `v2m`."""
        return self._complete("v2m", visual, seeds, progress)[1]

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
        visual, motion = self.i2vm_tokens(self._first(images), seeds, progress=progress)
        return visual, self.tokenizer.decode_channels(motion)

    def i2vm_tokens(
        self, first: np.ndarray, seeds: Sequence[int], *, progress: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Visual (N, t, h, w) and motion tokens (N, T k) after first latent frames (N, 1, h, w)."""
        return self._complete("i2vm", first, seeds, progress)

    def i2v(
        self, images: np.ndarray, seeds: Sequence[int], *, progress: bool = False
    ) -> np.ndarray:
        """Visual tokens (N, t, h, w) of videos alone, of a model trained on them (the baseline).

        Arguments and errors as for `i2vm`.
        """
        return self._complete(VIDEO_ALONE, self._first(images), seeds, progress)[0]

    def _complete(
        self, task: str, visual: np.ndarray, seeds: Sequence[int], progress: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        return self._completion.complete(self.schedules[task], visual, seeds, progress=progress)

    @functools.cached_property
    def _completion(self) -> Completion:
        return Completion(self.model, self.sampling)

    def _first(self, images: np.ndarray) -> np.ndarray:
        """First latent frames (N, 1, h, w) of images (N, H, W, 3)."""
        return self.codec.encode(checked_size(np.asarray(images)[:, None], self.model.config, 1))


def _require_room(system: TrainedSystem, device: str) -> None:
    """Refuse a system of which not even one clip fits.

    Raises:
        CheckpointError: a configuration out of range.
        TrainingError: it does not fit; the message says what is needed and what is free.
    """
    try:
        config = UniMoConfig.from_dict(dict(system.config))
    except ValueError as error:
        raise CheckpointError(f"{sidecar_path(system.weights)}: {error}") from error
    number = 2 if device.startswith("cuda") else 4
    needed = max(
        generation_bytes(config, one, clips=1, weight=number, number=number)
        for one in schedules(config).values()
    )
    require_memory(device, needed, f"the weights of {system.weights} and one clip")


def _is_built_in(dataset: object) -> bool:
    return dataset in adapters.names() and not adapters.get(dataset).needs_root
