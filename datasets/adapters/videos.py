"""A user's own videos, without labels: a folder of video files or of folders of pictures."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.adapters.formats.motion_files import printable
from datasets.adapters.formats.root_folder import files_below
from datasets.sequence import FrameSource, PersonSequence, SkipLog
from datasets.store.work_folder import is_store
from datasets.tools.discovery import natural_key
from datasets.tools.files import sha256_of
from datasets.video.files import VideoError
from datasets.video.frames import ImageFiles, VideoFile

_SUFFIXES = (
    *(".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".ts", ".mts", ".m2ts"),
    *(".mpg", ".mpeg", ".flv", ".wmv", ".3gp", ".gif"),
)
_PICTURES = (".jpg", ".jpeg", ".png", ".bmp")


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """Facts about the files that the user gives.

    `fps` is rows per second, and the rate of folders of pictures; None keeps each video's own rate.
    """

    fps: float | None = None


@dataclass(frozen=True)
class Videos:
    """A dataset adapter over a folder of videos, searched recursively in sorted order.

    A file is one sequence without labels, named by its path below the root without the suffix; the
    people in it are not counted. So is a folder of pictures, in the order of their names, where the
    rate is given. Files of the same bytes are one group, named after the first, so that copies of
    a video stay on one side of a split. Folders that are clip stores are passed over. Rows are even
    in time (see `VideoFile`); where they are not the frames of the file one by one,
    ``native["source_frame"]`` says which frame a row shows.
    """

    name: str = "videos"
    version: int = 2
    needs_root: bool = True
    options: VideoOptions = VideoOptions()

    def sequences(
        self, root: Path | None, split: str | None = None, *, skipped: SkipLog | None = None
    ) -> Iterator[PersonSequence]:
        """Yield one sequence a file or folder of pictures; those that cannot be read are skipped.

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
        skipped = SkipLog() if skipped is None else skipped
        videos, folders, others = _kinds(files_below(root, is_left_out=is_store))
        if not (videos or folders):
            raise FileNotFoundError(
                f"no video ({', '.join(_SUFFIXES)}) and no folder of pictures in {root} or below "
                "it, clip stores left out"
            )
        for suffix, count in sorted(others.items()):
            skipped.add(f"*{suffix}", f"files of a kind that is not read: {count}")
        usable = _named(root, videos, skipped)
        first = first_of_same_bytes(list(usable.values()))
        names = {path: name for name, path in usable.items()}
        for name, path in usable.items():
            try:
                source = VideoFile.of(path, fps=self.options.fps)
            except (OSError, VideoError) as error:
                skipped.add(name, error.why if isinstance(error, VideoError) else str(error))
                continue
            yield _of_video(name, names[first[path]], source)
        for folder, files in folders.items():
            name = printable(folder.relative_to(root).as_posix())
            try:
                yield _of_pictures(name, files, self.options.fps)
            except ValueError as error:
                skipped.add(name, str(error))


def _kinds(files: list[Path]) -> tuple[list[Path], dict[Path, list[Path]], Counter]:
    """Videos, pictures by folder, and how many other files there are of each suffix."""
    videos: list[Path] = []
    folders: dict[Path, list[Path]] = {}
    others: Counter = Counter()
    for path in files:
        suffix = path.suffix.lower()
        if suffix in _SUFFIXES:
            videos.append(path)
        elif suffix in _PICTURES:
            folders.setdefault(path.parent, []).append(path)
        else:
            others[suffix] += 1
    return videos, folders, others


def _named(root: Path, files: list[Path], skipped: SkipLog) -> dict[str, Path]:
    """Files by the names of their sequences; of two with one name, the second is recorded."""
    usable: dict[str, Path] = {}
    for path in files:
        name = printable(path.relative_to(root).with_suffix("").as_posix())
        if name in usable:
            skipped.add(name, f"another file has the same name but for {path.suffix}")
            continue
        usable[name] = path
    return usable


def first_of_same_bytes(files: list[Path]) -> dict[Path, Path]:
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


def _of_video(name: str, group: str, source: VideoFile) -> PersonSequence:
    native = {} if source.keeps_frames else {"source_frame": source.source_frames}
    return _sequence(name, group, source, source.valid, source.fps, native)


def _of_pictures(name: str, files: list[Path], fps: float | None) -> PersonSequence:
    """Return the sequence of a folder of pictures.

    Raises:
        ValueError: the first is no picture, or nobody gave a rate.
    """
    if fps is None:
        raise ValueError(f"{len(files)} pictures have no rate: give their frames per second, --fps")
    source = ImageFiles.of(sorted(files, key=lambda file: natural_key(file.name)))
    return _sequence(name, name, source, np.ones(len(files), dtype=bool), fps, {})


def _sequence(
    name: str, group: str, source: FrameSource, valid: np.ndarray, fps: float, native: dict
) -> PersonSequence:
    return PersonSequence(
        dataset=DATASET.name,
        sequence=name,
        group=group,
        camera="0",
        num_people=0,
        frame_ids=np.arange(len(valid)),
        valid=valid,
        fps=fps,
        native=native,
        native_frames=frozenset(native),
        source=source,
    )


DATASET = Videos()
