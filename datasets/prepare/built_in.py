"""Stores of built-in data, made when they are first asked for and named by what they are made from.

A store is made again where the generator, the body or the layout of stores has changed.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.tools.files import locked

if TYPE_CHECKING:
    from datasets.sequence import Dataset

FOLDER = Path("data").absolute()  # below the working folder


def store_path(
    dataset: "Dataset", *, num_frames: int, video_size: int | None, folder: Path = FOLDER
) -> Path:
    """Return the path of the store of a built-in dataset in `folder`, made or not.

    Arguments as for `datasets.prepare.prepare_store.prepare`.
    """
    from datasets.bodies.smplx_file import find_body
    from datasets.store.schema import SCHEMA_VERSION

    made_from = {**dataclasses.asdict(dataset), "clip_frames": num_frames}
    if video_size is not None:
        made_from["video_size"] = video_size
    # The generator stands its people on the body's own soles.
    made_from["body"] = find_body().sha256
    made_from["store_schema"] = SCHEMA_VERSION
    text = json.dumps(made_from, sort_keys=True, separators=(",", ":"))
    return folder / f"{dataset.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def make_store(
    dataset: "Dataset",
    *,
    num_frames: int,
    video_size: int | None,
    folder: Path = FOLDER,
    workers: int = 1,
    progress: bool = True,
) -> Path:
    """Return the store of a built-in dataset, made if it is not there; a half-made one goes on.

    Arguments as for `datasets.prepare.prepare_store.prepare`. Of two processes that want the same
    store, the second waits for the first.

    Raises:
        OSError, StoreError: it cannot be written.
    """
    from datasets.prepare.prepare_store import prepare

    path = store_path(dataset, num_frames=num_frames, video_size=video_size, folder=folder)
    with locked(folder / ".lock"):
        if not (path / "manifest.json").exists():
            prepare(
                dataset,
                None,
                path,
                num_frames=num_frames,
                video_size=video_size,
                workers=workers,
                progress=progress,
            )
    return path
