"""The common part of adapters for a user's own motion files: one file is one sequence.

An adapter says which files are its own and how to read one; `MotionFolder` walks the folder, skips
what cannot be read (with the reason) and keeps recordings of one moment in one group.

What belongs together is known from file names for the CMU database alone. An ``.npz`` may say so
itself: files with the same text in a scalar array ``group``, such as the two partners of a
recording, all go to train or all to test.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from datasets.adapters.formats.motion_checks import require_plausible
from datasets.adapters.formats.npz_file import read_npz, text
from datasets.adapters.formats.root_folder import files_below
from datasets.bodies.smplx import load_body
from datasets.motion import Motion
from datasets.sequence import PersonSequence, SkipLog
from datasets.tools.npz import npz_names

# The axis that is up in a file -> (3, 3), turns its axes to y up.
UP_TO_Y = {
    "x": np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]),
    "y": np.eye(3),
    "z": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "-y": np.diag([1.0, -1, -1]),
}

# Subjects of the CMU database (mocap.cs.cmu.edu) that were recorded together, two by two.
_CMU_PARTNERS = {19: 18, 21: 20, 23: 22, 34: 33, 61: 60}


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """Statements of the user about all files of a folder; None where there is none.

    Attributes:
        up: axis that is up in files that do not say it, a key of `UP_TO_Y`.
        fps: frames per second that are wanted, and those of files that do not say theirs.
        source_fps: frames per second of the files, whatever they say.
        gender: of files that do not say theirs.
        skeleton: a file that names the joints of the files' skeleton.
    """

    up: str | None = None
    fps: float | None = None
    source_fps: float | None = None
    gender: str | None = None
    skeleton: Path | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """The motion in a file, and how it was read.

    Attributes:
        motion: in a world with y up, in metres.
        valid: (T,) bool, frames with usable numbers; None where all are.
        up: the axis that was up in the file.
        is_up_stated: the file says so itself.
        assumed: what was assumed because the file does not say it, each in a few words.
    """

    motion: Motion
    valid: np.ndarray | None = None
    up: str = "y"
    is_up_stated: bool = False
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True)
class MotionFolder:
    """A dataset adapter over a folder of motion files, searched with `files_below`.

    Attributes:
        name: the adapter's name.
        version: raised whenever the same files give other motions.
        suffix: of the files, lower case with the dot; upper case in a file name is accepted.
        read: file and options -> its recording.
        group: sequence name -> group (see `PersonSequence.group`), where the file names none.
        own_group: file -> the group that it names, empty where it names none.
        is_motion: file name -> whether it is a motion at all; others are passed over silently.
        takes: the fields of `ReadOptions` that `read` knows, beside ``fps``.
        options: those of the user.
    """

    name: str
    version: int
    suffix: str
    read: Callable[[Path, ReadOptions], Recording]
    group: Callable[[str], str]
    is_motion: Callable[[str], bool] = lambda file_name: True
    own_group: Callable[[Path], str] = lambda path: ""
    takes: tuple[str, ...] = ()
    options: ReadOptions = ReadOptions()
    needs_root: bool = True

    def sequences(
        self, root: Path | None, split: str | None = None, *, skipped: SkipLog | None = None
    ) -> Iterator[PersonSequence]:
        """Yield one sequence a file, named by its path below `root` without the suffix.

        Raises:
            FileNotFoundError: `root` is no folder, or holds no file of this kind.
            ValueError: a split was asked for: these files have none of their own.
        """
        if split is not None:
            raise ValueError(
                f"{self.name} has no official splits (datasets.store.splits derives them)"
            )
        files = self.files(root)
        assert root is not None, "it has files"
        skipped = SkipLog() if skipped is None else skipped
        seen = set()
        for path in files:
            sequence = printable(path.relative_to(root).with_suffix("").as_posix())
            try:
                if sequence in seen:
                    raise ValueError("another file has the same name but for the suffix's case")
                seen.add(sequence)
                if not path.is_file():
                    raise ValueError("not a readable file")
                recording = self.read(path, self.options)
                motion = recording.motion
                valid = recording.valid
                if valid is None:
                    valid = np.ones(len(motion), dtype=bool)
                require_plausible(
                    motion,
                    valid,
                    up_to_y=UP_TO_Y[recording.up],
                    is_up_stated=recording.is_up_stated,
                )
                group = self.own_group(path) or self.group(sequence)
            except (OSError, ValueError) as error:
                skipped.add(sequence, printable(str(error)).replace("\n", " "))
                continue
            yield PersonSequence(
                dataset=self.name,
                sequence=sequence,
                frame_ids=np.arange(len(motion)),
                valid=valid,
                fps=motion.fps,
                group=group,
                world_motion=motion,
                files=(path,),
                assumed=recording.assumed,
            )

    def files(self, root: str | Path | None) -> list[Path]:
        """Return the motion files in `root` and below it, sorted.

        Raises:
            FileNotFoundError: `root` is no folder, or holds no file of this kind.
        """
        if root is None or not Path(root).is_dir():
            raise FileNotFoundError(f"no folder {root}: name the one with the {self.suffix} files")
        files = [
            path
            for path in files_below(Path(root))
            if path.suffix.lower() == self.suffix and self.is_motion(path.name)
        ]
        if not files:
            raise FileNotFoundError(f"no {self.suffix} motion file in {root} or below it")
        return files


def has_amass_layout(path: Path) -> bool:
    """Return True if an ``.npz`` is AMASS's: all joints in one array, and z up without saying so.

    Raises:
        ValueError: not an ``.npz``, or a damaged one.
    """
    keys = npz_names(path)
    return "poses" in keys and "up" not in keys


def npz_group(path: Path) -> str:
    """Return the text in the array ``group`` of an ``.npz`` file; empty where it has none.

    Raises:
        ValueError: unreadable, or it is not one text.
    """
    value = read_npz(path, {}, {"group": ("group",)}).get("group")
    if value is None:
        return ""
    if not (name := text(value)):
        raise ValueError("group is not one text: it names what must not be separated from the file")
    return printable(name)


def to_y_up(motion: Motion, up: str) -> Motion:
    """A motion with another axis up (a key of `UP_TO_Y`), turned about the world's origin."""
    if up == "y":
        return motion
    pelvis_rest = load_body(gender=motion.gender).rest_joints(motion.betas)[..., 0, :]
    turn = np.eye(4)
    turn[:3, :3] = UP_TO_Y[up]
    return motion.transformed(turn, pelvis_rest, space="world")


