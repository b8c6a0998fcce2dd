"""One person of a BEDLAM sequence: from the motion file and the CSVs, or from processed labels."""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from datasets.adapters.formats import unreal
from datasets.adapters.formats.npz_file import read_npz, scalar, ten_betas, word
from datasets.bodies.smplx import load_body
from datasets.motion import Camera, Motion, require
from datasets.sequence import PersonSequence, finite_rows, hold, rows_at
from datasets.video.frames import ImageFiles

FPS = 30
SIX_FPS = "pictures of the 6 fps release: clips of 65 frames need the 30 fps images"
VISIBLE_JOINTS = 8  # of the 22, in the picture: fewer, and the official labels have no such row

_MOTION = {name: (name,) for name in ("poses", "trans", "betas", "gender")}
_MOTION_EXTRAS = {
    name: (name,) for name in ("global_ori", "mocap_frame_rate", "motion_info", "gender_sub")
}
_MOTION_FRAMES = ("poses", "trans", "global_ori")
_PROCESSED_FRAMES = ("pose_cam", "trans_cam", "shape", "cam_int", "cam_ext")
_PROCESSED = {name: (name,) for name in ("imgname", "sub", *_PROCESSED_FRAMES)}
_NUMBER = r"_(\d{4})\.png"  # ends the name of a picture


def pictures(folder: Path, *, rotated: bool) -> tuple[np.ndarray, ImageFiles]:
    """Image numbers (M,) and files of a folder ``png/seq_XXXXXX``.

    Raises:
        ValueError: there are none, they are those of the 6 fps release, or already turned.
    """
    number = re.compile(re.escape(folder.name) + _NUMBER)
    found = {}
    if folder.is_dir():
        found = {int(m[1]): path for path in folder.iterdir() if (m := number.fullmatch(path.name))}
    require(bool(found), f"no pictures {folder.parent.name}/{folder.name}/{folder.name}_0000.png")
    ids = np.array(sorted(found))
    require(not _is_6_fps(ids), SIX_FPS)
    source = ImageFiles.of(tuple(found[i] for i in ids), rotated=rotated)
    require(
        not rotated or source.width < source.height,
        "closeup pictures that are not on their side, as the release has them",
    )
    return ids, source


def from_motion(
    path: Path,
    body: unreal.PlacedBody,
    track: dict[str, np.ndarray],
    frame_ids: np.ndarray,
    source: ImageFiles,
    *,
    neutral: bool,
    **names,
) -> PersonSequence:
    """Return the labels of a ``motion_seq.npz`` that was put into the scene.

    Frame i of the pictures is frame ``start_frame + i`` of the motion and row i of the camera;
    beyond the end of either there is no label. The world is the motion file's own: y up, static,
    with the motion's origin.

    Args:
        path: of the motion file.
        body: its place.
        track: of `unreal.read_camera`.
        frame_ids: (M,) image numbers.
        source: the pictures.
        neutral: the file is a fit of the neutral body. Its ``gender`` is then not that of the
            betas, of which there are 11: the last is dropped (and stays in `native`).
        **names: further fields of the sequence.

    Raises:
        ValueError: the file is not usable, or no frame has a label.
        OSError: the body model of a gendered label is missing.
    """
    require(path.is_file(), f"no motion file {'/'.join(path.parts[-4:])}")
    arrays = read_npz(path, _MOTION, _MOTION_EXTRAS)
    fps = scalar(arrays.get("mocap_frame_rate", np.array(FPS)), "mocap_frame_rate")
    require(fps == FPS, f"a motion of {fps:g} fps under pictures of {FPS} fps")
    per_frame = [name for name in _MOTION_FRAMES if name in arrays]
    _require_rows(arrays, per_frame)
    arrays |= {name: rows_at(arrays[name], body.start_frame + frame_ids) for name in per_frame}
    track = {name: rows_at(column, frame_ids) for name, column in track.items()}
    poses, trans = arrays["poses"], arrays["trans"]
    require(poses.shape[1:] == (165,), f"poses have shape {poses.shape}, expected (T, 165)")
    labelled = finite_rows(poses, trans, *track.values())
    held = {name: hold(column, labelled) for name, column in track.items()}
    T_w2c = unreal.world_to_camera(held, body, rotated=source.rotated)
    K = unreal.intrinsics(held, source.width, source.height, rotated=source.rotated)
    view = Camera(K, T_w2c, source.width, source.height, pixel_origin="corner")
    world = Motion(
        body_pose=hold(poses[:, 3:66], labelled),
        global_orient=hold(poses[:, :3], labelled),
        betas=ten_betas(arrays["betas"]),
        transl=hold(trans, labelled),
        fps=FPS,
        space="world",
        gender="neutral" if neutral else word(arrays["gender"]),
    )
    pelvis_rest = load_body(gender=world.gender).rest_joints(world.betas)[0]
    seen = world.transformed(T_w2c, pelvis_rest, space="camera")
    placed = {"start_frame": body.start_frame, "Yaw": body.yaw}
    placed |= dict(zip("XYZ", body.position, strict=True))
    return PersonSequence(
        frame_ids=frame_ids,
        valid=labelled & _is_visible(seen, view),
        fps=FPS,
        view=view,
        camera_motion=seen,
        world_motion=world,
        native={**arrays, **track, **{name: np.array(value) for name, value in placed.items()}},
        native_frames=frozenset({*per_frame, *track}),
        pelvis_rest=pelvis_rest,
        source=source,
        files=(path,),
        **names,
    )


