"""SOLAMI's motion tokenizer, the baseline of the paper's table 1, written from its description.

A VQ-VAE over body features (`solami_features`): convolutions that halve the time axis twice, one
codebook, and their mirror image; a token stands for four frames. Only the body part: hands stay
flat and the pose between two people does not exist here. SOLAMI is Jiang et al., CVPR 2025,
github.com/AlanJiang98/SOLAMI; its network is MotionGPT's and T2M-GPT's.

Parameter names are those of SOLAMI's files, so that its authors' weights load (`solami_released`).

Shape legend: B clips, L frames of features, w width, D code dimension.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.token_ids import require_ids
from model.tokenizer.quantizer import EMAQuantizer
from model.tokenizer.representation import STD_FLOOR
from model.tokenizer.solami.config import SolamiConfig
from model.tokenizer.solami.features import NUM_FEATURES, Placement, extract, restore
from model.training.saved_model import SavedModel

FRAMES_PER_TOKEN = 4
_VELOCITY_FEATURES = 75  # root and the first 11 joints: what SOLAMI's "velocity" loss looks at
_CLIPS_AT_ONCE = 64


class Layers(nn.Module):
    """A sequence of layers, kept under the name ``model`` as in SOLAMI's files."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layers in order."""
        return self.model(x)


class ResidualUnit(nn.Module):
    """x + conv1(relu(conv3(relu(x)))), dilated: (B, w, L) -> (B, w, L)."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.conv1 = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.conv2 = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`."""
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))


def _resnet(config: SolamiConfig) -> Layers:
    """Units with falling dilation, in the encoder as in the decoder."""
    return Layers(*(ResidualUnit(config.width, 3**i) for i in reversed(range(config.depth))))


def _encoder(config: SolamiConfig) -> Layers:
    """(B, 135, L) -> (B, D, L / 4)."""
    w = config.width
    halve = [nn.Sequential(nn.Conv1d(w, w, 4, 2, padding=1), _resnet(config)) for _ in range(2)]
    return Layers(
        nn.Conv1d(NUM_FEATURES, w, 3, padding=1),
        nn.ReLU(),
        *halve,
        nn.Conv1d(w, config.code_dim, 3, padding=1),
    )


def _decoder(config: SolamiConfig) -> Layers:
    """(B, D, L / 4) -> (B, 135, L)."""
    w = config.width
    double = [
        nn.Sequential(_resnet(config), nn.Upsample(scale_factor=2), nn.Conv1d(w, w, 3, padding=1))
        for _ in range(2)
    ]
    return Layers(
        nn.Conv1d(config.code_dim, w, 3, padding=1),
        nn.ReLU(),
        *double,
        nn.Conv1d(w, w, 3, padding=1),
        nn.ReLU(),
        nn.Conv1d(w, NUM_FEATURES, 3, padding=1),
    )