def take_group(sequence: str) -> str:
    """Return the take: the sequence itself, but one group for the two partners of a CMU take.

    ``cmu_60_03``, ``60_03`` and ``61/61_03_stageii`` are subject 60 or 61, take 3.
    """
    match = re.match(r"(?:cmu_?)?(\d+)_(\d+)(?!\d)", PurePosixPath(sequence).name, re.IGNORECASE)
    if match:
        subject, take = map(int, match.groups())
        if pair := _cmu_pair(subject):
            return f"cmu_{pair}_{take:02d}"
    return sequence


def subject_group(sequence: str) -> str:
    """Return the subject: the folder of the file, but one group for two CMU partners (60 and 61).

    A file in no folder has no subject and is a group of its own (`take_group`).
    """
    folder = PurePosixPath(sequence).parent
    if folder == PurePosixPath():
        return take_group(sequence)
    match = re.match(r"(\d+)(?!\d)", folder.name)
    if match and (pair := _cmu_pair(int(match[1]))):
        return (folder.parent / pair).as_posix()
    return folder.as_posix()


def _cmu_pair(subject: int) -> str | None:
    """``60+61`` for either partner, None for a subject recorded alone."""
    first = _CMU_PARTNERS.get(subject, subject)
    if first not in _CMU_PARTNERS.values():
        return None
    return f"{first}+{first + 1}"


def printable(name: str) -> str:
    """Return a file name as printable Unicode: bytes that are not UTF-8 are spelled out."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
