"""Decoders of visual tokens to pictures: the codec itself, or Cosmos's diffusion decoder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np

from model.video_tokens.codec import VideoCodec
from model.video_tokens.cosmos.diffusion_decoder import DiffusionDecoder

PixelDecoder = Literal["codec", "diffusion"]
DECODERS: tuple[str, ...] = PixelDecoder.__args__


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """A decoder that runs.

    Attributes:
        note: one line: what makes the pixels, for whoever looks at them.
        decode: as `VideoCodec.decode`: ids (t, h, w) to frames (T, H, W, 3) uint8. The diffusion
            decoder also raises `model.video_tokens.cosmos.diffusion_decoder.DecodeError`.
        identity: the decoder's part of cache keys: settings, and sha256 of its files.
    """

    note: str
    decode: Callable[[np.ndarray], np.ndarray]
    identity: Callable[[], dict[str, str]]


@contextmanager
def open_pixels(decoder: PixelDecoder, codec: VideoCodec, *, device: str) -> Iterator[Pixels]:
    """Start a decoder, once for all clips.

    To plan, without starting anything: `DiffusionDecoder.identity` and
    `model.video_tokens.cosmos.files.cosmos_predict1`.

    Args:
        decoder: ``codec``, the codec's own (of Cosmos: DV8x16x16's), or ``diffusion``, Cosmos's 7B
            diffusion decoder with its released settings, and CV8x8x8.
        codec: of the ids.
        device: of the diffusion decoder, ``cuda`` or ``cuda:N``.

    Raises:
        ValueError: as `check_decoder`.
        ToolMissing, CheckpointError, DecodeError: see `DiffusionDecoder.start`.
    """
    check_decoder(decoder, codec)
    if decoder == "codec":
        yield Pixels(note=codec.decoder, decode=codec.decode, identity=codec.identity)
        return
    settings = DiffusionDecoder()
    with settings.start(device) as session:
        yield Pixels(note=settings.decoder, decode=session.decode, identity=settings.identity)


def check_decoder(decoder: str, codec: VideoCodec) -> None:
    """Refuse a decoder that cannot read a codec's ids.

    Raises:
        ValueError: an unknown decoder, or one of other tokens.
    """
    if decoder not in DECODERS:
        raise ValueError(f"unknown decoder {decoder!r}: choose {' or '.join(DECODERS)}")
    if decoder == "diffusion" and not codec.name.startswith("cosmos"):
        raise ValueError(
            f"the diffusion decoder reads Cosmos's tokens, not those of the {codec.name} codec: "
            "give Cosmos DV8x16x16 with --codec, and a checkpoint trained on its tokens"
        )
