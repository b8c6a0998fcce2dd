"""A user's own video clips, without labels: a folder of mp4, mov, mkv, avi or webm files."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.adapters.formats.motion_files import printable
from datasets.sequence import PersonSequence, SkipLog
from datasets.store.work_folder import is_store
from datasets.tools.files import sha256_of
from datasets.video.files import VideoError
from datasets.video.frames import VideoFile

_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm")


@dataclass(frozen=True)
class Videos:
    """A dataset adapter over a folder of videos, searched recursively in sorted order.

    A file is one sequence without labels, named by its path below the root without the suffix; the
    people in it are not counted. Files of the same bytes are one group, named after the first, so
    that copies of a video stay on one side of a split. Folders that are clip stores are passed
    over. Rows are even in time (see `VideoFile`); of files whose frame rate varies,
    ``native["source_frame"]`` says which frame of the file a row shows.
    """

    name: str = "videos"
    version: int = 1
    needs_root: bool = True

    def sequences(
        self, root: Path | None, split: str | None = None, *, skipped: SkipLog | None = None
    ) -> Iterator[PersonSequence]:
        """Yield one sequence a file; files that cannot be read are skipped.

        Raises:
            FileNotFoundError: `root` is no folder, or holds no video.
            ValueError: a split was asked for: these files have none of their own.
        """
        if split is not None:
            raise ValueError(
                f"{self.name} has no official splits (datasets.store.splits derives them)"
            )
        if root is None or not Path(root).is_dir():
            raise FileNotFoundError(f"no folder {root}: name the one with the videos")
        root = Path(root)
        files = _videos_below(root)
        if not files:
            raise FileNotFoundError(
                f"no video ({', '.join(_SUFFIXES)}) in {root} or below it, clip stores left out"
            )
        skipped = SkipLog() if skipped is None else skipped
        usable = _usable(root, files, skipped)
        first = _first_of_same_bytes(list(usable.values()))
        names = {path: name for name, path in usable.items()}
        for name, path in usable.items():
            try:
                source = VideoFile.of(path)
            except (OSError, VideoError) as error:
                skipped.add(name, error.why if isinstance(error, VideoError) else str(error))
                continue
            yield _sequence(name, names[first[path]], source)


def _videos_below(root: Path) -> list[Path]:
    """Files that are named as videos, sorted, but for those of clip stores."""
    found = []
    for folder, below, names in os.walk(root):
        if is_store(Path(folder)):
            below.clear()
            continue
        found += [Path(folder, name) for name in names]
    return sorted(path for path in found if path.suffix.lower() in _SUFFIXES)


def _usable(root: Path, files: list[Path], skipped: SkipLog) -> dict[str, Path]:
    """Files by the names of their sequences; those that cannot be one are recorded."""
    usable: dict[str, Path] = {}
    seen = set()
    for path in files:
        name = printable(path.relative_to(root).with_suffix("").as_posix())
        if name in seen:
            skipped.add(name, f"another file has the same name but for {path.suffix}")
            continue
        seen.add(name)
        # Asked first: a link that leads nowhere, or in a circle, is no file.
        if path.is_file() and not path.resolve().is_relative_to(root.resolve()):
            skipped.add(name, "a link to a file outside the root")
            continue
        usable[name] = path
    return usable


def _first_of_same_bytes(files: list[Path]) -> dict[Path, Path]:
    """For every file the first one with its content: only files of one size are read."""
    by_size: dict[int, list[Path]] = {}
    for path in files:
        if path.is_file():
            by_size.setdefault(path.stat().st_size, []).append(path)
    first = {path: path for path in files}
    for same in by_size.values():
        owners: dict[str, Path] = {}
        for path in same if len(same) > 1 else ():
            # One that cannot be read stays alone, and is told when it is opened.
            with contextlib.suppress(OSError):
                first[path] = owners.setdefault(sha256_of(path), path)
    return first


def _sequence(name: str, group: str, source: VideoFile) -> PersonSequence:
    native = {}
    if not source.info.is_constant_rate:
        native["source_frame"] = source.source_frames
    return PersonSequence(
        dataset=DATASET.name,
        sequence=name,
        group=group,
        camera="0",
        num_people=0,
        frame_ids=np.arange(source.num_frames),
        valid=np.ones(source.num_frames, dtype=bool),
        fps=source.fps,
        native=native,
        native_frames=frozenset(native),
        source=source,
    )


DATASET = Videos()
