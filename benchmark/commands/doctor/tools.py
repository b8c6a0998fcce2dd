"""Section 2: programs that only some rows need, in environments of their own."""

from benchmark.api.errors import one_line
from benchmark.commands.doctor.page import Group
from benchmark.commands.setup import tool_state
from datasets.tools import isolated


def groups() -> list[Group]:
    """Rows (installed or absent, tool, where it is or what installs it)."""
    rows = [(*_state(tool), tool) for tool in isolated.names()]
    return [Group("", [(state, tool, text) for state, text, tool in [*rows, _phalp()]])]


def _state(tool: str) -> tuple[str, str]:
    try:
        installed, text = tool_state(tool)
    except (OSError, ValueError) as error:  # a damaged environment
        return "absent", f"{one_line(error)}: run `python -m benchmark.run setup {tool}`"
    return ("installed" if installed else "absent"), text.removeprefix("installed: ")


def _phalp() -> tuple[str, str, str]:
    """4D-Humans, which only its users can install; HMR2.0's weights are among its files."""
    from datasets.estimators import EstimatorUnavailable, phalp

    try:
        python, track, _ = phalp.ESTIMATOR().preflight()
    except (EstimatorUnavailable, OSError) as error:
        return "absent", str(error), "4D-Humans"
    return "installed", f"{python}, {track}", "4D-Humans"
