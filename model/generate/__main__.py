"""``python -m model.generate i2vm IMAGE`` or ``v2m VIDEO``: run UniMo on pictures of one's own.

Writes, for every input and sample, to the folder ``--out``:

* ``NAME.npz``: the motion, SMPL-X in AMASS's layout (z up);
* ``NAME-overlay.mp4``: the motion drawn over the video;
* ``NAME.mp4``: the video (i2vm);
* ``NAME.json``: how it was made, written last.

Without ``--checkpoint`` the small set that ships with the package is used: it has seen rendered
people of the built-in data alone, which is also said on stderr and in the ``note`` of the JSON.
"""

import argparse
import itertools
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.tools.command_line import cannot_write, natural, positive
from datasets.tools.files import write_json

if TYPE_CHECKING:  # heavy packages are imported where they are used, so that --help answers at once
    import numpy as np

    from datasets.motion import Motion
    from model.generate.pipeline import Pipeline

FPS = 30.0  # of the clips that models are trained on
_DRAWN = 32  # frames of a video that are held at a time; as many as are posed together
_EPILOG = """\
examples:
  python -m model.generate i2vm photo.png --out out
  python -m model.generate i2vm photo.png --samples 4 --seed 7 --out out
  python -m model.generate v2m dance.mp4 --out out
exit codes: 0 done, 1 an input or the system failed, 2 a mistake in the command, 130 Ctrl-C
"""


class GenerateError(ValueError):
    """Something asked for cannot be done. The message says why, in one line."""


@dataclass(frozen=True)
class Source:
    """An input file and the name of what is made from it."""

    path: Path
    name: str


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    args = _parser().parse_args(argv)
    try:
        sources = _named(args.inputs)
        args.out.mkdir(parents=True, exist_ok=True)
        pipeline = _load(args)
        make = _image_to_video if args.task == "i2vm" else _video_to_motion
        circumstances, failed, pixels = _circumstances(args, pipeline), 0, ""
        for source in sources:
            try:
                for files, facts in make(pipeline, source, args):
                    write_json(files["json"], {**facts, **circumstances})
                    print(*files.values(), sep="\n", flush=True)
                    pixels = facts["pixels"]
            except ValueError as error:
                failed += 1
                print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        if args.task == "i2vm" and pixels:
            print(f"pixels: {pixels}", file=sys.stderr)
        if pixels and pipeline.note:
            print(f"note: {pipeline.note}", file=sys.stderr)
    except (ValueError, OSError) as error:
        line = cannot_write(error, args.out) or error
        print(f"error: {' '.join(str(line).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; files without their .json are incomplete", file=sys.stderr)
        return 130
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.generate",
        description="Video with motion from an image, or motion from a video.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "task", choices=("i2vm", "v2m"), help="image to video and motion, or video to motion"
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="FILE", help="pictures, or videos")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    parser.add_argument("--samples", type=positive, default=1, help="of each input (1)")
    parser.add_argument("--seed", type=natural, default=0, help="of the first sample (0)")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="of model.transformer.train"
    )
    parser.add_argument("--codec", metavar="WHICH", help="as for model.transformer.train")
    parser.add_argument(
        "--tokenizer", type=Path, metavar="FILE", help="as for model.transformer.train"
    )
    parser.add_argument("--top-p", type=float, default=0.8, help="(0.8)")
    parser.add_argument("--temperature", type=float, default=1.0, help="0: the likeliest (1)")
    parser.add_argument(
        "--decoder",
        choices=("codec", "diffusion"),
        default="codec",
        help="what makes the pixels: the codec itself, or Cosmos's 7B diffusion decoder",
    )
    parser.add_argument("--enhance", action="store_true", help="run SeedVR over the videos")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def _named(paths: list[Path]) -> list[Source]:
    """A name for each input: its file's, numbered where several would write the same files."""
    sources, used = [], set()
    for path in paths:
        name, number = path.stem, 2
        while used & {name, f"{name}-overlay"}:
            name, number = f"{path.stem}-{number}", number + 1
        used |= {name, f"{name}-overlay"}
        sources.append(Source(path, name))
    return sources


