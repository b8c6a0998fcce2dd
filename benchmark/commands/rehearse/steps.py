"""The commands of the paper's run (docs/paper.md), in order, for a folder of miniatures."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmark.commands.rehearse.datasets import NAMES

PROFILE = "rehearsal"
REPORTS = "reports"
# Their folders name every system in a comparison, whose files have no profile that says it.
_OUR, _ONLY_V2M = "systems/rehearsal-our", "systems/rehearsal-only-v2m"
_TOKENIZER = "systems/rehearsal-tokenizer"
_LIMIT = "2"  # test clips of a row: FID and DIV need two


@dataclass(frozen=True, kw_only=True)
class Step:
    """A command that a user would give.

    Attributes:
        name: its name in the table of stages.
        module: that Python runs.
        options: its words; one with ``*`` in it stands for the first file that it matches.
        after: names of the steps without whose results it cannot run.
        tool: the tool, in an environment of its own, that it needs.
        processes: of torchrun; 0 for none.
        unseen: what it does not show, in words.
    """

    name: str
    module: str
    options: tuple[str, ...]
    after: tuple[str, ...] = ()
    tool: str = ""
    processes: int = 0
    unseen: str = ""


def steps(*, device: str, size: int, processes: int) -> Iterator[Step]:
    """Yield the steps.

    Args:
        device: ``cpu`` or ``cuda``.
        size: width and height of the clips' pictures, in pixels.
        processes: of the training under torchrun.
    """
    yield Step(name="doctor", module="benchmark.run", options=("doctor",))
    for name in NAMES:
        yield from _store(name, device=device, size=size)
    stores = tuple(f"data/{name}" for name in NAMES)
    labelled = tuple(f"pseudo ground truth {name}" for name in NAMES)
    yield Step(
        name="test set",
        module="datasets.prepare",
        options=("testset", "--stores", *stores, "--out", "data/testset", "--quiet"),
        after=labelled,
    )
    yield from _systems(device=device, processes=processes)
    yield from _generated(device=device)
    yield from _reports(device=device)


def _store(name: str, *, device: str, size: int) -> Iterator[Step]:
    """Clips of a dataset, and with GVHMR's motion in place of its own."""
    words = (name, "--root", f"roots/{name}", "--out", f"data/{name}-labels")
    yield Step(
        name=f"prepare {name}",
        module="datasets.prepare",
        options=(*words, "--size", str(size), "--quiet"),
        unseen="the licensed files themselves: a miniature has their layout",
    )
    words = ("--store", f"data/{name}-labels", "--estimator", "gvhmr", "--out", f"data/{name}")
    yield Step(
        name=f"pseudo ground truth {name}",
        module="datasets.pseudo_gt",
        options=(*words, "--device", device, "--quiet"),
        after=(f"prepare {name}",),
        tool="gvhmr",
        unseen="GVHMR's weights: its networks of pictures are stand-ins, the denoiser is random",
    )


def _systems(*, device: str, processes: int) -> Iterator[Step]:
    """The motion tokenizer, and transformers in each way of training."""
    common = ("--device", device, "--quiet")
    data = ("--data", "data/human4dit")
    yield Step(
        name="motion tokenizer",
        module="model.tokenizer.train",
        options=("--preset", PROFILE, *data, *common, "--out", _TOKENIZER),
        after=("pseudo ground truth human4dit",),
    )
    start = ("--cosmos", "--tokenizer", f"{_TOKENIZER}/model.safetensors")
    train = ("--config", PROFILE, *common)
    yield Step(
        name="transformer of both tasks",
        module="model.transformer.train",
        options=(*train, *data, *start, "--out", _OUR),
        after=("motion tokenizer",),
        unseen="memory of the paper's size: `benchmark.run speed --size paper` measures it",
    )
    nccl = "" if device == "cuda" else "; NCCL, as processes of a CPU speak gloo"
    yield Step(
        name=f"transformer Only V2M, {processes} processes",
        module="model.transformer.train",
        options=(*train, *data, *start, "--tasks", "v2m", "--out", _ONLY_V2M),
        after=("motion tokenizer",),
        processes=processes,
        unseen=f"eight processes, and their memory at the paper's size{nccl}",
    )
    yield Step(
        name="fine-tuning on threedpw",
        module="model.transformer.train",
        options=(*train, "--data", "data/threedpw", "--init", _OUR, "--out", f"{_OUR}-threedpw"),
        after=("transformer of both tasks", "pseudo ground truth threedpw"),
    )


def _generated(*, device: str) -> Iterator[Step]:
    """Files of one's own: a video's motion, and a picture's video with motion."""
    common = ("--checkpoint", _OUR, "--device", device, "--overwrite", "--quiet", "--out")
    after = ("transformer of both tasks", "test set")
    yield Step(
        name="generate v2m",
        module="model.generate",
        options=("v2m", "data/testset/videos/**/*.mp4", *common, "generated/v2m"),
        after=after,
    )
    yield Step(
        name="generate i2vm",
        module="model.generate",
        options=(
            *("i2vm", "roots/threedpw/imageFiles/**/*.jpg", "--decoder", "diffusion", "--enhance"),
            *(*common, "generated/i2vm"),
        ),
        after=after,
        unseen="cosmos-predict1 and SeedVR themselves: stand-ins take the true calls",
    )


def _reports(*, device: str) -> Iterator[Step]:
    """All tables and figures, what is compared, and the page."""
    common = ("--device", device, "--limit", _LIMIT, "--quiet", "--out", REPORTS)
    own = ("--checkpoint", _TOKENIZER, _OUR, _ONLY_V2M, f"{_OUR}-threedpw")
    yield Step(
        name="tables and figures",
        module="benchmark.run",
        options=(
            *("run", "all", "--profile", PROFILE, "--data", "data/human4dit"),
            *("--test", "data/testset", *own, *common, "--full"),
        ),
        after=("test set", "transformer of both tasks"),
        unseen="values: weights are random; 300 test clips; VBench's and GVHMR's own networks",
    )
    yield Step(
        name="compare",
        module="benchmark.run",
        options=(
            *("compare", "--checkpoint", f"{_OUR}/model.safetensors", "--task", "v2m"),
            *("--against", f"{_ONLY_V2M}/model.safetensors", "paper"),
            *("--data", "data/testset", *common),
        ),
        after=("test set", "transformer of both tasks"),
    )
    yield Step(
        name="page",
        module="benchmark.run",
        options=("report", "--out", REPORTS, "--full"),
        after=("tables and figures",),
    )
