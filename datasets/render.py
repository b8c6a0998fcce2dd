"""``python -m datasets.render CLIP``: a motion drawn over its video, or two side by side.

Nothing heavy is imported before there is work to do, so that ``--help`` answers at once.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.tools.command_line import command_parser, run_command

if TYPE_CHECKING:
    import numpy as np

    from datasets.motion import Camera, Motion
    from datasets.sequence import Clip

_MOTION_FILES = (".bvh", ".npz")
_KINDS = "a motion file: .bvh, or .npz of SMPL-X, plain or in AMASS's layout"
OPACITY = 0.65  # over a video, so that the person beneath can be seen
STAGE_SIZE = 512  # pixels, where there is no video
CAPTION = 28  # pixels high
COLOURS = ((0.36, 0.62, 0.92), (0.96, 0.58, 0.32))  # of the motion, and of the one against it

_EPILOG = """\
exit codes: 0 the video is there, 1 it cannot be written, 2 a mistake in the command or in what it
names, 130 stopped with Ctrl-C
"""


@dataclass(frozen=True, eq=False)
class Scene:
    """A motion and what it is drawn over."""

    name: str  # without characters that a file name cannot have
    caption: str  # one line for people
    motion: "Motion"  # SMPL-X; in the camera frame where there is a video
    view: "Camera | None" = None  # the video's camera, or None
    video: Path | None = None  # None puts the motion on a stage

    def pictures(self, colour: tuple[float, float, float]) -> "Iterator[np.ndarray]":
        """Yield the pictures, uint8 RGB of one size, with the body in a colour.

        Raises:
            ValueError: the video is damaged, or not the one that the clip's labels describe.
        """
        from datasets.bodies.smplx import load_body
        from datasets.rendering import draw
        from datasets.rendering.look import Look
        from datasets.rendering.stage import Stage

        body = load_body(gender=self.motion.gender)
        if self.video is None:
            stage = Stage.of(self.motion, body, STAGE_SIZE)
            return draw(
                stage.motion.to_channels(),
                stage.view,
                look=Look.shirt_only(colour),
                background=stage.pictures(),
                body=body,
            )
        return draw(
            self.motion.to_channels(),
            self.view,
            look=Look.plain(colour),
            background=_video(self),
            opacity=OPACITY,
            body=body,
        )


def load(word: str) -> Scene:
    """Return the scene that the command line names: a clip of a store, a store, or a motion file.

    Raises:
        OSError: there is no such file.
        ValueError: nothing there can be drawn; the message says why.
    """
    path = Path(word)
    if path.suffix.lower() in _MOTION_FILES:
        return Scene(path.stem, path.name, _motion(path))
    for folder in (path, *path.parents):
        if (folder / "manifest.json").is_file():
            return _scene(_clip(folder, path.relative_to(folder).as_posix()))
    what = "not a kind of motion file that is read" if path.is_file() else "no clip store there"
    raise FileNotFoundError(
        f"{word}: {what}: name STORE/CLIP_ID, a store made by `python -m datasets.prepare`, "
        f"or {_KINDS}"
    )


def render(left: Scene, right: Scene | None, out: Path) -> None:
    """Write the mp4 of a scene, or of two side by side under captions, as long as the shorter.

    Raises:
        ValueError: frame rates that differ, or a video that cannot be read.
        OSError: `out` cannot be written.
    """
    from tqdm import tqdm

    from datasets.video.files import write_video

    pictures, total = left.pictures(COLOURS[0]), len(left.motion)
    if right is not None:
        fps, other = left.motion.fps, right.motion.fps
        if abs(fps - other) > 0.01 * fps:
            raise ValueError(f"{fps:g} and {other:g} frames per second do not go side by side")
        total = min(total, len(right.motion))
        pairs = zip(pictures, right.pictures(COLOURS[1]), strict=False)
        pictures = (_side_by_side(pair, (left.caption, right.caption)) for pair in pairs)
    bar = tqdm(pictures, total=total, unit=" frames", leave=False, disable=None)
    try:
        write_video(out, map(_even, bar), fps=left.motion.fps)
    except OSError as error:
        raise OSError(f"cannot write {out}: {error.strerror or error}") from error


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 done, 1 failure, 2 usage, 130 Ctrl-C."""
    args = _parser().parse_args(argv)
    try:
        left = load(args.clip)
        right = load(args.against) if args.against else None
        out = Path(args.out or f"{left.name}.mp4")
        if out.is_dir() or not out.parent.is_dir():
            raise FileNotFoundError(f"--out {out} must be a file in a folder that exists")
        if out.suffix.lower() != ".mp4":
            raise ValueError(f"--out {out} must end in .mp4, the only kind of video written")
    except (OSError, ValueError) as error:
        return _fail(error, 2)
    try:
        render(left, right, out)
    except KeyboardInterrupt:
        print("interrupted: no video was written", file=sys.stderr)
        return 130  # what shells expect of Ctrl-C
    except ValueError as error:
        return _fail(error, 2)
    except OSError as error:
        return _fail(error, 1)
    print(out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(
        "datasets.render",
        "Write a video of a motion: over the clip's own video where it has one, else on a plain "
        "stage.",
        _EPILOG,
    )
    parser.add_argument(
        "clip",
        metavar="CLIP",
        help=f"STORE/CLIP_ID, a store (its first clip) or {_KINDS}, as model.generate writes it",
    )
    parser.add_argument("--against", metavar="CLIP", help="a second motion, shown beside it")
    parser.add_argument(
        "--out", metavar="FILE", help="the mp4 to write (default: named after CLIP, here)"
    )
    return parser


def _fail(error: Exception, code: int) -> int:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return code


def _clip(folder: Path, clip_id: str) -> "Clip":
    """Return a clip of the store at `folder`; its first one for the id ``.``."""
    import difflib

    from datasets.store.reader import ClipStore

    store = ClipStore.open(folder)
    if clip_id == ".":
        if not len(store):
            raise ValueError(f"{folder} has no clips")
        clip_id = store.clip_ids[0]
    if clip_id not in store.clip_ids:
        near = difflib.get_close_matches(clip_id, store.clip_ids, n=1, cutoff=0)
        raise ValueError(f"{folder} has no clip {clip_id}; the nearest is {' '.join(near)}")
    clip = store[clip_id]
    if fault := store.video_fault(clip_id):
        raise ValueError(f"{clip.video}: {fault}")
    return clip


def _motion(path: Path) -> "Motion":
    """Return the y-up world motion of a file that an adapter of `datasets.prepare` reads.

    Raises:
        OSError: there is no such file.
        ValueError: it cannot be read; the message says why.
    """
    from datasets.adapters import amass, bvh, smplx_npz
    from datasets.adapters.formats.motion_files import has_amass_layout

    try:
        if path.suffix.lower() == ".bvh":
            return bvh.read(path).motion
        return (amass if has_amass_layout(path) else smplx_npz).read(path).motion
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _scene(clip: "Clip") -> Scene:
    """Return a clip over its video where its camera is known, else on the stage."""
    from datasets.bodies.smplx import load_body
    from datasets.prepare.clip_video import file_name

    motion = clip.motion
    if motion is None:
        raise ValueError(
            f"{clip.clip_id} has no motion: estimate it with `python -m datasets.pseudo_gt`"
        )
    if motion.body != "smplx":
        raise ValueError(
            f"{clip.clip_id} is a motion of the SMPL body, and only SMPL-X is drawn: estimate an "
            "SMPL-X motion from its video with `python -m datasets.pseudo_gt` and draw that"
        )
    source = "labels" if clip.motion_source == "dataset" else clip.motion_source
    name = file_name(clip.clip_id.replace("/", "-"))
    caption = " ".join(f"{clip.dataset} {clip.sequence}: {source}".split())
    view = clip.view
    if clip.video is not None and view is not None:
        if motion.space == "world" and view.T_w2c is not None:
            rest = load_body(gender=motion.gender).rest_joints(motion.betas)[..., 0, :]
            motion = motion.transformed(view.T_w2c, rest, space="camera")
        if motion.space == "camera":
            return Scene(name, caption, motion, view, clip.video)
    return Scene(name, caption, motion)


def _video(scene: Scene) -> "np.ndarray":
    from datasets.video.files import read_video

    frames = read_video(scene.video)
    expected = (len(scene.motion), scene.view.height, scene.view.width, 3)
    if frames.shape != expected:
        raise ValueError(f"{scene.video} holds {frames.shape} numbers, its clip {expected}")
    return frames


def _side_by_side(
    pictures: "tuple[np.ndarray, np.ndarray]", captions: tuple[str, str]
) -> "np.ndarray":
    """Two pictures, the second as high as the first, each under its caption."""
    import numpy as np
    from PIL import Image

    height = len(pictures[0])
    panels = []
    for picture, caption in zip(pictures, captions, strict=True):
        if len(picture) != height:
            width = round(picture.shape[1] * height / len(picture))
            picture = np.asarray(Image.fromarray(picture).resize((width, height)))
        panels.append(np.concatenate([_strip(caption, picture.shape[1]), picture]))
    return np.concatenate(panels, axis=1)


def _strip(text: str, width: int) -> "np.ndarray":
    """(CAPTION, width, 3) uint8: a line of text, its beginning left out where it is too long."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(CAPTION / 2)
    strip = Image.new("RGB", (width, CAPTION), (24, 24, 27))
    margin, line = CAPTION // 4, text
    while len(line) > 1 and font.getlength(line) > width - 2 * margin:
        line = "…" + line[2:]
    ImageDraw.Draw(strip).text((margin, CAPTION // 2), line, (240, 240, 240), font, anchor="lm")
    return np.asarray(strip)


def _even(picture: "np.ndarray") -> "np.ndarray":
    """With a last row or column repeated where the number is odd, as video needs it."""
    import numpy as np

    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


if __name__ == "__main__":
    run_command(main)
