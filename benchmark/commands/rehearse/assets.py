"""The files of the models that the paper uses, all of them made here."""

import sys
from pathlib import Path

from benchmark.commands.rehearse.stand_ins import bodies, cosmos, gvhmr, installations, vbench
from benchmark.commands.rehearse.whole_folder import once
from benchmark.metrics.vbench_tool import weights
from datasets.bodies.smpl_file import ENV_SMPL
from datasets.bodies.smplx_file import ENV_BODY
from datasets.estimators.external import REHEARSAL
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

_TOOLS = {"gvhmr": gvhmr, "vbench": vbench}
# Variable -> the folder that it names, below that of a tool's weights.
_WEIGHTS = {
    "gvhmr": {ENV_WEIGHTS: "", ENV_BODIES: "body_models"},
    "vbench": {weights.ENV_ROOT: ""},
}


def build_assets(folder: Path, size: UniMoConfig) -> dict[str, str]:
    """Write stand-ins of all weights, body models and clones, in the official layouts.

    GVHMR and VBench are the installed ones but for the modules that would take too long; where one
    is not installed, it is left out.

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
        **_tool(folder, "gvhmr"),
        **_tool(folder, "vbench"),
    }


def _tool(folder: Path, name: str) -> dict[str, str]:
    """Return the variables of a tool with an environment of its own; none if it is not there."""
    try:
        python = isolated.python(name)
    except isolated.ToolMissing:
        return {}
    tool = _TOOLS[name]

    def build_weights(part: Path) -> None:
        tool.build_weights(python, part)
        made_by = "Nothing learned: made by `python -m benchmark.run rehearse`."
        (part / REHEARSAL).write_text(f"{made_by}\n")

    root = once(folder / name, build_weights)
    environment = once(folder / f"{name}-tool", lambda part: tool.build_environment(python, part))
    return {
        **{variable: str(root / below) for variable, below in _WEIGHTS[name].items()},
        f"{name.upper()}_PYTHON": str(environment / "bin" / "python"),
    }
