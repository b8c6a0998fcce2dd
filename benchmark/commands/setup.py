"""The verb ``setup``: environments of the external tools, see `datasets.tools.isolated`."""

import sys

from benchmark.api.errors import UserError
from datasets.tools import isolated
from datasets.tools.discovery import unknown


def list_tools() -> int:
    """Print every tool and whether it is installed."""
    for tool in isolated.names():
        print(f"{tool:<12} {tool_state(tool)[1]}")
    return 0


def install(tool: str) -> int:
    """Build a tool's environment; returns the exit code.

    Raises:
        UserError: there is no such tool.
    """
    if tool not in isolated.names():
        raise UserError(unknown("tool", tool, isolated.names()))
    try:
        print(f"{tool} is installed: {isolated.build(tool)}")
    except isolated.BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def tool_state(tool: str) -> tuple[bool, str]:
    """Return whether a tool is installed, and its interpreter or how to install it."""
    try:
        return True, f"installed: {isolated.python(tool)}"
    except isolated.ToolMissing as error:
        return False, str(error)
