"""The files that VBench's dimensions need, below ``$VBENCH_CACHE_DIR`` as the package has them.

They are the user's own. The package would download those that are missing; they are looked for
before it starts. Where a file ``NAME.sha256`` lies beside one of them, it must be as that says.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from benchmark.api.paths import redact_paths
from datasets.estimators import EstimatorUnavailable
from datasets.estimators.external import checked_sha256, of_rehearsal

ENV_ROOT = "VBENCH_CACHE_DIR"


class Weight(NamedTuple):
    """A file below the root, where to get it, and what it must be where its authors say so."""

    path: str
    source: str
    sha256: str | None = None


# torch runs what a TorchScript archive holds, so CLIP's must be OpenAI's own files, which they name
# by their sha256.
CLIP_B = Weight(
    "clip_model/ViT-B-32.pt",
    "github.com/openai/CLIP, clip/clip.py",
    "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
)
_CLIP_L = Weight(
    "clip_model/ViT-L-14.pt",
    "github.com/openai/CLIP, clip/clip.py",
    "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
)
_AESTHETIC = Weight(
    "aesthetic_model/emb_reader/sa_0_4_vit_l_14_linear.pth",
    "github.com/LAION-AI/aesthetic-predictor",
)
_AMT = Weight("amt_model/amt-s.pth", "huggingface.co/lalala125/AMT")
_RAFT = Weight("raft_model/models/raft-things.pth", "github.com/princeton-vl/RAFT, models.zip")
DINO = Weight("dino_model/dino_vitbase16_pretrain.pth", "github.com/facebookresearch/dino")
# The package imports these three, which makes them code of the tool: take them from their owners.
_DINO_CODE = tuple(
    Weight(f"dino_model/facebookresearch_dino_main/{name}", "github.com/facebookresearch/dino")
    for name in ("hubconf.py", "vision_transformer.py", "utils.py")
)
# Dimension, as the package calls it -> its files.
WEIGHTS: Mapping[str, tuple[Weight, ...]] = {
    "subject_consistency": (DINO, *_DINO_CODE),
    "background_consistency": (CLIP_B,),
    "aesthetic_quality": (_CLIP_L, _AESTHETIC),
    "motion_smoothness": (_AMT,),
    "temporal_flickering": (),
    "dynamic_degree": (_RAFT,),
}


def root() -> Path:
    """Return the folder of the weights: ``$VBENCH_CACHE_DIR``, or where the package keeps them."""
    named = os.environ.get(ENV_ROOT)
    return Path(named or Path.home() / ".cache" / "vbench").absolute()


def published_sha256(weight: Weight) -> str | None:
    """Return what a file must be: None where nobody says, and of the files of a rehearsal.

    Who can mark a folder as a rehearsal's can also put other code of DINO's there, which is run.
    """
    return None if of_rehearsal(root()) else weight.sha256


def missing() -> dict[str, str]:
    """Dimension -> which of its files are not there, or are others, and where to get them."""
    reasons = {}
    for dimension, files in WEIGHTS.items():
        if problems := [problem for weight in files if (problem := _problem(weight))]:
            reasons[dimension] = "; ".join(problems)
    return reasons


def identity(dimension: str) -> str:
    """Return the sha256 of a dimension's files, in order, joined by ``+``; ``none`` without files.

    Raises:
        OSError: a file is not there, see `missing`.
    """
    found = [checked_sha256(root() / weight.path) for weight in WEIGHTS[dimension]]
    return "+".join(found) or "none"


def link(folder: Path, hub: Path) -> None:
    """Link all files that are there into a folder of our own, which the package may write to.

    Args:
        folder: takes the place of `root`.
        hub: takes the place of ``$TORCH_HOME``, from where the package loads DINO's weights, though
            it first makes sure that they are below `root`.
    """
    places = {folder / weight.path: weight for files in WEIGHTS.values() for weight in files}
    places[hub / "hub" / "checkpoints" / Path(DINO.path).name] = DINO
    for place, weight in places.items():
        if (root() / weight.path).is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(root() / weight.path)


def _problem(weight: Weight) -> str:
    """Return the fault of a file, in words; empty without one."""
    path = root() / weight.path
    if not path.is_file():
        return f"no {redact_paths(str(path))} (from {weight.source})"
    try:
        found = checked_sha256(path)
    except (EstimatorUnavailable, OSError) as error:
        return str(error)
    if published_sha256(weight) not in (None, found):
        file = redact_paths(str(path))
        return f"{file} is not the file from {weight.source}: its sha256 is {found[:12]}…"
    return ""