def _load(args: argparse.Namespace) -> "Pipeline":
    """The parts that the command line names.

    Raises:
        GenerateError: no GPU where one was asked for, or a codec that cannot do what was.
        CheckpointError: a file that cannot be read, or parts that were not trained together.
    """
    import torch

    from model import assets
    from model.generate.pipeline import Pipeline, Sampling
    from model.tokenizer import MotionTokenizer
    from model.transformer.sampling import top_p
    from model.video_tokens.choose import open_codec

    if args.device == "cuda" and not torch.cuda.is_available():
        raise GenerateError("--device cuda: torch finds no GPU here; use --device cpu")
    top_p(torch.zeros(1), args.top_p, args.temperature)  # refuses what is out of range
    codec = open_codec(args.codec, device=args.device)
    if args.decoder == "diffusion" and not codec.name.startswith("cosmos"):
        raise GenerateError(
            f"the diffusion decoder reads Cosmos's tokens, not those of the {codec.name} codec: "
            "give Cosmos DV8x16x16 with --codec, and a checkpoint trained on its tokens"
        )
    tokenizer = MotionTokenizer.load(args.tokenizer or assets.TOKENIZER).to(args.device)
    pipeline = Pipeline.load(
        args.checkpoint or assets.UNIMO,
        codec,
        tokenizer,
        sampling=Sampling(args.top_p, args.temperature),
        device=args.device,
    )
    config = pipeline.model.config
    if config.height != config.width:
        raise GenerateError(
            f"this model's pictures are {config.width}x{config.height}: only square ones are made "
            "from pictures of any size"
        )
    return pipeline


def _image_to_video(
    pipeline: "Pipeline", source: Source, args: argparse.Namespace
) -> "Iterator[tuple[dict[str, Path], dict]]":
    """Make the samples of one picture; yields the files of each and what is said of it."""
    import numpy as np

    from datasets.adapters import amass
    from datasets.motion import Motion
    from datasets.video.files import read_video, write_video
    from datasets.video.pad_resize import PadResize
    from model.generate.pictures import overlay, read_image

    picture = read_image(source.path)
    square = PadResize(picture.shape[1], picture.shape[0], pipeline.model.config.width)
    seeds = [args.seed + number for number in range(args.samples)]
    kinds = ("mp4", "npz", "overlay", "json")
    outputs = [_files(args, source, seed, kinds) for seed in seeds]
    images = np.repeat(square.image(picture)[None], args.samples, axis=0)
    visual, motions = pipeline.i2vm(images, seeds, progress=not args.quiet)
    decoded = _decoded(pipeline, visual, args)
    for seed, files, channels, (video, pixels) in zip(
        seeds, outputs, motions, decoded, strict=True
    ):
        files["json"].unlink(missing_ok=True)  # that of files which are now replaced
        write_video(files["mp4"], video, fps=FPS)
        if args.enhance:
            pixels = f"{pixels}; {_enhanced(files['mp4'], pipeline.model.config.width, seed)}"
            video = read_video(files["mp4"])
        motion = Motion.from_channels(channels, fps=FPS, space="camera")
        amass.write(files["npz"], motion)
        write_video(files["overlay"], _shown(overlay(video, motion), motion, args), fps=FPS)
        yield files, _facts(source, seed, files, pixels)


def _video_to_motion(
    pipeline: "Pipeline", source: Source, args: argparse.Namespace
) -> "Iterator[tuple[dict[str, Path], dict]]":
    """Make the samples of one video; yields the files of each and what is said of it."""
    from datasets.adapters import amass
    from datasets.video.files import read_frames, write_video
    from datasets.video.probe import probe
    from model.generate.long_video import motion_of_video

    info = probe(source.path)
    # Models know movement at one rate: of a video twice as fast, every other picture is used.
    fps = float(info.fps)
    stride = max(1, round(fps / FPS))

    def frames() -> "Iterator[np.ndarray]":
        # Read again for every use: a minute of a phone's video takes 45 GB.
        return read_frames(source.path, range(0, info.num_frames, stride), info=info)

    for number in range(args.samples):
        seed = args.seed + number
        files = _files(args, source, seed, ("npz", "overlay", "json"))
        motion = motion_of_video(
            pipeline, frames(), fps=fps / stride, seed=seed, progress=not args.quiet
        )
        files["json"].unlink(missing_ok=True)  # that of files which are now replaced
        amass.write(files["npz"], motion)
        drawn = _shown(_overlaid(frames(), motion), motion, args)
        write_video(files["overlay"], drawn, fps=motion.fps)
        yield files, _facts(source, seed, files, "the input's own")


