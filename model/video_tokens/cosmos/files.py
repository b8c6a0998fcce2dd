"""Where the user keeps Cosmos's files; they are licensed, and nothing is ever downloaded."""

import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from datasets.estimators import EstimatorUnavailable
from datasets.estimators.external import checked_sha256
from datasets.tools.isolated import ToolMissing
from model.training.sidecar import CheckpointError

ENV_COSMOS = "UNIMO_COSMOS"  # folder of the transformer's model.pt
ENV_COSMOS_TOKENIZER = "UNIMO_COSMOS_TOKENIZER"  # folder of encoder.jit and decoder.jit
ENV_PYTHON = "COSMOS_PYTHON"  # interpreter of an environment with cosmos-predict1
ENV_HOME = "COSMOS_HOME"  # its clone, with the weights in checkpoints/
SAMPLER = "cosmos_predict1/autoregressive/diffusion_decoder/model.py"
_PAGE = "https://github.com/nvidia-cosmos/cosmos-predict1"


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


@dataclass(frozen=True)
class Release:
    """A folder of files on huggingface.co/nvidia.

    Attributes:
        repo: its name for Cosmos-Predict1.
        older: its name for Cosmos 1.0.
        md5: of every file that is needed, as ``scripts/download_autoregressive_checkpoints.py`` of
            cosmos-predict1 lists them for `repo`.
    """

    repo: str
    older: str
    md5: dict[str, str]

    def folder(self, home: Path) -> Path:
        """Return its folder in a clone of cosmos-predict1, as that one's scripts put it."""
        return home / "checkpoints" / self.repo

    def missing(self, folder: Path) -> str:
        """List the files that `folder` lacks and where to get them; empty if none."""
        absent = [name for name in self.md5 if not (folder / name).is_file()]
        if not absent:
            return ""
        page = f"huggingface.co/nvidia/{self.repo} (in Cosmos 1.0: {self.older})"
        return f"{folder} lacks {', '.join(absent)}, from {page}"

    def identity(self, folder: Path) -> dict[str, str]:
        """sha256 of the files, and whether they are the published ones.

        Raises:
            CheckpointError: a file is missing, or not the one it is pinned to be.
        """
        if problem := self.missing(folder):
            raise CheckpointError(problem)
        try:
            found = {name: checked_sha256(folder / name) for name in self.md5}
        except EstimatorUnavailable as error:
            raise CheckpointError(str(error)) from error
        published = all(_md5(folder / name) == known for name, known in self.md5.items())
        return {**found, "published": self.repo if published else "not known to be"}


DV = Release(
    repo="Cosmos-Tokenize1-DV8x16x16-720p",
    older="Cosmos-1.0-Tokenizer-DV8x16x16",
    md5={
        "encoder.jit": "95186b0410346a3f0cf250b76daec452",
        "decoder.jit": "f0c8a9d992614a43e7ce24ebfc901e26",
    },
)
CV = Release(
    repo="Cosmos-Tokenize1-CV8x8x8-720p",
    older="Cosmos-1.0-Tokenizer-CV8x8x8",
    md5={
        "encoder.jit": "f5834d03645c379bc0f8ad14b9bc0299",
        "decoder.jit": "ff21a63ed817ffdbe4b6841111ec79a8",
        "mean_std.pt": "f07680ad7eefae57d698778e2a0c7c96",
    },
)
DIFFUSION = Release(
    repo="Cosmos-Predict1-7B-Decoder-DV8x16x16ToCV8x8x8-720p",
    older="Cosmos-1.0-Diffusion-7B-Decoder-DV8x16x16ToCV8x8x8",
    md5={
        "model.pt": "a30149cc3730f3142b01fd374b6076f8",
        "aux_vars.pt": "29e450d81839e82bb4bdbf12e43a74f1",
    },
)


def cosmos_predict1() -> tuple[Path, Path]:
    """Return interpreter and clone of cosmos-predict1, once all files of the decoder are there.

    Nothing is started.

    Raises:
        ToolMissing: what is missing, where it belongs and where to get it.
    """
    python, home = os.environ.get(ENV_PYTHON), os.environ.get(ENV_HOME)
    if not python or not home:
        raise ToolMissing(
            f"install cosmos-predict1 ({_PAGE}; it needs a CUDA GPU) in an environment of its "
            f"own, set ${ENV_PYTHON} to that environment's python and ${ENV_HOME} to the clone"
        )
    interpreter, root = Path(python).absolute(), Path(home).absolute()
    problems = []
    if not interpreter.is_file():
        problems.append(f"no {interpreter}: correct ${ENV_PYTHON}")
    if not (root / SAMPLER).is_file():
        problems.append(f"no {root / SAMPLER}: correct ${ENV_HOME}")
    # The network's configuration loads DV's, too.
    problems += [found for r in (DIFFUSION, CV, DV) if (found := r.missing(r.folder(root)))]
    if problems:
        raise ToolMissing(f"the diffusion decoder cannot run: {'; '.join(problems)}")
    return interpreter, root


def _md5(path: Path) -> str:
    stat = path.stat()
    return _md5_of(path, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=32)
def _md5_of(path: Path, size: int, changed: int) -> str:
    """Kept until the file changes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
