"""The tokens that a transformer is trained on, and those that are held out of it."""

from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from datasets.store.reader import ClipStore
from model.token_store import TokenClips, join, token_identity, tokenise
from model.tokenizer import MotionTokenizer
from model.training.clip_facts import clip_facts
from model.training.config import TrainingError
from model.transformer.config import UniMoConfig
from model.transformer.train.held_out import split_held_out
from model.video_tokens.codec import VideoCodec

CACHE = Path("data", "tokens").absolute()  # below the working folder


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens that a transformer is trained on and examined with.

    Attributes:
        train: clips that are trained on.
        held_out: clips of the training split that are looked at only.
        codes: (M, c) what the motion tokens stand for.
        identity: JSON-ready; says what they are and who made them.
        dataset: name of the dataset of the clips; empty where they are of none, or of several.
        clip_facts: rate and space of the clips, see `model.training.clip_facts`.
    """

    train: TokenClips
    held_out: TokenClips
    codes: Tensor
    identity: dict
    dataset: str = ""
    clip_facts: dict = field(default_factory=dict)

    @property
    def skipped(self) -> dict[str, str]:
        """Training clips of the store that have no tokens -> why; see `tokenise`."""
        return dict(self.train.skipped)  # of all clips, before some were held out

    @classmethod
    def of(
        cls,
        store: ClipStore,
        codec: VideoCodec,
        tokenizer: MotionTokenizer,
        *,
        mirror: bool = False,
        cache: Path | None = None,
        progress: bool = True,
    ) -> "Tokens":
        """Tokens of a store's training clips, made once and kept.

        Args:
            store: clips with videos and motions.
            codec: makes the visual tokens.
            tokenizer: makes the motion tokens.
            mirror: train on the clips' mirror images, too, see `tokenise`.
            cache: folder for tokens; `CACHE` by default.
            progress: show progress on stderr.

        Raises:
            TrainingError: no training clips, or of too few recordings to hold one out.
            TokenStoreError, ValueError: clips that have no tokens.
        """
        ids = store.ids("train")
        if not ids:
            raise TrainingError(f"{store.path} has no clip in split 'train'")
        cache = cache or CACHE
        clips = tokenise(store, ids, codec, tokenizer, cache, progress=progress)
        train, held_out = split_held_out(clips)
        if not train.ids or not held_out.ids:
            raise TrainingError(
                f"the {len(clips.ids)} usable training clips of {store.path} are of too few "
                "recordings to hold one out: at least two are needed"
            )
        if mirror:
            images = tokenise(
                store, train.ids, codec, tokenizer, cache, mirrored=True, progress=progress
            )
            train = join(train, images)
        identity = {
            "clips": len(train.ids),
            "tokens_sha256": train.sha256,
            **token_identity(codec, tokenizer),
        }
        return cls(
            train,
            held_out,
            tokenizer.codes,
            identity,
            dataset=store.manifest.get("dataset", ""),
            clip_facts=clip_facts(store, list(clips.ids)),
        )

    def require_fitting(self, config: UniMoConfig) -> None:
        """Refuse tokens of other clips than the model's.

        Raises:
            TrainingError: another length, size or vocabulary.
        """
        visual, motion = self.train.visual, self.train.motion
        wanted = config.num_frames * config.tokens_per_frame
        if visual.shape[1:] != config.latent_shape or motion.shape[1] != wanted:
            raise TrainingError(
                f"the clips have {visual.shape[1:]} visual and {motion.shape[1]} motion tokens, "
                f"the model wants {config.latent_shape} and {wanted}: prepare clips of "
                f"{config.num_frames} frames (--frames) and {config.height} pixels (--size), with "
                f"a tokenizer of {config.tokens_per_frame} tokens a frame"
            )
        for clips in (self.train, self.held_out):
            for name, ids, size in (
                ("visual", clips.visual, config.visual_vocab),
                ("motion", clips.motion, config.motion_vocab),
            ):
                if ids.min() < 0 or ids.max() >= size:
                    raise TrainingError(
                        f"{name} tokens run from {ids.min()} to {ids.max()}, the model has rows "
                        f"for 0 to {size - 1}: train with the codec and the tokenizer it is made "
                        "for"
                    )
