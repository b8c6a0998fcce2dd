"""What the adapters for a user's own motion files share: one file is one sequence.

An adapter says which files are its own and how to read one; `MotionFolder` walks the folder, skips
what cannot be read (with the reason) and keeps recordings of one moment in one group.

What belongs together is known from file names for the CMU database alone. An ``.npz`` may say so
itself: files with the same text in a scalar array ``group``, such as the two partners of a
recording, all go to train or all to test.
"""

import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from datasets.bodies.smplx import load_body
from datasets.motion import Motion
from datasets.sequence import PersonSequence, SkipLog

# (x, y, z) -> (x, z, -y): z up becomes y up.
Z_UP_TO_Y_UP = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])

# Subjects of the CMU database (mocap.cs.cmu.edu) that were recorded together, two by two.
_CMU_PARTNERS = {19: 18, 21: 20, 23: 22, 34: 33, 61: 60}
_FASTEST = 20.0  # m/s; no sprinter reaches 13, and who walks by centimetres seems to do 100


@dataclass(frozen=True)
class MotionFolder:
    """A dataset adapter over a folder of motion files, searched recursively in sorted order.

    Attributes:
        name: the adapter's name.
        version: raised whenever the same files give other motions.
        suffix: of the files, lower case with the dot; upper case in a file name is accepted.
        read: file -> y-up world motion.
        group: sequence name -> group (see `PersonSequence.group`), where the file names none.
        own_group: file -> the group that it names, empty where it names none.
        is_motion: file name -> whether it is a motion at all; others are passed over silently.
    """

    name: str
    version: int
    suffix: str
    read: Callable[[Path], Motion]
    group: Callable[[str], str]
    is_motion: Callable[[str], bool] = lambda file_name: True
    own_group: Callable[[Path], str] = lambda path: ""
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
        if root is None or not Path(root).is_dir():
            raise FileNotFoundError(f"no folder {root}: name the one with the {self.suffix} files")
        files = self._files(Path(root))
        if not files:
            raise FileNotFoundError(f"no {self.suffix} motion file in {root} or below it")
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
                motion = self.read(path)
                _require_possible_speed(motion)
                group = self.own_group(path) or self.group(sequence)
            except (OSError, ValueError) as error:
                skipped.add(sequence, printable(str(error)).replace("\n", " "))
                continue
            yield PersonSequence(
                dataset=self.name,
                sequence=sequence,
                frame_ids=np.arange(len(motion)),
                valid=np.ones(len(motion), dtype=bool),
                fps=motion.fps,
                group=group,
                world_motion=motion,
            )

    def _files(self, root: Path) -> list[Path]:
        return sorted(
            path
            for path in root.rglob("*")
            if path.suffix.lower() == self.suffix
            and not path.is_dir()
            and self.is_motion(path.name)
        )


def npz_keys(path: Path) -> set[str]:
    """Names of the arrays of an ``.npz`` file; none of them is read.

    Raises:
        ValueError: not an ``.npz``, or a damaged one.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError("not an .npz file, or one cut short")
    try:
        with zipfile.ZipFile(path) as file:
            return {name.removesuffix(".npy") for name in file.namelist()}
    except Exception as error:  # of zipfile, as the damage will have it
        raise ValueError(f"not a readable .npz file: {error}") from error


def has_amass_layout(path: Path) -> bool:
    """Whether an ``.npz`` is AMASS's: all joints in one array, and z up without saying so.

    Raises:
        ValueError: not an ``.npz``, or a damaged one.
    """
    keys = npz_keys(path)
    return "poses" in keys and "up" not in keys


def read_npz(
    path: Path, needed: Mapping[str, tuple[str, ...]], optional: Mapping[str, tuple[str, ...]]
) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` under our names.

    Only the entries asked for are read, and pickled ones (dtype object) are never opened.

    Args:
        path: the file.
        needed: our name -> the keys it goes by in files; the first one there is taken.
        optional: as `needed`, left out of the result where the file has none.

    Raises:
        ValueError: not an ``.npz``, a damaged one, no key of a needed array, or it is pickled.
    """
    there = npz_keys(path)
    found = {}
    entry = ""
    try:
        with np.load(path, allow_pickle=False) as file:
            for name, keys in {**needed, **optional}.items():
                key = next((key for key in keys if key in there), None)
                if key is not None:
                    entry = f" (array {key})"
                    found[name] = file[key]
    except Exception as error:  # zip, zlib, header parser: each has its own exceptions
        raise ValueError(f"not a readable .npz file{entry}: {error}") from error
    for name, keys in needed.items():
        if name not in found:
            raise ValueError(f"no array {' or '.join(keys)}")
    return found