def read_processed(path: Path) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Return the rows of a processed scene file: sequence -> person (``sub``) -> arrays.

    Raises:
        ValueError: the file is not usable.
    """
    arrays = read_npz(path, _PROCESSED, {})
    _require_rows(arrays, _PROCESSED_FRAMES)
    rows = len(arrays["pose_cam"])
    for name, array in arrays.items():
        require(array.shape[:1] == (rows,), f"{path.name}: {name} and pose_cam differ in length")
    owner: dict[tuple[str, str], list[int]] = {}
    for row, (image, sub) in enumerate(zip(arrays["imgname"], arrays["sub"], strict=True)):
        owner.setdefault((str(image).partition("/")[0], str(sub)), []).append(row)
    found: dict[str, dict[str, dict[str, np.ndarray]]] = {}
    for (sequence, sub), own in owner.items():
        found.setdefault(sequence, {})[sub] = {name: array[own] for name, array in arrays.items()}
    return found


def from_processed(
    rows: dict[str, np.ndarray], frame_ids: np.ndarray, source: ImageFiles, **names
) -> PersonSequence:
    """Return the labels of one person in a processed file; in the camera frame only.

    There is a row for each picture that shows the person, found by the number in its name. The body
    is SMPLX(pose_cam, trans_cam) + cam_ext[:3, 3], with a ``cam_ext`` of each person's own. Its
    ``pose_world`` is y down and turns with the camera, so it is no world; the labels are fits of
    the neutral body whatever ``gender`` says. Rows are those of `read_processed`, the other
    arguments as for `from_motion`.

    Raises:
        ValueError: the rows are not usable.
    """
    found = [re.search(rf"{_NUMBER}$", str(image)) for image in rows["imgname"]]
    require(None not in found, "an imgname is not as seq_000000/seq_000000_0000.png is")
    numbers = np.array([int(match[1]) for match in found])
    require(len(set(numbers)) == len(numbers), "one person has two labels in one picture")
    require(
        not _is_6_fps(numbers),
        "labels of the 6 fps release: clips of 65 frames need the motion files",
    )
    at = np.full(max(numbers.max(), frame_ids.max()) + 1, -1)
    at[numbers] = np.arange(len(numbers))
    own = {name: rows_at(rows[name], at[frame_ids]) for name in _PROCESSED_FRAMES}
    pose, ext = own["pose_cam"], own["cam_ext"]
    require(pose.shape[1:] == (165,), f"pose_cam has shape {pose.shape}, expected (T, 165)")
    require(ext.shape[1:] == (4, 4), f"cam_ext has shape {ext.shape}, expected (T, 4, 4)")
    labelled = finite_rows(pose, own["trans_cam"], own["cam_int"], ext)
    K = hold(own["cam_int"], labelled)
    view = Camera(K, None, source.width, source.height, pixel_origin="corner")
    seen = Motion(
        body_pose=hold(pose[:, 3:66], labelled),
        global_orient=hold(pose[:, :3], labelled),
        betas=ten_betas(rows["shape"][:1]),
        transl=hold(own["trans_cam"] + ext[:, :3, 3], labelled),
        fps=FPS,
        space="camera",
    )
    return PersonSequence(
        frame_ids=frame_ids,
        valid=labelled,
        fps=FPS,
        view=view,
        camera_motion=seen,
        native=own,
        native_frames=frozenset(own),
        pelvis_rest=load_body().rest_joints(seen.betas)[0],
        source=source,
        **names,
    )


def _require_rows(arrays: dict[str, np.ndarray], names: Iterable[str]) -> None:
    """Raise `ValueError` unless these arrays are of floats, with a row a frame or a picture.

    Of floats, because missing rows are NaN.
    """
    for name in names:
        array = arrays[name]
        require(
            array.dtype.kind == "f" and array.ndim > 0,
            f"{name} has dtype {array.dtype} and shape {array.shape}, expected rows of floats",
        )


def _is_6_fps(numbers: np.ndarray) -> bool:
    """True if image numbers are those of the 6 fps release, which keeps those of 30 fps: 0, 5, 10.

    One picture alone does not tell.
    """
    return len(numbers) > 1 and not (numbers % 5).any()


def _is_visible(motion: Motion, view: Camera) -> np.ndarray:
    """(M,) bool: ahead of the camera, with enough joints in the picture.

    The rule of the official processing, which asks the first of the vertices, not of the joints.
    """
    joints = load_body(gender=motion.gender).joints(motion.to_channels())
    pixels = view.project(joints)
    inside = ((pixels >= 0) & (pixels <= [view.width, view.height])).all(axis=2)
    return (joints[..., 2] > 0).all(axis=1) & (inside.sum(axis=1) >= VISIBLE_JOINTS)
