"""What options shared by several verbs mean: a body, a device, a checkpoint, a folder."""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmark import discover
from benchmark.spec import Row, UserError
from benchmark.store import read_json
from datasets.body_file import ENV_BODY, BodyFile, find_body


@contextlib.contextmanager
def body_chosen(path: Path | None) -> Iterator[None]:
    """Whatever loads the body, here or in a worker, takes this one: built-in data, baselines."""
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
    """The body of ``--body``, or the default.

    Raises:
        UserError: there is none.
    """
    try:
        return find_body(path)
    except (OSError, ValueError) as error:
        raise UserError(str(error)) from error


def device_named(name: str) -> str:
    """``auto`` is the GPU where there is one. torch is asked only where a driver is present.

    Raises:
        UserError: ``cuda`` without a GPU.
    """
    if name == "cpu" or (name == "auto" and not Path("/dev/nvidiactl").exists()):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if name == "cuda":
        raise UserError("--device cuda: torch finds no GPU here; use --device cpu")
    return "cpu"


def methods_of(checkpoint: Path, *, option: str = "--checkpoint") -> dict[str, str]:
    """Task -> method, of those whose model class a checkpoint's sidecar names.

    Raises:
        UserError: no such file, or it is of another class; the message begins with `option`.
    """
    if not checkpoint.is_file():
        raise UserError(
            f"{option} {checkpoint}: there is no such file; give the .safetensors file that "
            "a training wrote"
        )
    classes: dict[str, dict[str, str]] = {}
    for name in discover.summaries("methods"):
        for task, does in discover.load("methods", name).items():
            if does.checkpoint_class is not None:
                classes.setdefault(does.checkpoint_class, {})[task] = name
    sidecar = checkpoint.with_suffix(".json")
    found = (read_json(sidecar) or {}).get("class")
    if not isinstance(found, str) or found not in classes:
        raise UserError(
            f"{option} {checkpoint}: {sidecar.name} beside it names "
            f"{f'the class {found}' if found else 'no class'}; give a trained checkpoint of "
            f"{' or '.join(classes)}, with its .json"
        )
    methods, trained = classes[found], training_of(checkpoint).get("tasks")
    if isinstance(trained, list):
        methods = {task: name for task, name in methods.items() if task in trained}
        if not methods:
            raise UserError(
                f"{option} {checkpoint} was trained for {' and '.join(map(str, trained))}, which "
                "no method here does with it: give another checkpoint"
            )
    return methods


def training_of(checkpoint: Path) -> dict:
    """What a checkpoint's sidecar keeps of its training; empty where it keeps nothing."""
    extra = (read_json(checkpoint.with_suffix(".json")) or {}).get("extra")
    found = extra.get("training") if isinstance(extra, dict) else None
    return found if isinstance(found, dict) else {}


def method_of(checkpoint: Path, task: str, *, option: str = "--checkpoint") -> str:
    """The method that does a task with a checkpoint.

    Raises:
        UserError: as `methods_of`, or the checkpoint is of another task.
    """
    found = methods_of(checkpoint, option=option)
    if task not in found:
        raise UserError(
            f"{option} {checkpoint} does {' and '.join(found)}, not {task}: give another one"
        )
    return found[task]


def rows_of_user(checkpoint: Path, method: str, beside: Iterable[Row]) -> list[Row]:
    """The rows of a user's checkpoint: one for each dataset that the rows `beside` it are about."""
    rows = []
    for dataset in dict.fromkeys(row.dataset for row in beside):
        label = f"checkpoint {checkpoint.stem}" + (f", {dataset}" if dataset else "")
        rows.append(Row(label, method, weights=checkpoint, dataset=dataset))
    return rows


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


def told(text: str) -> str:
    """A reason or a note without the paths of this machine: the root is ``.``, the home ``~``."""
    text = text.replace(f"{discover.ROOT}/", "")
    return text.replace(f"{Path.home()}/", "~/") if Path.home() != Path("/") else text


def shown(path: Path) -> str:
    """The path from where the user stands, if that is above it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def file_name(text: str) -> str:
    """`text` as part of a file's name: whatever is neither letter, digit, _ nor . becomes -."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.")
