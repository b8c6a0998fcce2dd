"""A UniMo that was hardly trained, its motion tokenizer, and a store of built-in shots."""

from pathlib import Path

import torch

from datasets.adapters.embedded_shots import EmbeddedShots
from datasets.prepare.prepare_store import prepare
from model.token_store import token_identity
from model.tokenizer import MotionTokenizer, TokenizerConfig
from model.transformer import UniMo, UniMoConfig
from model.video_tokens.codec import VideoCodec
from model.video_tokens.fitted.linear import LinearCodec

CONFIG = UniMoConfig.embedded(n_layers=1, dim=32, n_heads=2, n_kv_heads=2, ffn_hidden_size=32)


def make_store(folder: Path) -> Path:
    """Shots of two training sequences and a test one: 14 and 7 clips of 17 frames, 64 pixels."""
    prepare(EmbeddedShots(2, 1), None, folder, num_frames=17, video_size=64, progress=False)
    return folder


def make_tokenizer(folder: Path) -> Path:
    """A tokenizer with random weights that fits `CONFIG`."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    tokenizer = MotionTokenizer(TokenizerConfig.short(width=8))
    tokenizer.quantizer.codebook.normal_()
    return tokenizer.save(folder / "tokenizer.safetensors")


def fresh_model(**changes) -> UniMo:
    """A model of `CONFIG` with changes, the same every time."""
    torch.manual_seed(0)
    return UniMo(UniMoConfig.from_dict({**CONFIG.to_dict(), **changes}))


def make_unimo(folder: Path, tokenizer: Path, codec: VideoCodec | None = None) -> Path:
    """A model of `CONFIG` with random weights, as if trained on a codec's tokens (the linear's)."""
    identity = token_identity(codec or LinearCodec(), MotionTokenizer.load(tokenizer))
    training = {**identity, "fps": 30.0, "space": "camera"}
    return fresh_model().save(folder / "unimo.safetensors", extra={"training": training})
