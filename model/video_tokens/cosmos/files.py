"""Where the user keeps Cosmos's files; they are licensed, and nothing is ever downloaded."""

import os
from pathlib import Path

from model.training.sidecar import CheckpointError

ENV_COSMOS = "UNIMO_COSMOS"  # folder of the transformer's model.pt
ENV_COSMOS_TOKENIZER = "UNIMO_COSMOS_TOKENIZER"  # folder of encoder.jit and decoder.jit


class CosmosMissing(CheckpointError, FileNotFoundError):
    """Files of Cosmos are not there. The message says which, and where they come from."""


def cosmos_file() -> Path:
    """Return the file of Cosmos's transformer.

    Raises:
        CosmosMissing: it is not there.
    """
    path = Path(os.environ.get(ENV_COSMOS) or "cosmos-4b") / "model.pt"
    if not path.is_file():
        raise CosmosMissing(
            f"{path}: the weights of nvidia/Cosmos-1.0-Autoregressive-4B (request them on Hugging "
            f"Face) are not there; set ${ENV_COSMOS} to the folder of their model.pt"
        )
    return path


def cosmos_tokenizer() -> Path:
    """Return the folder of Cosmos's video tokenizer.

    Raises:
        CosmosMissing: a file of it is not there.
    """
    folder = Path(os.environ.get(ENV_COSMOS_TOKENIZER) or "Cosmos-1.0-Tokenizer-DV8x16x16")
    for name in ("encoder.jit", "decoder.jit"):
        if not (folder / name).is_file():
            raise CosmosMissing(
                f"{folder / name}: nvidia/Cosmos-1.0-Tokenizer-DV8x16x16 (request it on Hugging "
                f"Face) is not there; set ${ENV_COSMOS_TOKENIZER} to the folder of its files"
            )
    return folder
