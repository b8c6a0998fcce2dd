"""Which store a table's rows are measured on: the user's, a dataset's own, or the built-in one."""

import sys
from pathlib import Path
from typing import Protocol

from benchmark.data import Data, built_in_path, make_built_in, open_data, prepared_path
from benchmark.options import shown
from benchmark.spec import Profile, Unavailable, UserError
from datasets.body_file import BodyFile, find_body
from datasets.clip_manifest import read_manifest
from datasets.clip_schema import StoreError
from datasets.video_probe import VideoError, probe


def require_body(data: Data, body: BodyFile) -> None:
    """Refuse a store whose labels were made with another body than that of the evaluation.

    A body says where the pelvis of a motion is: in the camera, labels of another one lie elsewhere.

    Raises:
        UserError: they were.
    """
    made_with = read_manifest(data.path).get("body")
    if not isinstance(made_with, dict) or made_with.get("sha256") in (None, body.sha256):
        return
    raise UserError(
        f"{data.path} was prepared with the body {made_with.get('name')} "
        f"{str(made_with['sha256'])[:12]}, the evaluation is on {body.name} {body.sha256[:12]}: "
        "give that body with --body, or prepare the store again with this one"
    )


class Choice(Protocol):
    """The options that choose."""

    data: Path | None
    limit: int | None
    quiet: bool


class Stores:
    """Finds the clips of a task, each store once.

    Args:
        profile: whose models must fit the clips.
        options: of the user.
        make: make built-in data that is not there. Else there are no clips in its place, so that
            nothing of it is in the cache.

    Attributes:
        unmade: the tasks of such places.
    """

    def __init__(self, profile: Profile, options: Choice, *, make: bool = True):
        self.unmade: list[str] = []
        self._profile, self._options, self._make = profile, options, make
        self._found: dict[tuple[str, Path | None], Data] = {}

    def find(self, task: str, dataset: str = "") -> Data:
        """The clips for a task, of one dataset if its name is given.

        Raises:
            UserError: the user's store does not serve the task.
            Unavailable: there is no store of that dataset, or it does not serve the task.
        """
        if not dataset:
            return self._open(task, self._options.data)
        if self._options.data is not None:
            given = self._open(task, self._options.data)
            if given.dataset == dataset:
                return given
        path = prepared_path(dataset)
        if not (path / "manifest.json").is_file():
            raise Unavailable(
                f"{shown(path)}: no store of {dataset} is there; `python -m datasets.prepare "
                f"{dataset} --root FOLDER --out {shown(path)}` makes it from the licensed data"
            )
        try:
            return self._open(task, path)
        except UserError as error:
            raise Unavailable(str(error)) from error

    def _open(self, task: str, path: Path | None) -> Data:
        kind = "tokenizer" if task == "tokenizer" else "video"
        if (kind, path) not in self._found:
            self._found[kind, path] = self._opened(task, path)
        return self._found[kind, path]

    def _opened(self, task: str, path: Path | None) -> Data:
        limit, name = self._options.limit, ""
        if path is None and not self._make:
            path, name = built_in_path(self._profile, task), "built-in"
            if not (path / "manifest.json").exists():
                self.unmade.append(task)
                return Data(path, name, "", 0, (), (), "")
        elif path is None:
            progress = not self._options.quiet and sys.stderr.isatty()
            path, name = make_built_in(self._profile, task, progress=progress), "built-in"
        found = open_data(path, task=task, name=name, limit=limit)
        require_body(found, find_body())
        if task == "tokenizer":
            window = self._profile.training.window
            if found.num_frames < window:
                raise UserError(
                    f"{path} holds clips of {found.num_frames} frames, fewer than the training "
                    f"window of {window}: prepare it again with --frames {window} or more"
                )
        else:
            self._require_size(found)
        return found

    def _require_size(self, found: Data) -> None:
        """Refuse clips of another length or size than the profile's transformer."""
        model = self._profile.unimo()
        try:
            size = probe(found.clips(found.test_ids[:1]).videos[0])
        except (VideoError, StoreError) as error:
            raise UserError(f"{found.path}: {error}: prepare it again") from error
        wanted = (model.num_frames, model.width, model.height)
        if (found.num_frames, size.width, size.height) != wanted:
            raise UserError(
                f"{found.path} holds clips of {found.num_frames} frames of {size.width}x"
                f"{size.height} pixels, the models of profile {self._profile.name} take "
                f"{wanted[0]} of {wanted[1]}x{wanted[2]}: prepare it again with --frames "
                f"{wanted[0]} --size {wanted[1]}, or choose another --profile"
            )
