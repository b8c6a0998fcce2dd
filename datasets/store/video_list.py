"""The videos that a job writes into its store's folder, so that it touches no others."""

import contextlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from datasets.store.schema import WORK, FolderError, StoreError
from datasets.tools.files import sha256_of

LIST_FILE = "videos.jsonl"


@dataclass(frozen=True)
class VideoList:
    """The list in ``.work/videos.jsonl``: a line before a video is written, one when it is there.

    Objects are small and can be pickled: the processes that make videos add lines of their own.

    Attributes:
        store: the store's folder.
        entries: path below the store -> what the video was made from and its sha256, both empty
            while it is not there.
    """

    store: Path
    entries: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, store: Path) -> "VideoList":
        """Return the list in a folder; empty where there is none."""
        entries: dict[str, tuple[str, str]] = {}
        with contextlib.suppress(FileNotFoundError):
            text = (store / WORK / LIST_FILE).read_text(encoding="utf-8", errors="replace")
            for line in text.splitlines():
                with contextlib.suppress(ValueError, TypeError):  # cut short by a kill
                    name, made_from, sha256 = json.loads(line)
                    entries[name] = made_from, sha256
        return cls(store, entries)

    def begin(self, video: Path) -> None:
        """Add a video that will be written.

        Raises:
            FolderError: a file of that name is there that the job did not write.
            StoreError: the list cannot be written.
        """
        name = video.relative_to(self.store).as_posix()
        if name not in self.entries and os.path.lexists(video):
            raise FolderError(
                f"{self.store} holds {name}, which this command did not write: move it, or name a "
                "new folder"
            )
        self._add(name, "", "")

    def finish(self, video: Path, made_from: str) -> None:
        """Record a video that is there, whole, and an identity of what it was made from.

        Raises:
            StoreError: the list cannot be written.
        """
        self._add(video.relative_to(self.store).as_posix(), made_from, sha256_of(video))

    def state(self, video: Path, made_from: str) -> str:
        """``made``, ``changed`` (its source is another one now) or ``missing`` (or damaged)."""
        before, sha256 = self.entries.get(video.relative_to(self.store).as_posix(), ("", ""))
        try:
            if not sha256 or sha256_of(video) != sha256:
                return "missing"
        except OSError:
            return "missing"
        return "made" if before == made_from else "changed"

    def any_made(self) -> bool:
        """Return True if a video of the list is there."""
        return any((self.store / name).is_file() for name in self.entries)

    def remove_others(self, keep: set[Path]) -> None:
        """Remove the videos of the list that are not in `keep`, and folders this leaves empty.

        Files that are not in the list stay, and nothing is removed behind a link.
        """
        folders: set[Path] = set()
        root = self.store.resolve()
        for name in self.entries:
            video = self.store / name
            if video.parent.resolve() != root / Path(name).parent:
                continue
            folders.update(Path(name).parents)
            ours = [video.with_name(f"{video.name}.tmp"), *([] if video in keep else [video])]
            for file in ours:
                with contextlib.suppress(FileNotFoundError):
                    file.unlink()
        for folder in sorted(folders - {Path()}, reverse=True):  # deeper ones before their parents
            with contextlib.suppress(OSError):  # not empty, or not there
                (root / folder).rmdir()

    def _add(self, *line: str) -> None:
        self.entries[line[0]] = line[1], line[2]
        # One write of a few hundred bytes to a file opened for appending is never mixed with
        # another process's. It begins with the end of a line: a kill may have cut the last one.
        file = self.store / WORK / LIST_FILE
        try:
            with file.open("ab", buffering=0) as lines:
                lines.write(b"\n" + json.dumps(line).encode())
        except OSError as error:
            raise StoreError(f"cannot write {file}: {error}") from error
