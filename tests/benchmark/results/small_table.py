"""A table of two columns, rows whose scores are known without any work, and their result."""

from pathlib import Path

from benchmark.api.clips import Data
from benchmark.api.metric import Score
from benchmark.api.table import Column
from benchmark.profiles import smoke
from benchmark.results import table as report
from benchmark.results.cells import RowOutcome
from benchmark.runs.cache import CachedStage, StageRecord
from benchmark.runs.chain import Outcome
from benchmark.runs.work_item import WorkItem

COLUMNS = (
    Column("mpjpe", "MPJPE", unit="mm", better="lower", decimals=2),
    Column("codebook_util_pct", "Use", unit="%", better="higher", decimals=1),
)
PAPER = """
Methods  MPJPE   Use
one      8.6344  80.08%
two      9.5     99.8%
three    7.5     -
"""


def data_of(split_rule="by hand"):
    """A store that is nowhere, of three clips."""
    ids = {"train_ids": ("a",), "test_ids": ("b", "c")}
    sha256 = "0" * 64
    return Data(
        path=Path("cmu"), name="cmu", sha256=sha256, num_frames=65, split_rule=split_rule, **ids
    )


def row_of(row, *outcomes, task="tokenizer", absent="", is_extra=False, split_rule="by hand"):
    """A row with one outcome for each of the seeds 0, 1, ..."""
    same = {"task": task, "method": row.method or "unimo", "weights": row.weights}
    same |= {"metrics": ("codebook", "pose") if task == "tokenizer" else ("pose",)}
    data = data_of(split_rule)
    items = [WorkItem(data=data, seed=seed, **same) for seed in range(len(outcomes))]
    return RowOutcome(row=row, items=items, outcomes=outcomes, absent=absent, is_extra=is_extra)


def result_of(rows, context, table):
    return report.measured_result(table, rows, context=context, profile=smoke(), options={})


def outcome(context, mpjpe, use=256):
    """A finished chain whose two clips score `mpjpe` - 1 and `mpjpe` + 1."""
    stages = ("train", "predict", "score codebook", "score pose")
    runs = {stage: CachedStage(context.cache, stage.split()[0], {"for": mpjpe}) for stage in stages}
    pose = [
        Score("b", "mpjpe", sum=10 * (mpjpe - 1), count=10),
        Score("c", "mpjpe", sum=10 * (mpjpe + 1), count=10),
    ]
    codebook = [Score("pooled", "codebook_util_pct", sum=100 * use, count=512, clips=2)]
    return Outcome(
        stages=runs,
        records={stage: StageRecord() for stage in stages},
        scores={"codebook": codebook, "pose": pose},
        absent={},
    )
