"""What the tests of ``compare`` share: its command line, checkpoints, and work in this process."""

import shutil
from pathlib import Path

from benchmark.api.metric import Score
from benchmark.runs.stages import perform
from tests.benchmark.work import ignore

EMPTY = b"\x02\0\0\0\0\0\0\0{}"  # a safetensors file without a tensor


def command(folder, data, out, *against, task="tokenizer", checkpoint="a/model.safetensors"):
    """The words of the command, for checkpoints named from `folder`."""
    against = [word if word == "paper" else str(folder / word) for word in against]
    return [
        *("compare", "--checkpoint", str(folder / checkpoint), "--against", *against),
        *("--task", task, "--data", str(data), "--out", str(out)),
        *("--workers", "1", "--quiet"),
    ]


def put(source: Path, target: Path) -> Path:
    """Copy a checkpoint."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".safetensors", ".json"):
        shutil.copy(source.with_suffix(suffix), target.with_suffix(suffix))
    return target


def without_workers(items, context, **options):
    """Stands for `execute`: does the work here, since a worker process takes seconds to start."""
    for item in items:
        perform(context, item, progress=ignore)
    return {}


def scores(means, counts=None):
    """Scores of clips a, b, c … with these means."""
    counts = counts or [10] * len(means)
    return [
        Score(chr(97 + clip), "mpjpe", sum=mean * count, count=count)
        for clip, (mean, count) in enumerate(zip(means, counts, strict=True))
    ]
