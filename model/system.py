"""A trained system: a transformer and the tokenizers whose tokens it reads, in one folder.

* ``model.safetensors``, ``model.json``: the transformer; the latter says what it is and how it was
  trained;
* ``tokenizer.safetensors``, ``tokenizer.json``: the motion tokenizer;
* ``codec.safetensors``, ``codec.json``: a fitted video codec. Cosmos's stays where the user has it.

Every training writes such a folder. The set that ships with the package lies in one, too, with
other names; parts that are not there are those of that set. Nothing here needs torch.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets.tools.files import replacing, sha256_of
from model import assets
from model.training.sidecar import WEIGHTS, CheckpointError, read_sidecar, sidecar_path
from model.video_tokens.cosmos.files import cosmos_tokenizer


@dataclass(frozen=True, kw_only=True)
class TrainedSystem:
    """The files of a trained transformer, and what its sidecar says.

    Attributes:
        weights: of the transformer.
        tokenizer: the motion tokenizer.
        codec: the video codec, as `model.video_tokens.choose.open_codec` takes it.
        config: of the transformer, see `UniMoConfig.to_dict`.
        facts: of its training: tasks, steps, seed, start, clips, fps, space, datasets, codec and
            the like; what an older program wrote has fewer.
        sha256: of the file of the weights.
    """

    weights: Path
    tokenizer: Path
    codec: str
    config: Mapping[str, Any]
    facts: Mapping[str, Any]
    sha256: str

    @classmethod
    def open(
        cls, path: str | Path, *, codec: str | None = None, tokenizer: Path | None = None
    ) -> "TrainedSystem":
        """Return the system of a folder, or of the file of its weights; only the sidecar is read.

        Args:
            path: the folder, or the file.
            codec: take this one instead of the training's.
            tokenizer: take this one instead of the training's.

        Raises:
            CheckpointError: a file is missing, or the sidecar is not one of a transformer.
        """
        weights = Path(path)
        if weights.is_dir():
            weights /= WEIGHTS
        if not weights.is_file():
            raise CheckpointError(
                f"{weights} is not there: give the folder of a finished training, or the file of "
                "its weights"
            )
        sidecar = read_sidecar(weights, expected_class="UniMo")
        extra = sidecar["extra"]
        facts = {**extra.get("training", {})}
        if "made_by" in extra:
            facts["made_by"] = extra["made_by"]
        return cls(
            weights=weights,
            tokenizer=tokenizer or _beside(weights, assets.TOKENIZER),
            codec=codec or _codec(weights, facts),
            config=sidecar["config"],
            facts=facts,
            sha256=sidecar.get("sha256") or sha256_of(weights),
        )

    @property
    def files(self) -> "TokenizerFiles":
        """Its tokenizers, for a training that starts from it."""
        return TokenizerFiles(codec=self.codec, tokenizer=self.tokenizer)

    @property
    def as_start(self) -> dict[str, Any]:
        """Facts that a training which starts from it keeps, JSON-ready."""
        names = ("tasks", "steps", "dataset", "datasets", "start")
        return {"sha256": self.sha256, **{name: self.facts.get(name) for name in names}}


@dataclass(frozen=True, kw_only=True)
class TokenizerFiles:
    """The files that make a training's tokens.

    Attributes:
        codec: the video codec, as `model.video_tokens.choose.open_codec` takes it.
        tokenizer: the motion tokenizer.
    """

    codec: str | None
    tokenizer: Path

    def copy_to(self, folder: Path) -> None:
        """Put the files beside a model; those of a codec that has none of ours stay away."""
        _copy(self.tokenizer, folder / assets.TOKENIZER.name)
        codec = assets.CODEC if self.codec is None else Path(self.codec)
        if codec.is_file():
            _copy(codec, folder / assets.CODEC.name)


def codec_name(identity: object) -> str:
    """Return the name of a codec in a training's facts; empty if they hold no identity of one.

    Args:
        identity: `VideoCodec.identity`, an object or its JSON text.
    """
    try:
        found = json.loads(identity) if isinstance(identity, str) else identity
    except ValueError:
        return ""
    return str(found.get("name", "")) if isinstance(found, Mapping) else ""


def _codec(weights: Path, facts: Mapping[str, Any]) -> str:
    name = codec_name(facts.get("codec"))
    if name.startswith("cosmos"):
        return str(cosmos_tokenizer())
    return name if name == "linear" else str(_beside(weights, assets.CODEC))


def _beside(weights: Path, default: Path) -> Path:
    """The file beside the weights that has the name of one of the package's own, else that one."""
    path = weights.with_name(default.name)
    return path if path.is_file() else default


def _copy(source: Path, target: Path) -> None:
    """Copy a checkpoint, its sidecar last, unless it is there already."""
    for old, new in ((source, target), (sidecar_path(source), sidecar_path(target))):
        if not new.is_file() or sha256_of(old) != sha256_of(new):
            with replacing(new) as temporary:
                shutil.copyfile(old, temporary)
