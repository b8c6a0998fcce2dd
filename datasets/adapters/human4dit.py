"""Human4DiT-Video: people in videos of the web, with SMPL of 4D-Humans where it is at hand.

``root`` directly holds the CSV with the list of cuts, ``cut/`` with the videos as the dataset's
``video_cut.py`` leaves them, and ``smpl/demo_<video>.pkl`` (optional: the archive that is handed
out has held empty files). A sequence is a cut, named as in the list with the colons of its times,
which may be ``%3A``, ``_`` or ``-`` in file names. A cut is yielded without labels where its SMPL
file is missing or not readable; nobody has counted the people in it then.

Labels are SMPL (neutral) in camera space, per-frame estimates of one track that were never
smoothed: the shape changes with every frame, and depth follows from an assumed lens
(`datasets.adapters.formats.phalp_file`). The rest pelvis is the median of the file's joints, else
that of the SMPL-X body in use for the median betas, which is near but not the same.

The dataset has no official split. A source video with all its parts and cuts is a group, and one
in five is the test split (`datasets.store.splits.split_of` its id).
"""

import csv
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets import rotation
from datasets.adapters.formats.phalp_file import FOCAL_PER_PIXEL, PhalpTrack, read_track
from datasets.adapters.formats.root_folder import FolderDataset
from datasets.bodies.smplx import load_body
from datasets.motion import Camera, Motion, require
from datasets.sequence import PersonSequence, SkipLog, finite_rows, hold, rows_at
from datasets.store.splits import split_of
from datasets.video.frames import VideoFile

_TIME = "%H:%M:%S.%f"
_TIME_IN_NAME = re.compile(r"(\d\d)(?::|%3[Aa]|[_-])(\d\d)(?::|%3[Aa]|[_-])(\d\d\.\d)")


class Cut(NamedTuple):
    """A row of the list: the source video's id, and names of the cut without suffix.

    Names in the order of preference: with the part of the video, and without, as videos of one part
    are named.
    """

    video: str
    names: tuple[str, str]


def _sequences(root: Path, split: str | None, skipped: SkipLog) -> Iterator[PersonSequence]:
    """Yield one sequence for each cut of the list whose video is there.

    Raises:
        ValueError: there are several lists, or the one there is no CSV.
    """
    videos = _by_name(root / "cut", "", ".mp4")
    labels = _by_name(root / "smpl", "demo_", ".pkl")
    cuts: dict[str, str] = {}
    for cut in read_cuts(_list_of(root), skipped):
        name = next((name for name in cut.names if _plain(name) in videos), None)
        if name is not None:
            cuts[name] = cut.video
        elif split in (None, split_of(cut.video)):
            reason = "no such video in cut: not downloaded, or beyond the first five minutes"
            skipped.add(cut.names[-1], reason)
    for unknown in sorted(videos.keys() - {_plain(name) for name in cuts}):
        skipped.add(videos[unknown].name, "a video that the list has no row for")
    for name, video in sorted(cuts.items()):
        if split not in (None, split_of(video)):
            continue
        try:
            source = VideoFile.of(videos[_plain(name)])
        except (OSError, ValueError) as error:
            skipped.add(name, str(error))
            continue
        fields = {"valid": np.ones(source.num_frames, bool), "num_people": 0}
        if file := labels.get(_plain(name)):
            try:
                fields = {**labels_of(read_track(file), source), "files": (file,)}
            except (OSError, ValueError) as error:
                skipped.add(file.name, f"labels not used: {error}")
        yield PersonSequence(
            dataset=DATASET.name,
            sequence=name,
            camera="0",
            split=split_of(video),
            group=video,
            fps=source.fps,
            frame_ids=np.arange(source.num_frames),
            source=source,
            **fields,
        )


def read_cuts(file: Path, skipped: SkipLog) -> Iterator[Cut]:
    """Yield the rows of a list; those that name no cut are recorded.

    Columns go by position, and the header is passed over: URL of the video, its part, number of the
    stretch of 3600 frames, start and end in it, SMPL file (which is not used).

    Raises:
        ValueError: not a CSV file.
    """
    with file.open(newline="", encoding="utf-8-sig", errors="replace") as lines:
        rows = csv.reader(lines)
        try:
            next(rows, None)
            for row in rows:
                try:
                    yield _cut(row)
                except ValueError as error:
                    skipped.add(f"{file.name} line {rows.line_num}", str(error))
        except csv.Error as error:
            raise ValueError(f"{file} is not a CSV file: {error}") from error