class SolamiTokenizer(SavedModel):
    """SMPL-X motion <-> one token for every four frames (the last for what is left of the clip).

    Trained by `model.tokenizer.train.train`, like UniMo's tokenizer.
    """

    config_class = SolamiConfig

    def __init__(self, config: SolamiConfig):
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(NUM_FEATURES))
        self.register_buffer("std", torch.ones(NUM_FEATURES))
        self.encoder = _encoder(config)
        self.quantizer = EMAQuantizer(config)
        self.decoder = _decoder(config)

    @property
    def num_parameters(self) -> int:
        """Trainable parameters; the codebook, which no gradient trains, does not count."""
        return sum(p.numel() for p in self.parameters())

    # --- motion in, tokens out, and back ---

    def reconstruct(self, channels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tokens (N, ceil(T / 4)) and reconstruction (N, T, 79) of motion channels (N, T, 79).

        Shape, place and direction in frame 0 come from `channels` itself, as SOLAMI does not
        tokenise them (`solami_features.Placement`): a favour that a report must mention.
        """
        features, placement = extract(channels)
        ids = self._encode(features)
        return ids, self.decode_channels(ids, placement)

    def encode_channels(self, channels: np.ndarray) -> np.ndarray:
        """Ids (N, ceil(T / 4)) int64 of motion channels (N, T, 79) (`datasets.motion` order)."""
        return self._encode(extract(channels)[0])

    @torch.no_grad()
    def decode_channels(self, ids: np.ndarray, placement: Placement) -> np.ndarray:
        """Motion channels (N, T, 79) float32 of ids (N, ceil(T / 4)).

        Args:
            ids: token ids.
            placement: what they do not tell, of N clips of T frames.

        Raises:
            ValueError: ids that do not fit the placement, or outside the codebook.
        """
        ids = np.asarray(ids)
        clips, frames = placement.betas.shape[:2]
        tokens = -(-frames // FRAMES_PER_TOKEN)
        if ids.shape != (clips, tokens):
            raise ValueError(
                f"token ids have shape {ids.shape}: expected {tokens} for each of {clips} clips of "
                f"{frames} frames"
            )
        require_ids("token ids", ids, self.config.codebook_size)
        decoded = []
        for start in range(0, clips, _CLIPS_AT_ONCE):
            piece = torch.from_numpy(ids[start : start + _CLIPS_AT_ONCE].astype(np.int64))
            codes = self.quantizer.lookup(piece.to(self.mean.device))
            output = self.decoder(codes.transpose(1, 2)).transpose(1, 2)[:, :frames]
            decoded.append((output * self.std + self.mean).cpu().numpy())
        return restore(np.concatenate(decoded), placement)

    @torch.no_grad()
    def _encode(self, features: np.ndarray) -> np.ndarray:
        ids = []
        for start in range(0, len(features), _CLIPS_AT_ONCE):
            piece = torch.from_numpy(features[start : start + _CLIPS_AT_ONCE])
            encoded = self.encoder(self._normalise(piece.to(self.mean.device)))
            found = self.quantizer.nearest(encoded.transpose(1, 2).flatten(0, 1))
            ids.append(found.view(len(piece), -1).cpu().numpy())
        return np.concatenate(ids)

    def _normalise(self, features: Tensor) -> Tensor:
        """Features (B, T, 135) to network input (B, 135, L), L the next multiple of four.

        The last frame is repeated to fill up; whoever decodes crops.
        """
        normal = ((features - self.mean) / self.std).transpose(1, 2)
        return F.pad(normal, (0, -normal.shape[2] % FRAMES_PER_TOKEN), mode="replicate")

    # --- training, as of `MotionTokenizer` ---

    def prepare(self, channels: np.ndarray) -> Tensor:
        """Features (N, T, 135) of motion channels (N, T, 79).

        The canonical frame of reference is that of the clip, not of a training window, as in
        SOLAMI, which cuts windows from features.
        """
        return torch.from_numpy(extract(channels)[0])

    @torch.no_grad()
    def fit_statistics(self, prepared: Tensor, window: int) -> None:
        """Mean and standard deviation of each feature; the length of windows does not matter."""
        frames = prepared.double().flatten(0, 1)
        self.mean.copy_(frames.mean(dim=0))
        self.std.copy_(frames.std(dim=0, correction=0).clamp(min=STD_FLOOR))

    def loss(
        self, windows: Tensor, progress: float, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """SOLAMI's loss of windows (B, T, 135): features + 2 "velocity" + 0.1 commitment.

        Its "velocity" is no difference over time but the same smooth L1 once more on the features
        0..74 (root and the first 11 joints), which this follows.
        """
        target = self._normalise(windows)
        encoded = self.encoder(target)
        restart = progress < self.config.restart_until
        codes, ids, quantizer_losses = self.quantizer(
            encoded.transpose(1, 2).flatten(0, 1), generator if restart else None
        )
        output = self.decoder(codes.unflatten(0, (len(windows), -1)).transpose(1, 2)).float()
        losses = {
            "features": F.smooth_l1_loss(output, target),
            "velocity": F.smooth_l1_loss(
                output[:, :_VELOCITY_FEATURES], target[:, :_VELOCITY_FEATURES]
            ),
            **quantizer_losses,
        }
        total = (
            losses["features"]
            + self.config.velocity_weight * losses["velocity"]
            + self.config.commitment * losses["commitment"]
        )
        hit = torch.zeros(self.config.codebook_size, device=ids.device).index_fill_(0, ids, 1.0)
        return total, {**losses, "codes_used": hit.mean()}
