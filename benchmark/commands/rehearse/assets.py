"""The files of the models that the paper uses, all of them made here."""

import sys
from pathlib import Path

from benchmark.commands.rehearse.stand_ins import bodies, cosmos, gvhmr, installations
from benchmark.commands.rehearse.whole_folder import once
from datasets.bodies.smpl_file import ENV_SMPL
from datasets.bodies.smplx_file import ENV_BODY
from datasets.estimators.gvhmr import ENV_BODIES, ENV_WEIGHTS
from datasets.tools import isolated
from model.transformer import UniMoConfig
from model.video_tokens import seedvr
from model.video_tokens.cosmos.files import (
    DV,
    ENV_COSMOS,
    ENV_COSMOS_TOKENIZER,
    ENV_HOME,
    ENV_PYTHON,
)


def build_assets(folder: Path, size: UniMoConfig) -> dict[str, str]:
    """Write stand-ins of all weights, body models and clones, in the official layouts.

    Where GVHMR or VBench is not installed, its weights are left out.

    Args:
        folder: holds a folder for each afterwards; those that are there are kept.
        size: of the transformer whose weights Cosmos's file holds.

    Returns:
        Environment variables that name them.
    """
    folder = folder.absolute()
    clone = once(folder / "cosmos-predict1", installations.build_decoder)
    body = once(folder / "smplx", bodies.build_smplx)
    return {
        ENV_COSMOS: str(
            once(folder / "cosmos-4b", lambda part: cosmos.build_transformer(part, size))
        ),
        ENV_COSMOS_TOKENIZER: str(DV.folder(clone)),
        ENV_HOME: str(clone),
        ENV_PYTHON: sys.executable,
        seedvr.ENV_HOME: str(once(folder / "SeedVR", installations.build_enhancer)),
        seedvr.ENV_PYTHON: sys.executable,
        ENV_BODY: str(body / "SMPLX_NEUTRAL.npz"),
        ENV_SMPL: str(once(folder / "smpl", lambda part: bodies.build_smpl(part, *bodies.GENDERS))),
        **_gvhmr(folder),
    }


def _gvhmr(folder: Path) -> dict[str, str]:
    """Return its variables; none where it is not installed."""
    try:
        python = isolated.python("gvhmr")
    except isolated.ToolMissing:
        return {}
    root = once(folder / "gvhmr", lambda part: gvhmr.build_released(python, part))
    tool = once(folder / "gvhmr-tool", lambda part: gvhmr.build_environment(python, part))
    return {
        ENV_WEIGHTS: str(root),
        ENV_BODIES: str(root / "body_models"),
        "GVHMR_PYTHON": str(tool / "bin" / "python"),
    }
