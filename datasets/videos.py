"""A user's own video clips, without labels: a folder of mp4, mov, mkv, avi or webm files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.frames import VideoFile
from datasets.motion_files import printable
from datasets.sequence import PersonSequence, SkipLog
from datasets.video import VideoError

_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm")


@dataclass(frozen=True)
class Videos:
    """A dataset adapter over a folder of videos, searched recursively in sorted order.

    A file is one sequence without labels, named by its path below the root without the suffix; the
    people in it are not counted. Rows are even in time (see `VideoFile`); of files whose frame rate
    varies, ``native["source_frame"]`` says which frame of the file a row shows.
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
            raise ValueError(f"{self.name} has no official splits (datasets.splits derives them)")
        if root is None or not Path(root).is_dir():
            raise FileNotFoundError(f"no folder {root}: name the one with the videos")
        root = Path(root)
        files = sorted(path for path in root.rglob("*") if path.suffix.lower() in _SUFFIXES)
        files = [path for path in files if not path.is_dir()]
        if not files:
            raise FileNotFoundError(f"no video ({', '.join(_SUFFIXES)}) in {root} or below it")
        skipped = SkipLog() if skipped is None else skipped
        seen = set()
        for path in files:
            sequence = printable(path.relative_to(root).with_suffix("").as_posix())
            if sequence in seen:
                skipped.add(sequence, f"another file has the same name but for {path.suffix}")
                continue
            seen.add(sequence)
            # Asked first: a link that leads nowhere, or in a circle, is no file.
            if path.is_file() and not path.resolve().is_relative_to(root.resolve()):
                skipped.add(sequence, "a link to a file outside the root")
                continue
            try:
                source = VideoFile.of(path)
            except (OSError, VideoError) as error:
                skipped.add(sequence, error.why if isinstance(error, VideoError) else str(error))
                continue
            yield _sequence(sequence, source)


def _sequence(name: str, source: VideoFile) -> PersonSequence:
    native = {}
    if not source.info.is_constant_rate:
        native["source_frame"] = source.source_frames
    return PersonSequence(
        dataset=DATASET.name,
        sequence=name,
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
