"""What external tools are told by way of environment variables."""

import os
from pathlib import Path

# No account, token or proxy is among it.
_INHERITED = (
    "PATH",
    "LD_LIBRARY_PATH",
    "LANG",
    "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_HOME",
)


def tool_environment(folder: Path) -> dict[str, str]:
    """The environment of a tool that keeps what it writes in `folder` and fetches nothing."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return inherited | {"HOME": str(folder), "TMPDIR": str(folder), "HF_HUB_OFFLINE": "1"}
