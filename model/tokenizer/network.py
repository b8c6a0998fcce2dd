"""The motion tokenizer: one encoder that expands time, one codebook, four expert decoders.

Shape legend: B clips, T frames, k tokens per frame, C feature channels (`representation`),
D code dimension.
"""

import numpy as np
import torch
from torch import Tensor

from datasets.bodies.smplx import BODY_JOINTS, load_body
from datasets.motion import Motion
from model.kinematics import joints_from_rotations, sixd_to_matrix
from model.token_ids import require_ids
from model.tokenizer.config import TokenizerConfig
from model.tokenizer.layers import Encoder, ExpertDecoders, initialise
from model.tokenizer.loss import expert_losses
from model.tokenizer.quantizer import EMAQuantizer, GradientQuantizer
from model.tokenizer.representation import Representation
from model.training.saved_model import SavedModel

PLACE_SHARE = 0.1  # of the joints' weight: with no such term, depth is learned late and badly
_TOKENS_AT_ONCE = 2**15  # in encode_channels and decode_channels: bounds memory


class MotionTokenizer(SavedModel):
    """SMPL-X motion <-> discrete tokens, k a frame, frame-major: frame t owns ids[t k : (t + 1) k].

    The network has no notion of clip length: any T works, whatever window it was trained on.
    """

    config_class = TokenizerConfig

    def __init__(self, config: TokenizerConfig):
        super().__init__()
        self.config = config
        self.representation = Representation(config.rotation)
        self.encoder = Encoder(config, self.representation.num_channels)
        make_quantizer = EMAQuantizer if config.quantizer == "ema" else GradientQuantizer
        self.quantizer = make_quantizer(config)
        self.decoders = ExpertDecoders(config, self.representation.sizes)
        initialise(self)

    @property
    def num_parameters(self) -> int:
        """Trainable parameters; the codebook counts only where gradients train it."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    # --- motion in, tokens out, and back ---

    def encode(self, motion: Motion) -> np.ndarray:
        """Token ids (T k,) int64 of a motion.

        Raises:
            ValueError: not an SMPL-X motion.
        """
        return self.encode_channels(motion.to_channels()[None])[0]

    def decode(self, ids: np.ndarray, *, fps: float = 30.0, space: str = "camera") -> Motion:
        """Return the motion of T frames that T k ids stand for, with one (10,) shape.

        Raises:
            ValueError: ids that are no whole number of frames, or outside the codebook.
        """
        channels = self.decode_channels(np.asarray(ids)[None])[0]
        return Motion.from_channels(channels, fps=fps, space=space)

    @torch.no_grad()
    def encode_channels(self, channels: np.ndarray) -> np.ndarray:
        """Ids (N, T k) int64 of motion channels (N, T, 79) (`datasets.motion` order)."""
        was_training = self.training
        self.eval()
        ids = []
        for piece in self._pieces(channels, channels.shape[1]):
            prepared = self.representation.prepare(piece).to(self.device)
            features = self.encoder(self.representation(prepared))
            found = self.quantizer.nearest(features.transpose(1, 2).flatten(0, 1))
            ids.append(found.view(len(piece), -1).cpu().numpy())
        self.train(was_training)
        return np.concatenate(ids)

    @torch.no_grad()
    def decode_channels(self, ids: np.ndarray) -> np.ndarray:
        """Motion channels (N, T, 79) float32 of ids (N, T k); betas are averaged over T.

        Raises:
            ValueError: ids that are no whole number of frames, or outside the codebook.
        """
        ids = self._checked(np.asarray(ids))
        motions = []
        for piece in self._pieces(ids, ids.shape[1] // self.config.tokens_per_frame):
            codes = self.quantizer.lookup(torch.from_numpy(piece).to(self.device))
            motions.append(self.representation.inverse(self.decoders(codes)))
        return np.concatenate(motions)

    # --- training ---

    def fit_statistics(self, prepared: Tensor, window: int) -> None:
        """Set the normalisation from prepared training clips (N, T, C)."""
        self.representation.fit(prepared, window)

    def prepare(self, channels: np.ndarray) -> Tensor:
        """Motion channels (N, T, 79) to what training windows are cut from, (N, T, C)."""
        return self.representation.prepare(channels)

    def forward(
        self, batch: Tensor, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """Reconstruct normalised features.

        Args:
            batch: (B, C, T), made by `representation`.
            generator: source of code restarts in training mode; None: no restart.

        Returns:
            The reconstruction (B, C, T). The losses: one per expert, ``commitment`` (unweighted),
            ``codebook`` where gradients train it, ``joints`` (unweighted) where they have a weight,
            and the weighted sum ``total`` (equation 5 but for the joints).
            Statistics: ``codes_used``, the share of the codebook hit by this batch.
        """
        features = self.encoder(batch)
        flat = features.transpose(1, 2).flatten(0, 1)
        codes, ids, quantizer_losses = self.quantizer(flat, generator)
        output = self.decoders(codes.unflatten(0, (len(batch), -1)))
        losses = expert_losses(
            output.float(),
            batch,
            self.representation.sizes,
            velocity_weight=self.config.velocity_weight,
            acceleration_weight=self.config.acceleration_weight,
        )
        total = sum(losses.values()) + self.config.commitment * quantizer_losses["commitment"]
        if "codebook" in quantizer_losses:
            total = total + quantizer_losses["codebook"]
        if self.config.joint_weight:
            losses["joints"] = self._joint_loss(output.float(), batch)
            total = total + self.config.joint_weight * losses["joints"]
        hit = torch.zeros(self.config.codebook_size, device=batch.device).index_fill_(0, ids, 1.0)
        return output, {**losses, **quantizer_losses, "total": total}, {"codes_used": hit.mean()}

    def loss(
        self, windows: Tensor, progress: float, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the scalar to minimise, and named scalars to log.

        Args:
            windows: (B, T, C) cut from prepared clips.
            progress: share of the training that is done, in [0, 1).
            generator: CPU generator for whatever is random in this step.
        """
        restart = progress < self.config.restart_until
        batch = self.representation(windows)
        _, losses, stats = self(batch, generator=generator if restart else None)
        return losses.pop("total"), {**losses, **stats}

    # --- parts ---

    def _joint_loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the distance of the people of two features (B, C, T), metres per axis.

        The place of the pelvis pays `PLACE_SHARE` of what a joint about it pays. Both people have
        the target's shape: a wrong one is paid for by ``beta``.
        """
        stats, body = self.representation, load_body()
        both = torch.cat([output, target]).transpose(1, 2) * stats.std + stats.mean
        theta, betas, phi, _ = both.split(list(stats.sizes.values()), dim=-1)
        rest = body.rest_joints(betas[len(target) :].flatten(0, 1).detach().cpu().numpy())
        rest = torch.from_numpy(rest[:, :BODY_JOINTS]).to(both.device).repeat(2, 1, 1)
        turns = sixd_to_matrix(torch.cat([phi, theta], dim=-1).reshape(-1, BODY_JOINTS, 6))
        joints = joints_from_rotations(turns, rest, body.parents[:BODY_JOINTS].tolist())
        found, wanted = joints.chunk(2)
        tau = (output - target)[:, -3:].transpose(1, 2)
        place = torch.cat([tau[:, :1] * stats.first_std, tau[:, 1:] * stats.std[-3:]], dim=1)
        distance = (found - wanted).abs().mean()
        return distance + PLACE_SHARE * place.cumsum(dim=1).abs().mean()

    @property
    def codes(self) -> Tensor:
        """(B, code_dim) what the tokens stand for."""
        return self.quantizer.lookup(torch.arange(self.config.codebook_size, device=self.device))

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return self.representation.mean.device

    def _pieces(self, array: np.ndarray, frames: int) -> list[np.ndarray]:
        clips = max(1, _TOKENS_AT_ONCE // (frames * self.config.tokens_per_frame))
        return [array[start : start + clips] for start in range(0, len(array), clips)]

    def _checked(self, ids: np.ndarray) -> np.ndarray:
        k = self.config.tokens_per_frame
        if ids.ndim != 2 or ids.shape[1] == 0 or ids.shape[1] % k:
            raise ValueError(
                f"token ids have shape {ids.shape[-1:]}: expected a whole number of frames of "
                f"{k} tokens each"
            )
        require_ids("token ids", ids, self.config.codebook_size)
        return ids.astype(np.int64)
