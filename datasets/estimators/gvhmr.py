"""GVHMR: video -> SMPL-X motion in the camera and in a gravity-aligned world.

Shen et al., "World-Grounded Human Motion Recovery via Gravity-View Coordinates" (SIGGRAPH Asia
2024), by the PyPI package ``gvhmr``, in an environment of its own (``benchmark.run setup gvhmr``).
Its weights and the SMPL-X body are the user's own, below ``$GVHMR_CHECKPOINTS`` as the package lays
them out; nothing is ever downloaded. Of these files the denoiser's is read without executing
anything; the package unpickles the others as they are, so take them from their owners only. A file
``NAME.sha256`` beside one of them pins it.
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from datasets.estimators import EstimatorUnavailable
from datasets.estimators.external import checked_sha256, of_rehearsal
from datasets.estimators.gvhmr_session import GvhmrSession
from datasets.tools import isolated
from datasets.tools.files import sha256_of

ENV_WEIGHTS = "GVHMR_CHECKPOINTS"
ENV_BODIES = "GVHMR_BODY_MODELS"  # where the body models are not below the weights
# Bytes of the released files; the package compares them, and would download what differs.
WEIGHTS = {
    "gvhmr/gvhmr_siga24_release.ckpt": 163_508_011,
    "hmr2/epoch=10-step=25000.ckpt": 2_709_494_041,
    "vitpose/vitpose-h-multi-coco.pth": 2_549_075_546,
    "yolo/yolov8x.pt": 136_867_539,
}
DENOISER = next(iter(WEIGHTS))
_WEIGHTS_PAGE = "https://github.com/zju3dv/GVHMR/blob/main/docs/INSTALL.md"
BODY = "smplx/SMPLX_NEUTRAL.npz"
_BODY_PAGE = "https://smpl-x.is.tue.mpg.de (v1.1)"
_VERSIONS = (
    "import importlib.metadata as m, json;"
    "print(json.dumps({n: m.version(n) for n in ('gvhmr', 'torch')}))"
)


class ReleasedFile(NamedTuple):
    """A file that GVHMR needs."""

    path: Path  # where it belongs
    size: int | None  # bytes, or None where nobody says
    source: str  # where to get it


def released_files(root: Path) -> dict[str, ReleasedFile]:
    """Return the files that are needed, by names that do not depend on their folder.

    Weights are in `root`; so are the body models, unless ``$GVHMR_BODY_MODELS`` says where.
    """
    named = os.environ.get(ENV_BODIES)
    bodies = Path(named).absolute() if named else root / "body_models"
    files = {name: ReleasedFile(root / name, size, _WEIGHTS_PAGE) for name, size in WEIGHTS.items()}
    return {**files, BODY: ReleasedFile(bodies / BODY, None, _BODY_PAGE)}


@dataclass(frozen=True)
class GvhmrEstimator:
    """GVHMR as its authors run it on videos, but with the clip's own intrinsics.

    Attributes:
        checkpoint: a denoiser to use instead of the released one, such as one trained further.
        preprocess: a folder with boxes, keypoints or image features made before, for instance from
            a dataset's own boxes: ``<clip_id>/bbx.pt``, ``vitpose.pt``, ``vit_features.pt`` as the
            package writes them, one row a picture at 30 fps.
    """

    checkpoint: Path | None = None
    preprocess: Path | None = None
    name = "gvhmr"

    @property
    def note(self) -> str:
        """Return what it is and what its numbers mean, for reports."""
        weights = "the released weights"
        folder = os.environ.get(ENV_WEIGHTS)
        if folder and of_rehearsal(Path(folder)):
            weights = "the random weights of a rehearsal, which looks at no picture"
        if self.checkpoint is not None:
            weights = f"weights that are not the released ones ({Path(self.checkpoint).name})"
        return f"GVHMR with {weights}: the largest person, estimated at 30 fps"

    def identity(self) -> dict[str, str]:
        """Versions, settings, and sha256 of all weights and of the body model.

        Raises:
            EstimatorUnavailable: see `preflight`, or a file is not the one it is pinned to be.
        """
        interpreter = self.preflight()
        found = subprocess.run([interpreter, "-I", "-c", _VERSIONS], capture_output=True, text=True)
        if found.returncode:
            why = found.stderr.strip().splitlines()[-1:]
            raise EstimatorUnavailable(f"{interpreter} has no gvhmr: {' '.join(why)}")
        files = self._files()
        if self.checkpoint is not None:
            del files[DENOISER]  # it must be there for the package, and is not used
        settings = {
            "flip_test": False,
            "world_from_incam": False,
            "moving_camera": "simplevo",
            "K": "of the clip",
            "preprocess_precision": "fp32 (detector fp16 on cuda)",
        }
        if self.preprocess is not None:
            settings["preprocess"] = _folder_sha256(Path(self.preprocess))
        return {
            **json.loads(found.stdout),
            **{name: checked_sha256(file.path) for name, file in files.items()},
            **{name: str(value) for name, value in settings.items()},
        }

    def preflight(self) -> Path:
        """Return the interpreter, once all files are there; quick, and starts nothing.

        Raises:
            EstimatorUnavailable: what is missing, where it belongs and where to get it.
        """
        try:
            interpreter = isolated.python("gvhmr")
        except isolated.ToolMissing as error:
            raise EstimatorUnavailable(str(error)) from error
        if not os.environ.get(ENV_WEIGHTS):
            listed = ", ".join(f"{name} ({size:,} bytes)" for name, size in WEIGHTS.items())
            raise EstimatorUnavailable(
                f"set ${ENV_WEIGHTS} to the folder with GVHMR's weights: {listed}, from "
                f"{_WEIGHTS_PAGE}; and body_models/{BODY}, from {_BODY_PAGE}"
            )
        problems = [problem for file in self._files().values() if (problem := _problem(file))]
        if self.preprocess is not None and not Path(self.preprocess).is_dir():
            problems.append(f"no folder {self.preprocess} (option preprocess)")
        if problems:
            raise EstimatorUnavailable(f"gvhmr lacks {len(problems)} files: {'; '.join(problems)}")
        return interpreter

    @contextmanager
    def start(self, device: str) -> Iterator[GvhmrSession]:
        """Start the tool's process on a device; the networks load with the first clip.

        Raises:
            EstimatorUnavailable: see `preflight`; or the checkpoint is not a GVHMR denoiser, or
                the tool's torch does not see the device.
        """
        interpreter, files = self.preflight(), self._files()
        session = GvhmrSession(
            interpreter,
            device=device,
            weights=Path(os.environ[ENV_WEIGHTS]).absolute(),
            bodies=files[BODY].path.parents[1],
            denoiser=files["checkpoint" if self.checkpoint else DENOISER].path,
            preprocess=self.preprocess,
        )
        with session:
            yield session

    def _files(self) -> dict[str, ReleasedFile]:
        """Every file that must be there: the released ones, and an own checkpoint."""
        files = released_files(Path(os.environ[ENV_WEIGHTS]).absolute())
        if self.checkpoint is not None:
            own = Path(self.checkpoint).absolute()
            files["checkpoint"] = ReleasedFile(own, None, "the option checkpoint")
        return files


def _problem(file: ReleasedFile) -> str:
    """Return the fault of a file, in words; empty without one."""
    wanted = "" if file.size is None else f" of {file.size:,} bytes"
    if not file.path.is_file():
        return f"no {file.path}{wanted} (from {file.source})"
    found = file.path.stat().st_size
    if file.size not in (None, found):
        return f"{file.path} has {found:,} bytes instead of {file.size:,} (from {file.source})"
    return ""


def _folder_sha256(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*.pt") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()} ".encode())
        digest.update(bytes.fromhex(sha256_of(path)))
    return digest.hexdigest()


ESTIMATOR = GvhmrEstimator