def npz_group(path: Path) -> str:
    """The text in the array ``group`` of an ``.npz`` file; empty where it has none.

    Raises:
        ValueError: unreadable, or it is not one text.
    """
    value = read_npz(path, {}, {"group": ("group",)}).get("group")
    if value is None:
        return ""
    if not (name := _text(value)):
        raise ValueError("group is not one text: it names what must not be separated from the file")
    return printable(name)


def _require_possible_speed(motion: Motion) -> None:
    """Refuse a person who is too fast for metres.

    Here and not in `Motion`: what a model makes may jump as it likes.

    Raises:
        ValueError: the root's median speed is above `_FASTEST`.
    """
    if len(motion) < 2:
        return
    steps = np.linalg.norm(np.diff(motion.transl.astype(np.float64), axis=0), axis=1)
    speed = np.median(steps) * motion.fps
    if speed > _FASTEST:
        raise ValueError(f"the root moves at {speed:.0f} m/s: are these centimetres?")


def scalar(value: np.ndarray, name: str) -> float:
    """A number stored as an array of one element.

    Raises:
        ValueError: it is not one number.
    """
    if value.size != 1 or value.dtype.kind not in "fiu":
        raise ValueError(f"{name} is not one number (shape {value.shape}, dtype {value.dtype})")
    return float(value.reshape(()))


def word(value: np.ndarray) -> str:
    """A word stored as an array of one (byte) string, lower case; '' where it is none."""
    return _text(value).lower()


def _text(value: np.ndarray) -> str:
    if value.size != 1 or value.dtype.kind not in "US":
        return ""
    found = value.reshape(()).item()
    return (found.decode("utf-8", "replace") if isinstance(found, bytes) else found).strip()


def ten_betas(betas: np.ndarray) -> np.ndarray:
    """The first ten shape components, (10,) or (T, 10), of (n,), (1, n) or (T, n), n >= 10.

    Raises:
        ValueError: there are fewer.
    """
    if betas.ndim == 2 and len(betas) == 1:
        betas = betas[0]
    if betas.ndim not in (1, 2) or betas.shape[-1] < 10:
        raise ValueError(f"betas have shape {betas.shape}, expected at least 10 columns")
    return betas[..., :10]


def to_y_up(motion: Motion) -> Motion:
    """A z-up motion turned to y up about the world's origin."""
    pelvis_rest = load_body().rest_joints(motion.betas)[..., 0, :]
    return motion.transformed(Z_UP_TO_Y_UP, pelvis_rest, space="world")


def take_group(sequence: str) -> str:
    """The take: the sequence itself, but one group for the two partners of a CMU take.

    ``cmu_60_03``, ``60_03`` and ``61/61_03_stageii`` are subject 60 or 61, take 3.
    """
    match = re.match(r"(?:cmu_?)?(\d+)_(\d+)(?!\d)", PurePosixPath(sequence).name, re.IGNORECASE)
    if match:
        subject, take = map(int, match.groups())
        if pair := _cmu_pair(subject):
            return f"cmu_{pair}_{take:02d}"
    return sequence


def subject_group(sequence: str) -> str:
    """The subject: the folder of the file, but one group for two CMU partners (60 and 61)."""
    folder = PurePosixPath(sequence).parent
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
    """A file name as printable Unicode: bytes that are not UTF-8 are spelled out."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