def _cut(row: list[str]) -> Cut:
    require(len(row) >= 5, f"{len(row)} columns, expected URL, part, clip, start, end, SMPL file")
    video, part, clip = row[0].split("/")[-1], _number(row[1]), _number(row[2])
    start, end = map(_time, row[3:5])
    require(start < end, f"it ends at {row[4]}, before its start")
    require(re.fullmatch(r"[\w-]+", video) is not None, f"{video!r:.80} is not the id of a video")
    hours, seconds = divmod((end - start).total_seconds(), 3600)
    minutes, seconds = divmod(seconds, 60)
    rest = f"{clip}_{row[3]}_{int(hours):02}:{int(minutes):02}:{seconds:06.3f}"
    return Cut(video, (f"{video}_p{part}_{rest}", f"{video}_{rest}"))


def _number(word: str) -> int:
    require(word.strip().isdecimal(), f"{word!r:.40} is not the number of a part or a stretch")
    return int(word)


def _time(word: str) -> datetime:
    try:
        return datetime.strptime(word, _TIME)
    except ValueError:
        raise ValueError(f"{word!r:.40} is not a time, as 00:00:10.500 is") from None


def labels_of(track: PhalpTrack, source: VideoFile) -> dict:
    """Return the fields of a `PersonSequence` that a track of a video gives.

    Raises:
        ValueError: the track is of another video, or has no usable frame.
    """
    frames = source.num_frames
    images = source.source_frames + 1  # the dataset counts images from 1
    at = np.searchsorted(track.images, images).clip(max=len(track.images) - 1)
    rows = np.where(track.images[at] == images, at, -1)
    names = ("global_orient", "body_pose", "betas", "camera")
    native = {name: rows_at(getattr(track, name), rows) for name in names}
    valid = finite_rows(*native.values())
    matrices = np.concatenate([native["global_orient"], native["body_pose"]], axis=1)
    valid[valid] = rotation.is_rotation(matrices[valid]).all(axis=1)
    pose = rotation.matrix_to_axis_angle(hold(matrices, valid))
    betas = hold(native["betas"], valid)
    motion = Motion(
        global_orient=pose[:, 0],
        body_pose=pose[:, 1:].reshape(frames, -1),
        betas=betas,
        transl=hold(native["camera"], valid),
        fps=source.fps,
        space="camera",
        body="smpl",
    )
    focal = FOCAL_PER_PIXEL * max(source.width, source.height)
    K = np.array([[focal, 0, source.width / 2], [0, focal, source.height / 2], [0, 0, 1]])
    rests = np.empty((0, 3)) if track.pelvis_rest is None else track.pelvis_rest
    rests = rests[finite_rows(rests)]
    if len(rests):
        rest = np.median(rests, axis=0)
    else:
        rest = load_body().rest_joints(np.median(betas, axis=0))[0]
    return {
        "valid": valid & source.valid,
        "num_people": track.num_people,
        "view": Camera(np.broadcast_to(K, (frames, 3, 3)), None, source.width, source.height),
        "camera_motion": motion,
        "pelvis_rest": rest,
        "native": native,
        "native_frames": frozenset(native),
    }


def _is_root(folder: Path) -> bool:
    return (folder / "cut").is_dir() and any(folder.glob("*.csv"))


def _list_of(root: Path) -> Path:
    lists = sorted(root.glob("*.csv"))
    require(len(lists) == 1, f"{root} holds {len(lists)} .csv files: leave only the list of cuts")
    return lists[0]


def _by_name(folder: Path, prefix: str, suffix: str) -> dict[str, Path]:
    """Files of a folder by plain name; rows of the list are looked up here, never opened."""
    names = {file.name: file for file in sorted(folder.glob("*")) if file.suffix == suffix}
    return {
        _plain(name.removeprefix(prefix).removesuffix(suffix)): file
        for name, file in names.items()
        if name.startswith(prefix)
    }


def _plain(name: str) -> str:
    """Return a name as it is compared, however the colons of its times were written."""
    return _TIME_IN_NAME.sub(r"\1:\2:\3", name)


DATASET = FolderDataset(
    name="human4dit",
    version=1,
    is_root=_is_root,
    holds="Human4DiT-Video's .csv and cut",
    read=_sequences,
)