def _overlaid(frames: "Iterable[np.ndarray]", motion: "Motion") -> "Iterator[np.ndarray]":
    """Yield the pictures of `overlay` for frames (H, W, 3) that come one by one."""
    import numpy as np

    from model.generate.pictures import overlay

    frames = iter(frames)
    for start in range(0, len(motion), _DRAWN):
        piece = np.stack(list(itertools.islice(frames, _DRAWN)))
        yield from overlay(piece, motion[start : start + _DRAWN])


def _shown(
    pictures: "Iterator[np.ndarray]", motion: "Motion", args: argparse.Namespace
) -> "Iterable[np.ndarray]":
    """The pictures that are drawn of a motion, with a progress bar."""
    from tqdm import tqdm

    return tqdm(
        pictures, total=len(motion), desc="overlay", unit="frame", disable=args.quiet, leave=False
    )


def _decoded(
    pipeline: "Pipeline", visual: "np.ndarray", args: argparse.Namespace
) -> "Iterator[tuple[np.ndarray, str]]":
    """Yield the frames (T, H, W, 3) of each clip's visual tokens (N, t, h, w), and what made them.

    Raises:
        GenerateError: the diffusion decoder cannot be run.
    """
    if args.decoder == "codec":
        for tokens in visual:
            yield pipeline.codec.decode(tokens), pipeline.codec.decoder
        return
    from datasets.tools.isolated import ToolMissing
    from model.video_tokens.cosmos.diffusion_decoder import DecodeError, DiffusionDecoder

    decoder = DiffusionDecoder()
    try:
        with decoder.start(args.device) as session:
            for tokens in visual:
                yield session.decode(tokens), decoder.decoder
    except (ToolMissing, DecodeError) as error:
        raise GenerateError(str(error)) from error


def _enhanced(video: Path, size: int, seed: int) -> str:
    """Enhance a video in place; returns what was done.

    Raises:
        GenerateError: an installation that cannot be used.
    """
    from datasets.tools.isolated import ToolMissing
    from model.video_tokens.seedvr import EnhanceError, SeedVR, enhance

    try:
        tool = SeedVR.installed()
        return enhance(video, video, tool=tool, size=(size, size), seed=seed).note
    except (ToolMissing, EnhanceError) as error:
        raise GenerateError(str(error)) from error


def _files(
    args: argparse.Namespace, source: Source, seed: int, kinds: tuple[str, ...]
) -> dict[str, Path]:
    """The files of a sample by kind.

    Raises:
        GenerateError: one of them is an input.
    """
    name = source.name if args.samples == 1 else f"{source.name}-seed{seed}"
    endings = {"mp4": ".mp4", "npz": ".npz", "overlay": "-overlay.mp4", "json": ".json"}
    files = {kind: args.out / f"{name}{endings[kind]}" for kind in kinds}
    inputs = {path.resolve() for path in args.inputs}
    for file in files.values():
        if file.resolve() in inputs:
            raise GenerateError(f"{file} is an input: name another folder with --out")
    return files


def _facts(source: Source, seed: int, files: dict[str, Path], pixels: str) -> dict:
    return {
        "input": source.path.name,
        "seed": seed,
        "files": [file.name for kind, file in files.items() if kind != "json"],
        "pixels": pixels,
    }


def _circumstances(args: argparse.Namespace, pipeline: "Pipeline") -> dict:
    """What is the same for all that a command makes."""
    from datasets.adapters.embedded_shots import LENS
    from model.token_store import token_identity
    from model.training.checkpoint import weights_sha256

    return {
        "task": args.task,
        **({"note": pipeline.note} if pipeline.note else {}),
        "top_p": args.top_p,
        "temperature": args.temperature,
        "unimo_sha256": weights_sha256(pipeline.model),
        **token_identity(pipeline.codec, pipeline.tokenizer),
        "focal_length_in_longer_sides": LENS,
    }


if __name__ == "__main__":
    sys.exit(main())
