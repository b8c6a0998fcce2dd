"""Samples of UniMo for a user's pictures and videos, written as files."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from datasets.adapters import amass
from datasets.adapters.embedded_shots import LENS
from datasets.motion import Motion
from datasets.tools.files import replacing
from datasets.tools.isolated import ToolMissing
from datasets.video.files import read_video, write_video
from datasets.video.pad_resize import PadResize
from model import assets
from model.generate.completion import Sampling
from model.generate.long_video import motion_of_video
from model.generate.pictures import camera, overlay, read_image
from model.generate.pipeline import Pipeline
from model.generate.request import GenerateError, Request, Source
from model.generate.retiming import RetimedVideo
from model.system import TrainedSystem
from model.token_store import token_identity
from model.training.checkpoint import weights_sha256
from model.transformer.sampling import top_p
from model.video_tokens.cosmos.diffusion_decoder import DecodeError
from model.video_tokens.pixels import Pixels, check_decoder, open_pixels
from model.video_tokens.seedvr import EnhanceError, SeedVR, SeedVRSession

_POSED_AT_ONCE = 32  # frames of a video that are held at a time


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A sample that was written.

    Attributes:
        files: its files by kind; ``json`` is still to be written.
        facts: JSON-ready, of this sample.
    """

    files: dict[str, Path]
    facts: dict


Generate = Callable[[Source], Iterator[Sample]]


def load(request: Request) -> Pipeline:
    """Return the parts that a request names.

    Raises:
        CheckpointError: a file that cannot be read, or parts that were not trained together.
        ValueError: sampling out of range, or a codec that does not fit the decoder.
    """
    top_p(torch.zeros(1), request.top_p, request.temperature)  # refuses what is out of range
    system = TrainedSystem.open(
        request.checkpoint or assets.UNIMO, codec=request.codec, tokenizer=request.tokenizer
    )
    pipeline = Pipeline.load(
        system, sampling=Sampling(request.top_p, request.temperature), device=request.device
    )
    check_decoder(request.decoder, pipeline.codec)
    config = pipeline.model.config
    if config.height != config.width:
        raise GenerateError(
            f"this model's pictures are {config.width}x{config.height}: only square ones are made "
            "from pictures of any size"
        )
    return pipeline


@contextmanager
def open_generator(pipeline: Pipeline, request: Request) -> Iterator[Generate]:
    """Give the function that writes the samples of one input and yields each.

    What makes the pixels, and SeedVR if it is asked for and installed, start once for all inputs.

    Raises:
        GenerateError: a tool cannot be started. The function's: a tool fails.
        ValueError: the function's: the input cannot be read.
        OSError: the function's: a file cannot be written.
    """
    if request.task == "v2m":
        yield lambda source: _video_to_motion(pipeline, source, request)
        return
    with ExitStack() as stack:
        try:
            pixels = stack.enter_context(
                open_pixels(request.decoder, pipeline.codec, device=request.device)
            )
            tool = SeedVR.installed() if request.enhance else None
            enhancer = stack.enter_context(tool.start(request.device)) if tool else None
        except (ToolMissing, DecodeError, EnhanceError) as error:
            raise GenerateError(str(error)) from error
        yield lambda source: _image_to_video(pipeline, source, request, pixels, enhancer)


def circumstances(pipeline: Pipeline, request: Request) -> dict:
    """Facts that all samples of a request share, JSON-ready."""
    return {
        "task": request.task,
        **({"note": pipeline.note} if pipeline.note else {}),
        "top_p": request.top_p,
        "temperature": request.temperature,
        "unimo_sha256": weights_sha256(pipeline.model),
        **token_identity(pipeline.codec, pipeline.tokenizer),
        "focal_length_in_longer_sides": LENS,
        "device": request.device,
        "threads": torch.get_num_threads(),  # with others, sums round differently
    }


