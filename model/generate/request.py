"""A request to generate samples, and the files that it will write. Standard library only."""

from dataclasses import dataclass
from pathlib import Path


class GenerateError(ValueError):
    """A request cannot be met. The message says why, in one line."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call of ``python -m model.generate``; see its options.

    Attributes:
        task: ``i2vm`` or ``v2m``.
        inputs: pictures or videos.
        out: the output folder.
        samples: of each input.
        seed: of the first sample.
        checkpoint: folder or weights of a trained system; None for the one that ships with the
            package.
        codec: as `model.video_tokens.choose.open_codec` takes it; None for the training's.
        tokenizer: the motion tokenizer; None for the training's.
        top_p: of the sampling.
        temperature: of the sampling; 0 takes the most likely token.
        decoder: ``codec`` or ``diffusion``.
        enhance: run SeedVR over the videos.
        draw: write overlays.
        overwrite: replace files that are there.
        device: ``cpu`` or ``cuda``.
        progress: show progress on stderr.
    """

    task: str
    inputs: tuple[Path, ...]
    out: Path
    samples: int
    seed: int
    checkpoint: Path | None
    codec: str | None
    tokenizer: Path | None
    top_p: float
    temperature: float
    decoder: str
    enhance: bool
    draw: bool
    overwrite: bool
    device: str
    progress: bool

    @property
    def seeds(self) -> list[int]:
        """A seed for each sample."""
        return [self.seed + number for number in range(self.samples)]


@dataclass(frozen=True, kw_only=True)
class Source:
    """An input and the files of its samples.

    Attributes:
        path: the input.
        files: for each sample its files by kind: ``mp4``, ``npz``, ``camera``, ``overlay``,
            ``json``.
    """

    path: Path
    files: list[dict[str, Path]]


def sources(request: Request) -> list[Source]:
    """Return the inputs with the names of their files; equal names of inputs are numbered.

    Raises:
        GenerateError: a file is an input, or is there already and may not be overwritten.
    """
    kinds = {
        "mp4": ".mp4" if request.task == "i2vm" else "",
        "npz": ".npz",
        "camera": "-camera.npz",
        "overlay": "-overlay.mp4" if request.draw else "",
        "json": ".json",
    }
    endings = {kind: ending for kind, ending in kinds.items() if ending}
    inputs = {path.resolve() for path in request.inputs}
    found, used = [], set()
    for path in request.inputs:
        name, number = path.stem, 2
        while used & {name + tail for tail in ("", "-overlay", "-camera")}:
            name, number = f"{path.stem}-{number}", number + 1
        used |= {name + tail for tail in ("", "-overlay", "-camera")}
        names = [name if request.samples == 1 else f"{name}-seed{seed}" for seed in request.seeds]
        files = [
            {kind: request.out / f"{name}{ending}" for kind, ending in endings.items()}
            for name in names
        ]
        found.append(Source(path=path, files=files))
    for file in (file for source in found for own in source.files for file in own.values()):
        if file.resolve() in inputs:
            raise GenerateError(f"{file} is an input: name another folder with --out")
        if file.exists() and not request.overwrite:
            raise GenerateError(
                f"{file} is there already: name another folder with --out, or give --overwrite"
            )
    return found
