"""BEDLAM (v1): synthetic people in Unreal scenes, SMPL-X, 30 fps.

``root`` holds the scene folders (``<date>_<people>_<sequences>_…`` with ``be_seq.csv``,
``ground_truth/camera/`` and ``png/``, the site's ``-gt`` and ``-png`` archives) and a folder of
motions; or ``bedlam_data/images`` and ``bedlam_data/smplx_gt``, as the official scripts have it. Of
several folders of motions the first of `MOTIONS` is read: the neutral fits, then the gendered
truth, then the 16-beta fits of the locked-head body, whose shapes are only near those of SMPL-X.
Only where there is none are labels taken from the processed ``all_npz_12_training``.

A sequence is ``<scene folder>/seq_XXXXXX``, a person ``<person>_<seqid>``, and `num_people` counts
the bodies in the sequence. World motion is that of the motion file: y up and static, with an origin
of the person's own, so that ``T_w2c`` differs between people of one picture. Scenes named
``closeup`` were rendered on their side; their labels are of the upright pictures.

There is no official split with public labels: of the sequences that a scene folder's name counts,
those numbered from 80 % on are the test split, the others train, whatever part of them is there.
The same motion may be worn by another person in another scene; what never stands on two sides is a
sequence.
"""

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from datasets.adapters.formats import bedlam_labels, unreal
from datasets.adapters.formats.root_folder import FolderDataset
from datasets.motion import require
from datasets.sequence import PersonSequence, SkipLog

MOTIONS = (
    "neutral_ground_truth_motioninfo",
    "neutral_ground_truth",
    "gendered_ground_truth",
    "lockedhead_16betas_motioninfo",
)
PROCESSED = "all_npz_12_training"
TEST_FROM_PERCENT = 80
# Named closeup, but absent from the official list of scenes: nobody says which way is up.
AMBIGUOUS = "20221017_1_250_batch01hand_closeup_suburb_a"

_PLACES = ((".", "."), ("images", "smplx_gt"), ("bedlam_data/images", "bedlam_data/smplx_gt"))
_SCENE = re.compile(r"\d{8}[-_]\d+(?:-\d+)?[-_](?P<sequences>\d+)[-_].+")
_TAKE = re.compile(r"seq_(\d{6})")
_NAME = re.compile(r"[\w-][\w.-]*")


# Persons of a sequence, each with what makes its labels of (frame ids, pictures, **fields).
People = list[tuple[str, Callable[..., PersonSequence]]]


def _sequences(root: Path, split: str | None, skipped: SkipLog) -> Iterator[PersonSequence]:
    """Yield one sequence for each body of each scene's sequences."""
    scenes, labels = _find(root)
    for scene in scenes:
        try:
            _check_scene(scene)
            if labels.name == PROCESSED:
                takes = _processed_takes(scene, labels)
            else:
                takes = _takes(scene, labels, skipped)
        except (OSError, ValueError) as error:
            skipped.add(scene.name, str(error))
            continue
        for name, people in takes:
            own = split_of(scene.name, name)
            if own is None:
                skipped.add(f"{scene.name}/{name}", "no name of a sequence, as seq_000000 is")
            elif split in (None, own):
                yield from _take(scene, name, people, own, skipped)


def _take(
    scene: Path, name: str, people: People, split: str, skipped: SkipLog
) -> Iterator[PersonSequence]:
    sequence = f"{scene.name}/{name}"
    try:
        require(bool(people), "nobody is labelled")
        rotated = is_rotated(scene.name)
        frame_ids, source = bedlam_labels.pictures(scene / "png" / name, rotated=rotated)
    except (OSError, ValueError) as error:
        skipped.add(sequence, str(error))
        return
    for person, labels_of in people:
        try:
            found = labels_of(
                frame_ids,
                source,
                dataset=DATASET.name,
                sequence=sequence,
                camera="0",
                person=person,
                split=split,
                num_people=len(people),
            )
        except (OSError, ValueError) as error:
            skipped.add(f"{sequence}/{person}", str(error))
            continue
        yield found


