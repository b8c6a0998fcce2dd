"""The video codec that a command line names."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.video_tokens.codec import VideoCodec


def open_codec(word: str | None, *, device: str = "cpu") -> "VideoCodec":
    """Return a codec by what the user gives.

    Args:
        word: a fitted codec's ``.safetensors``, a folder with Cosmos's ``encoder.jit`` and
            ``decoder.jit``, or ``linear``; None: the one that ships with the package.
        device: ``cpu`` or ``cuda``.

    Raises:
        CheckpointError: nothing of the kind there.
    """
    if word == "linear":
        from model.video_tokens.fitted.linear import LinearCodec

        return LinearCodec()
    path = Path(word) if word else None
    if path is not None and path.is_dir():
        from model.video_tokens.cosmos.tokenizer import CosmosDV

        return CosmosDV.load(path, device)
    from model import assets
    from model.video_tokens.fitted.codec import FittedCodec

    return FittedCodec.load(path or assets.CODEC).to(device)
