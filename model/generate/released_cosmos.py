"""Cosmos's autoregressive model as it is released: videos from pictures, with nothing trained.

The conditioning and the sampling are those of ``autoregressive/inference/base.py`` of
nvidia-cosmos/cosmos-predict1 (4ed35faa): the picture is repeated to a whole video, which is
tokenised, and the tokens of its first latent frame are continued one by one (top-p 0.8,
temperature 1), without special tokens and with plain causal attention.

What differs: there a video is 33 frames of 640 x 1024 pixels, here it has the size of UniMo's
clips. Latent frames after the fifth, four of them at 65 frames, are later than any of its training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from model.generate.completion import SAMPLING, Completion, checked_size
from model.sequence import released_i2v
from model.transformer import UniMo, UniMoConfig, cosmos_weights
from model.video_tokens.codec import VideoCodec


@dataclass(frozen=True, eq=False)
class ReleasedCosmos:
    """The model and its codec.

    Attributes:
        completion: the model, and how its tokens are drawn.
        codec: DV8x16x16.
    """

    completion: Completion
    codec: VideoCodec

    @classmethod
    def load(
        cls, file: Path, codec: VideoCodec, *, config: UniMoConfig, device: str = "cpu"
    ) -> "ReleasedCosmos":
        """Return the model of an official ``model.pt``; on a GPU in bf16, as it is released.

        Args:
            file: of Cosmos-1.0-Autoregressive-4B, also named Cosmos-Predict1-4B.
            codec: of the tokens it was trained on.
            config: sizes of the transformer and of the clips; what UniMo adds does not matter.
            device: ``cpu``, ``cuda`` or ``cuda:N``.

        Raises:
            CheckpointError: not such a file, or of another size: Cosmos's larger models and those
                that take a text have other tensors.
        """
        state = cosmos_weights.read(file)
        with torch.device("meta"):
            model = UniMo(config.of_cosmos())
        dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
        model = model.to(dtype).to_empty(device=device).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()
        cosmos_weights.load(model, state)
        return cls(Completion(model, SAMPLING), codec)

    def i2v(
        self, images: np.ndarray, seeds: Sequence[int], *, progress: bool = False
    ) -> np.ndarray:
        """Visual tokens (N, t, h, w) of videos that begin with images (N, H, W, 3) uint8.

        Args:
            images: of the clips' size.
            seeds: N, one a clip: its video depends on no other clip.
            progress: show progress on stderr.

        Raises:
            ValueError: images of another size, or not a seed for each.
        """
        config = self.completion.model.config
        pictures = checked_size(np.asarray(images)[:, None], config, 1)
        first = [
            self.codec.encode(np.repeat(picture, config.num_frames, axis=0))[:1]
            for picture in pictures
        ]
        schedule = released_i2v(config.num_frames, config.height, config.width)
        return self.completion.complete(schedule, np.stack(first), seeds, progress=progress)[0]
