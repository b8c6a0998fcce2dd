"""The stores of a run: those of the user, or the built-in data, each opened once."""

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.api.clips import Data
from benchmark.api.errors import Unavailable, UserError
from benchmark.api.paths import display_path
from benchmark.api.profile import Profile
from benchmark.runs.data import (
    built_in_path,
    make_built_in,
    open_data,
    prepared_path,
    require_body,
)
from datasets.bodies.smplx_file import find_body
from datasets.store.schema import StoreError
from datasets.video.probe import VideoError, probe


class Stores:
    """Finds the clips of a task, each store once.

    Args:
        profile: whose models must fit the clips.
        data: the stores of ``--data``; none for built-in data.
        test: the store of ``--test``; None: the one of `data` is trained and tested on.
        limit: evaluate on this many test clips; None: on all.
        quiet: display no progress.
        make: make built-in data that is not there; if False, `find` returns no clips in its place,
            and the cache holds nothing of them.

    Attributes:
        unmade: the tasks whose built-in data is not there and was not made.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        data: Sequence[Path] = (),
        test: Path | None = None,
        limit: int | None = None,
        quiet: bool = False,
        make: bool = True,
    ):
        self.unmade: list[str] = []
        if len(data) > 1 and test is None:
            raise UserError("--data names several stores: name the one to test on with --test")
        self._profile, self._limit = profile, limit
        self._tests = test is not None
        self._train = tuple(data) if self._tests else ()
        self._data = test if test is not None else next(iter(data), None)
        self._quiet, self._make = quiet, make
        self._found: dict[tuple[str, Path | None], Data] = {}

    def find(self, task: str, dataset: str = "") -> Data:
        """Return the clips for a task, of one dataset if it has a name.

        Raises:
            UserError: the user's store does not serve the task.
            Unavailable: there is no store of that dataset, or it does not serve the task.
        """
        if not dataset:
            return self._open(task, self._data)
        if self._data is not None:
            given = self._open(task, self._data)
            if given.dataset == dataset:
                return given
        path = prepared_path(dataset)
        if not (path / "manifest.json").is_file():
            where = display_path(path)
            raise Unavailable(
                f"{where}: no store of {dataset} is there; `python -m datasets.prepare {dataset} "
                f"--root FOLDER --out {where}` makes it from the licensed data"
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
        limit, name = self._limit, ""
        if path is None and not self._make:
            path, name = built_in_path(self._profile, task), "built-in"
            if not (path / "manifest.json").exists():
                self.unmade.append(task)
                return Data(
                    path=path,
                    name=name,
                    sha256="",
                    num_frames=0,
                    train_ids=(),
                    test_ids=(),
                    split_rule="",
                )
        elif path is None:
            progress = not self._quiet and sys.stderr.isatty()
            path, name = make_built_in(self._profile, task, progress=progress), "built-in"
        own = self._tests and path == self._data
        found = open_data(
            path,
            train=self._train if own else (),
            task=task,
            name=name,
            limit=limit,
            splits=("test",) if own and not self._train else ("train", "test"),
        )
        for one in (path, *found.train_paths):
            require_body(one, find_body())
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
        """Refuse clips of another length or size than the profile's transformer takes."""
        model = self._profile.unimo
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
