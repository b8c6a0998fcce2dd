"""The options that several verbs share: a body, a device, a folder."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from benchmark.api.errors import UserError
from benchmark.api.paths import display_path
from datasets.bodies.smplx_file import ENV_BODY, BodyFile, find_body
from model.training import device
from model.training.config import TrainingError


@contextlib.contextmanager
def body_chosen(path: Path | None) -> Iterator[None]:
    """Set the body model for this process and its workers, through ``$UNIMO_BODY_MODEL``."""
    before = os.environ.get(ENV_BODY)
    if path is not None:
        os.environ[ENV_BODY] = str(path.resolve())
    try:
        yield
    finally:
        if path is not None and before is not None:
            os.environ[ENV_BODY] = before
        elif path is not None:
            del os.environ[ENV_BODY]


def body_file(path: Path | None) -> BodyFile:
    """Return the body of ``--body``, or the default.

    Raises:
        UserError: there is none.
    """
    try:
        return find_body(path)
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error


def device_named(name: str) -> str:
    """Return ``cpu`` or ``cuda``, as `model.training.device.device_named`.

    Raises:
        UserError: ``cuda`` without a GPU.
    """
    try:
        return device.device_named(name)
    except TrainingError as error:
        raise UserError(str(error)) from error


def require_writable(out: Path) -> None:
    """Make the folder of ``--out``.

    Raises:
        UserError: it cannot be made or written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out} cannot be made: {error.strerror}") from error
    if not os.access(out, os.W_OK | os.X_OK):
        raise UserError(f"--out {out} cannot be written: name a folder of yours")


def as_json(options: object, **resolved: object) -> dict[str, object]:
    """Return the options of a verb as JSON values, with paths as the user sees them.

    Args:
        options: a dataclass.
        resolved: what was chosen for options that were left open, and further facts.
    """

    def display(value: object) -> object:
        if isinstance(value, list | tuple):
            return [display(one) for one in value]
        return display_path(value) if isinstance(value, Path) else value

    return {name: display(value) for name, value in (vars(options) | resolved).items()}
