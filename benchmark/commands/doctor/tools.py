"""Section 2: programs that only some rows need, in environments of their own."""

from benchmark.api.errors import one_line
from benchmark.commands.doctor.page import Group
from benchmark.commands.setup import tool_state
from datasets.tools import isolated


def groups() -> list[Group]:
    """Rows (installed or absent, tool, where it is or what installs it)."""
    rows = [*map(_state, isolated.names()), _phalp(), _diffusion(), _seedvr()]
    return [Group("", rows)]


def _state(tool: str) -> tuple[str, str, str]:
    try:
        installed, text = tool_state(tool)
    except (OSError, ValueError) as error:  # a damaged environment
        return "absent", tool, f"{one_line(error)}: run `python -m benchmark.run setup {tool}`"
    return ("installed" if installed else "absent"), tool, text.removeprefix("installed: ")


def _phalp() -> tuple[str, str, str]:
    """4D-Humans, which only its users can install; HMR2.0's weights are among its files."""
    from datasets.estimators import EstimatorUnavailable, phalp

    try:
        python, track, _ = phalp.ESTIMATOR().preflight()
    except (EstimatorUnavailable, OSError) as error:
        return "absent", "4D-Humans", str(error)
    return "installed", "4D-Humans", f"{python}, {track}"


def _diffusion() -> tuple[str, str, str]:
    """Cosmos's diffusion decoder, which makes the pixels of the paper's videos."""
    from model.video_tokens.cosmos.files import cosmos_predict1

    try:
        python, home = cosmos_predict1()
    except (isolated.ToolMissing, OSError) as error:
        return "absent", "cosmos-predict1", str(error)
    return "installed", "cosmos-predict1", f"{python}, {home}"


def _seedvr() -> tuple[str, str, str]:
    """SeedVR, which the paper runs over its videos."""
    from model.video_tokens.seedvr import ENV_HOME, ENV_PYTHON, PAGE, SeedVR

    try:
        tool = SeedVR.installed()
    except (isolated.ToolMissing, OSError) as error:
        return "absent", "SeedVR", str(error)
    if tool is None:
        how = (
            f"clone it ({PAGE}; it needs a CUDA GPU), set ${ENV_HOME} to the clone and "
            f"${ENV_PYTHON} to the python of its environment"
        )
        return "absent", "SeedVR", how
    return "installed", "SeedVR", f"{tool.python}, {tool.home}"
