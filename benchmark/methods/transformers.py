"""The transformers that fill rows: what they train, their training, and loading them.

What a transformer reads and writes are tokens of a video codec and a motion tokenizer, whose files
lie beside its weights (`model.system`).
"""

import contextlib
import dataclasses
import functools
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.api.clips import Clips, Data
from benchmark.api.errors import Unavailable, UserError
from benchmark.api.method import Progress
from benchmark.api.profile import Profile
from datasets.tools.files import sha256_of
from model.system import TokenizerFiles, TrainedSystem
from model.video_tokens.cosmos.files import CosmosMissing, cosmos_file, cosmos_tokenizer

if TYPE_CHECKING:  # torch is not needed to plan
    import numpy as np

    from model.generate.pipeline import Pipeline
    from model.video_tokens.codec import VideoCodec

_TRAINED = "trained"  # the start of a training that goes on from a trained system


def training_spec(
    profile: Profile,
    *,
    tasks: Sequence[str],
    unified: bool = False,
    fine_tuned: bool = False,
    seed: int,
) -> dict:
    """Return all that a training depends on besides the clips and what it builds on.

    Raises:
        Unavailable: weights of Cosmos that the profile starts from are missing.
    """
    from model import assets

    model = dataclasses.replace(profile.unimo, unified=unified)
    training = profile.fine_tuning if fine_tuned else profile.unimo_training
    training = dataclasses.replace(training, tasks=tuple(tasks), seed=seed)
    found = {"model": model.to_dict(), "training": training.to_dict()}
    if fine_tuned:
        return {**found, "start": _TRAINED}
    if profile.codec == "built-in":
        tokens = {"codec": sha256_of(assets.CODEC), "tokenizer": sha256_of(assets.TOKENIZER)}
        return {**found, **tokens, "start": "random"}
    with cosmos_there():
        folder, weights = cosmos_tokenizer(), cosmos_file()
    codec = [sha256_of(folder / name) for name in ("encoder.jit", "decoder.jit")]
    return {**found, "codec": codec, "start": f"cosmos {sha256_of(weights)}"}


def require_room(spec: Mapping, out: Path, *, device: str) -> None:
    """Check that a training fits; see `benchmark.api.method.Method.require_room`."""
    from model.training.config import TrainingError
    from model.transformer import UniMoConfig
    from model.transformer.train import memory
    from model.transformer.train.config import ARTrainingConfig

    if "training" not in spec:  # a released model, which is not trained
        return
    config = UniMoConfig.from_dict(spec["model"])
    training = ARTrainingConfig.from_dict(spec["training"])
    try:
        memory.require_room(config, training, out, device)
    except TrainingError as error:
        raise UserError(str(error)) from error


def train(
    spec: Mapping,
    data: Data,
    out: Path,
    *,
    device: str,
    progress: Progress,
    base: Path | None = None,
) -> Path:
    """Train what `training_spec` says; see `benchmark.api.method.Method.train`."""
    import torch

    from model.tokenizer import MotionTokenizer
    from model.transformer import UniMo, UniMoConfig, cosmos_weights
    from model.transformer.train.config import ARTrainingConfig
    from model.transformer.train.run import train as train_transformer
    from model.transformer.train.token_set import Tokens
    from model.video_tokens.choose import open_codec

    release()  # a GPU may not hold two of them
    training = ARTrainingConfig.from_dict(spec["training"])
    config = UniMoConfig.from_dict(spec["model"])
    require_room(spec, out, device=device)
    tuned = spec["start"] == _TRAINED and base is not None
    system = TrainedSystem.open(base) if tuned else None
    files = system.files if system else _tokenizer_files(base)
    codec = open_codec(files.codec, device=device)
    tokenizer = MotionTokenizer.load(files.tokenizer).to(device)
    progress("tokens", 0, 1)
    tokens = Tokens.of(
        data.training_store(), codec, tokenizer, mirror=training.mirror, progress=False
    )
    torch.manual_seed(training.seed)
    model = UniMo.load(system.weights) if system else UniMo(config)
    if spec["start"].startswith("cosmos"):
        cosmos_weights.load(model, cosmos_weights.read(cosmos_file()))
    return train_transformer(
        model,
        training,
        tokens,
        out,
        device=device,
        start=spec["start"],
        system=system,
        files=files,
        progress=False,
        on_step=lambda step, losses: progress(f"train {losses}", step, training.steps),
    )


def _tokenizer_files(base: Path | None) -> TokenizerFiles:
    """The makers of a training's tokens: the shipped set, or Cosmos's codec with a tokenizer."""
    from model import assets

    if base is None:
        return TokenizerFiles(codec=str(assets.CODEC), tokenizer=assets.TOKENIZER)
    return TokenizerFiles(codec=str(cosmos_tokenizer()), tokenizer=base)