def _image_to_video(
    pipeline: Pipeline,
    source: Source,
    request: Request,
    pixels: Pixels,
    enhancer: SeedVRSession | None,
) -> Iterator[Sample]:
    picture = read_image(source.path)
    size, fps = pipeline.model.config.width, pipeline.fps
    square = PadResize(picture.shape[1], picture.shape[0], size)
    images = np.repeat(square.image(picture)[None], request.samples, axis=0)
    visual, motions = pipeline.i2vm(images, request.seeds, progress=request.progress)
    note = pixels.note
    if request.enhance:
        note += f"; {enhancer.tool.note if enhancer else 'not enhanced: no SeedVR is installed'}"
    for seed, files, channels, ids in zip(
        request.seeds, source.files, motions, visual, strict=True
    ):
        try:
            video = pixels.decode(ids)
            files["json"].unlink(missing_ok=True)  # that of files which are now replaced
            write_video(files["mp4"], video, fps=fps)
            if enhancer:
                enhancer.enhance(files["mp4"], files["mp4"], size=(size, size), seed=seed)
                video = read_video(files["mp4"])
        except (DecodeError, EnhanceError) as error:
            raise GenerateError(str(error)) from error
        motion = Motion.from_channels(channels, fps=fps, space=pipeline.space)
        _write_motion(files, motion, video.shape[2], video.shape[1])
        if request.draw:
            _write_overlay(files["overlay"], video, motion, request)
        yield _sample(source, seed, files, fps=fps, pixels=note)


def _video_to_motion(pipeline: Pipeline, source: Source, request: Request) -> Iterator[Sample]:
    video = RetimedVideo.of(source.path, pipeline.fps)
    for seed, files in zip(request.seeds, source.files, strict=True):
        motion = motion_of_video(
            pipeline, video.frames(), fps=video.fps, seed=seed, progress=request.progress
        )
        files["json"].unlink(missing_ok=True)  # that of files which are now replaced
        _write_motion(files, motion, video.video.width, video.video.height)
        if request.draw:
            _write_overlay(files["overlay"], video.frames(), motion, request)
        sample = _sample(source, seed, files, fps=video.fps, pixels="the input's own")
        if video.note:
            sample.facts["retimed"] = video.note
        yield sample


def _write_motion(files: dict[str, Path], motion: Motion, width: int, height: int) -> None:
    """Write a motion twice: z up in AMASS's layout, and in the frame of the camera with its K."""
    amass.write(files["npz"], motion)
    with replacing(files["camera"]) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            body_pose=motion.body_pose,
            global_orient=motion.global_orient,
            betas=motion.betas,
            transl=motion.transl,
            fps=motion.fps,
            space=motion.space,
            up="-y" if motion.space == "camera" else "y",
            K=camera(width, height, 1).K[0],
            width=width,
            height=height,
        )


def _write_overlay(
    path: Path, frames: Iterable[np.ndarray], motion: Motion, request: Request
) -> None:
    """Write a video of a motion drawn over frames (H, W, 3) that come one by one."""

    def pictures() -> Iterator[np.ndarray]:
        coming = iter(frames)
        for start in range(0, len(motion), _POSED_AT_ONCE):
            piece = np.stack(list(itertools.islice(coming, _POSED_AT_ONCE)))
            yield from overlay(piece, motion[start : start + _POSED_AT_ONCE])

    bar = tqdm(
        pictures(),
        total=len(motion),
        desc="overlay",
        unit="frame",
        disable=not request.progress,
        leave=False,
    )
    write_video(path, bar, fps=motion.fps)


def _sample(
    source: Source, seed: int, files: dict[str, Path], *, fps: float, pixels: str
) -> Sample:
    facts = {
        "input": source.path.name,
        "seed": seed,
        "files": [file.name for kind, file in files.items() if kind != "json"],
        "fps": fps,
        "pixels": pixels,
    }
    return Sample(files=files, facts=facts)