def split_of(scene: str, take: str) -> str | None:
    """``train`` or ``test`` by the number of a sequence; None where its name has none."""
    number = _TAKE.fullmatch(take)
    if number is None:
        return None
    count = int(_SCENE.fullmatch(scene)["sequences"])
    return "test" if int(number[1]) * 100 >= TEST_FROM_PERCENT * count else "train"


def is_rotated(scene: str) -> bool:
    """Return True if a scene folder's pictures lie on their side: 90 degrees clockwise is upright.

    Words of a folder name are parted by ``-`` or ``_`` (one is spelled ``20221020-3-8_250_…``).
    """
    return "closeup" in re.split("[-_]", scene)


def _takes(scene: Path, motions: Path, skipped: SkipLog) -> list[tuple[str, People]]:
    """Sequences of a scene in the order of its ``be_seq.csv``, with motion files as labels."""
    require((scene / "be_seq.csv").is_file(), "no be_seq.csv: add the scene's -gt archive")
    groups = unreal.read_groups(scene / "be_seq.csv")
    takes = []
    for group in groups:
        if group.problem:
            skipped.add(f"{scene.name}/{group.name}", group.problem)
            continue
        placed = functools.partial(_placed, scene, motions, group.name)
        takes.append((group.name, [(b.name, functools.partial(placed, b)) for b in group.bodies]))
    return takes


def _placed(
    scene: Path, motions: Path, take: str, body: unreal.PlacedBody, *pictures, **names
) -> PersonSequence:
    person, _, motion = body.name.rpartition("_")  # persons have underscores themselves
    require(person != "", f"the body {body.name!r} is not <person>_<motion>")
    path = _inside(motions, person, motion) / "motion_seq.npz"
    file = scene / "ground_truth" / "camera" / f"{take}_camera.csv"
    require(file.is_file(), f"no {file.name}: add the scene's -gt archive")
    track = unreal.read_camera(file)
    neutral = motions.name.startswith("neutral")
    return bedlam_labels.from_motion(path, body, track, *pictures, neutral=neutral, **names)


def _processed_takes(scene: Path, labels: Path) -> list[tuple[str, People]]:
    """Sequences of a scene in the order of its folders, with processed labels."""
    names = [scene.name, f"{scene.name}_30fps", f"{scene.name}_6fps"]
    file = next((path for name in names if (path := labels / f"{name}.npz").is_file()), None)
    require(file is not None, f"no {PROCESSED}/{scene.name}.npz and no folder of motions")
    rows = bedlam_labels.read_processed(file)
    takes = []
    for folder in sorted(path for path in (scene / "png").iterdir() if path.is_dir()):
        people = [
            (person, functools.partial(bedlam_labels.from_processed, own))
            for person, own in sorted(rows.get(folder.name, {}).items())
        ]
        takes.append((folder.name, people))
    return takes


def _check_scene(scene: Path) -> None:
    require(scene.name != AMBIGUOUS, "not in the official list of scenes: rotation unknown")
    require(not scene.name.endswith("_6fps"), bedlam_labels.SIX_FPS)
    require((scene / "png").is_dir(), "no folder png: add the scene's -png archive (30 fps)")


def _inside(folder: Path, *names: str) -> Path:
    """Return a path of `folder` by names that a CSV file gives."""
    for name in names:
        require(_NAME.fullmatch(name) is not None, f"be_seq.csv names {name!r}, no file of BEDLAM")
    return folder.joinpath(*names)


def _find(root: Path) -> tuple[list[Path], Path] | None:
    """Return the scene folders below `root`, sorted, and that of their labels; None elsewhere."""
    for images, labels in _PLACES:
        choices = (root / labels / name for name in (*MOTIONS, PROCESSED))
        chosen = next((path for path in choices if path.is_dir()), None)
        if chosen is None or not (root / images).is_dir():
            continue
        folders = sorted((root / images).iterdir())
        scenes = [path for path in folders if _SCENE.fullmatch(path.name) and path.is_dir()]
        if scenes:
            return scenes, chosen
    return None


DATASET = FolderDataset(
    name="bedlam",
    version=1,
    is_root=lambda root: _find(root) is not None,
    holds=f"the scene folders (20221018_1_250_…) and {MOTIONS[0]}, or bedlam_data",
    read=_sequences,
)
