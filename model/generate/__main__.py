"""``python -m model.generate i2vm IMAGE`` or ``v2m VIDEO``: run UniMo on pictures of one's own.

Writes, for every input and sample, to the folder ``--out``:

* ``NAME.npz``: the motion, SMPL-X in AMASS's layout (z up);
* ``NAME-camera.npz``: the same motion in the frame of the camera (OpenCV's: x right, y down, z
  forward, metres), and the camera's K in pixels;
* ``NAME-overlay.mp4``: the motion drawn over the video;
* ``NAME.mp4``: the video (i2vm);
* ``NAME.json``: how it was made, written last.

Without ``--checkpoint`` the small set that ships with the package is used: it has seen rendered
people of the built-in data alone, which is also said on stderr and in the ``note`` of the JSON.
"""

import argparse
import sys
from pathlib import Path

from datasets.tools.command_line import cannot_write, natural, positive, run_command
from datasets.tools.files import BusyError, owned, write_json
from model.generate.request import Request, sources
from model.training.device import add_device, device_named

_EPILOG = """\
examples:
  python -m model.generate i2vm photo.png --out out
  python -m model.generate i2vm photo.png --samples 4 --seed 7 --out out
  python -m model.generate v2m dance.mp4 --out out
exit codes: 0 done, 1 an input or the system failed, 2 a mistake in the command, 130 Ctrl-C
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = _parser().parse_args(argv)
    try:
        with owned(args.out, "generate"):
            options = {"inputs": tuple(args.inputs), "device": device_named(args.device)}
            return _generate(Request(**vars(args) | options))
    except (ValueError, OSError, BusyError) as error:
        _say(f"error: {cannot_write(error, args.out) or error}")
        return 1
    except KeyboardInterrupt:
        _say("stopped; files without their .json are incomplete")
        return 130


def _generate(request: Request) -> int:
    planned = sources(request)
    from model.generate import samples  # heavy

    pipeline = samples.load(request)
    shared, failed, pixels = samples.circumstances(pipeline, request), 0, ""
    with samples.open_generator(pipeline, request) as generate:
        for source in planned:
            try:
                for sample in generate(source):
                    write_json(sample.files["json"], {**sample.facts, **shared})
                    print(*sample.files.values(), sep="\n", flush=True)
                    if sample.files is source.files[0] and "retimed" in sample.facts:
                        _say(f"{source.path}: {sample.facts['retimed']}")
                    pixels = sample.facts["pixels"]
            except ValueError as error:
                failed += 1
                _say(f"error: {error}")
    if request.task == "i2vm" and pixels:
        _say(f"pixels: {pixels}")
    if pixels and pipeline.note:
        _say(f"note: {pipeline.note}")
    return 1 if failed else 0


def _say(text: str) -> None:
    print(" ".join(text.split()), file=sys.stderr)


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
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="output folder")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace files of an earlier call in --out"
    )
    parser.add_argument("--samples", type=positive, default=1, help="of each input (1)")
    parser.add_argument("--seed", type=natural, default=0, help="of the first sample (0)")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="DIR", help="of model.transformer.train, or its weights"
    )
    parser.add_argument(
        "--codec",
        metavar="WHICH",
        help="as for model.transformer.train, instead of the checkpoint's own",
    )
    parser.add_argument(
        "--tokenizer", type=Path, metavar="FILE", help="instead of the checkpoint's own"
    )
    parser.add_argument("--top-p", type=float, default=0.8, help="(0.8)")
    parser.add_argument("--temperature", type=float, default=1.0, help="0: the likeliest (1)")
    parser.add_argument(
        "--decoder",
        choices=("codec", "diffusion"),
        default="codec",
        help="makes the pixels: the codec itself, or Cosmos's 7B diffusion decoder",
    )
    parser.add_argument("--enhance", action="store_true", help="run SeedVR over the videos")
    parser.add_argument(
        "--no-overlay", dest="draw", action="store_false", help="draw no overlay, which is slow"
    )
    add_device(parser)
    parser.add_argument("--quiet", dest="progress", action="store_false", help="no progress bar")
    return parser


if __name__ == "__main__":
    run_command(main)