def pixels(profile: Profile) -> dict[str, str]:
    """Return the identity of the diffusion decoder, if the profile decodes videos with it.

    Raises:
        Unavailable: it is not installed.
    """
    from datasets.tools.isolated import ToolMissing
    from model.training.sidecar import CheckpointError
    from model.video_tokens.cosmos.diffusion_decoder import DiffusionDecoder

    if profile.codec == "built-in" or profile.decoder == "codec":
        return {}
    try:
        return {"decoder": profile.decoder, **DiffusionDecoder().identity()}
    except (ToolMissing, CheckpointError) as error:
        raise Unavailable(f"{error}; --decoder dv takes the tokenizer's own decoder") from error


def decoded(
    codec: "VideoCodec",
    visual: "np.ndarray",
    ids: Sequence[str],
    pixels: Mapping[str, str] | None,
    *,
    device: str,
) -> "tuple[Iterator[np.ndarray], dict[str, str]]":
    """Return the videos (T, H, W, 3) uint8 of N clips, made one by one, and why some have none.

    The latter, clip id -> reason, is complete once the videos are read: those at which the
    diffusion decoder crashed. The video of such a clip is black.

    Args:
        codec: of the tokens.
        visual: (N, t, h, w) visual tokens.
        ids: of the N clips.
        pixels: see `pixels`; None for the codec's own decoder. The diffusion decoder is kept until
            `release`, as its start takes minutes.
        device: of the diffusion decoder.
    """
    crashed: dict[str, str] = {}

    def videos() -> "Iterator[np.ndarray]":
        import numpy as np

        from model.video_tokens.codec import SPATIAL, num_frames
        from model.video_tokens.cosmos.diffusion_decoder import DecodeError

        decode = _diffusion(device) if pixels else codec.decode
        for name, tokens in zip(ids, visual, strict=True):
            try:
                yield decode(tokens)
            except DecodeError as error:
                crashed[name] = str(error)
                t, h, w = tokens.shape
                yield np.zeros((num_frames(t), SPATIAL * h, SPATIAL * w, 3), np.uint8)

    return videos(), crashed


_kept = contextlib.ExitStack()


@functools.lru_cache(maxsize=1)
def _diffusion(device: str) -> "Callable[[np.ndarray], np.ndarray]":
    from model.video_tokens.cosmos.diffusion_decoder import DiffusionDecoder

    return _kept.enter_context(DiffusionDecoder().start(device)).decode


def release() -> None:
    """Free the model and the decoder that are kept."""
    _loaded.cache_clear()
    _diffusion.cache_clear()
    _kept.close()


def load(weights: Path, device: str) -> "Pipeline":
    """Return a trained transformer with its codec and its tokenizer, see `model.system`.

    The last one is kept: at the paper's size loading and compiling take minutes.

    Raises:
        CheckpointError: a file that cannot be read, or parts that were not trained together.
        Unavailable: Cosmos's codec is needed and not here.
    """
    with cosmos_there():
        system = TrainedSystem.open(weights)
    parts = (system.weights, system.tokenizer, Path(system.codec))
    version = tuple(sha256_of(file) for file in parts if file.is_file())
    return _loaded(weights, version, device)


@functools.lru_cache(maxsize=1)
def _loaded(weights: Path, version: tuple[str, ...], device: str) -> "Pipeline":
    from model.generate.pipeline import Pipeline

    return Pipeline.load(TrainedSystem.open(weights), device=device)


@contextlib.contextmanager
def cosmos_there() -> Iterator[None]:
    """Raise Unavailable where files of Cosmos are missing."""
    try:
        yield
    except CosmosMissing as error:
        raise Unavailable(str(error)) from error


def num_parameters(weights: Path) -> float:
    """Return the number of parameters of a checkpoint, from its header."""
    from safetensors import safe_open

    with safe_open(weights, framework="numpy") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    return float(sum(map(math.prod, shapes)))


def clip_seeds(ids: Sequence[str], seed: int) -> list[int]:
    """Return a seed for each clip, made of its name: its samples depend on no other clip."""
    digests = (hashlib.sha256(f"{seed} {name}".encode()).digest() for name in ids)
    return [int.from_bytes(digest[:7], "big") for digest in digests]


def videos(clips: Clips, indices: Sequence[int] | None = None) -> "Iterator[np.ndarray | str]":
    """Yield the pictures (T, H, W, 3) uint8 of each clip, or why they cannot be read.

    Videos come one by one: at the paper's size each is 51 MB.
    """
    from datasets.video.files import VideoError, read_video

    for path in clips.videos:
        try:
            yield read_video(path, indices)
        except VideoError as error:
            yield str(error)


def first_pictures(clips: Clips) -> "tuple[np.ndarray, dict[str, str]]":
    """Return the first picture of each clip, (N, H, W, 3) uint8, and clip id -> error.

    The picture of a clip with an error is black.

    Raises:
        ValueError: no video can be read.
    """
    import numpy as np

    found = list(videos(clips, [0]))
    failed = {name: one for name, one in zip(clips.ids, found, strict=True) if isinstance(one, str)}
    if len(failed) == len(found):
        raise ValueError(f"no video can be read, as {next(iter(failed.values()))}")
    black = np.zeros_like(next(one for one in found if not isinstance(one, str)))
    return np.concatenate([black if isinstance(one, str) else one for one in found]), failed
