"""The tokens that a transformer is trained on, and those that are held out of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from datasets.store.joined import JoinedStore, stores_of
from datasets.store.reader import ClipStore
from model.token_store import TokenClips, join, token_identity, tokenise
from model.tokenizer import MotionTokenizer
from model.training.clip_facts import clip_facts
from model.training.config import TrainingError
from model.transformer.config import UniMoConfig
from model.transformer.train.held_out import HELD_OUT, recordings_of, split_held_out
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
        clip_facts: rate, space and datasets of the clips, see `model.training.clip_facts`.
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
        store: ClipStore | JoinedStore,
        codec: VideoCodec,
        tokenizer: MotionTokenizer,
        *,
        mirror: bool = False,
        cache: Path | None = None,
        progress: bool = True,
    ) -> "Tokens":
        """Tokens of a store's training clips, made once and kept.

        Args:
            store: clips with videos and motions; of several stores, each has tokens of its own.
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
            raise TrainingError(f"{store} has no clip in split 'train'")
        _require_recordings(store, ids)  # before hours of work

        def made(one: ClipStore, names: Sequence[str], mirrored: bool = False) -> TokenClips:
            where = cache or CACHE
            return tokenise(
                one, names, codec, tokenizer, where, mirrored=mirrored, progress=progress
            )

        stores = [one for one in stores_of(store) if one.ids("train")]
        parts = [made(one, one.ids("train")) for one in stores]
        used = [name for part in parts for name in part.ids]
        _require_recordings(store, used, "usable training")
        # Every store has its share of what is held out: the last one may be small.
        halves = [
            split_held_out(part, most=-(-HELD_OUT * len(part.ids) // len(used))) for part in parts
        ]
        if mirror:
            images = [
                made(one, kept.ids, mirrored=True)
                for one, (kept, _) in zip(stores, halves, strict=True)
            ]
        train = join([kept for kept, _ in halves])
        held_out = join([held for _, held in halves if held is not None])
        if mirror:
            train = join([train, join(images)])
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
            dataset=store.dataset,
            clip_facts=clip_facts(store, used),
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


def require_clips(store: ClipStore | JoinedStore, config: UniMoConfig) -> None:
    """Refuse clips of another length or size than the model's, before hours of making tokens.

    Raises:
        TrainingError: the message names both.
    """
    training = set(store.ids("train"))
    columns = (store.index.column(name).to_pylist() for name in ("clip_id", "video_size"))
    sizes = {size for name, size in zip(*columns, strict=True) if name in training and size}
    lengths_differ = store.num_frames != config.num_frames
    if lengths_differ or (sizes and config.width not in sizes):
        found = " and ".join(map(str, sorted(sizes)))
        raise TrainingError(
            f"{store} holds clips of {store.num_frames} frames of {found} pixels, the model takes "
            f"{config.num_frames} of {config.width}: prepare it again with --frames "
            f"{config.num_frames} --size {config.width}, or choose another --config"
        )


def _require_recordings(
    store: ClipStore | JoinedStore, ids: Sequence[str], kind: str = "training"
) -> None:
    """Raise a TrainingError unless the clips of one store are of two recordings or more."""
    of_store = [{*recordings_of(one.ids("train"))} for one in stores_of(store)]
    found = {*recordings_of(ids)}
    if not any(len(found & own) > 1 for own in of_store):
        raise TrainingError(
            f"the {len(ids)} {kind} clips of {store} are of too few recordings to hold "
            "one out: at least two are needed"
        )
