"""VBench's quality of generated videos: appearance and motion (tables 2, 8 and 9 of the paper).

Values are raw, as the package gives them, not scaled as on VBench's leader board. The overall
columns are the plain means of three: the paper's printed overalls are that of its printed values.

The package's two readers differ: decord, for appearance, sees the colours that the file names
(BT.709, of ours); OpenCV, for motion, decodes any file as BT.601. It does so for all systems.
"""

from collections.abc import Sequence

from benchmark.api.method import Progress
from benchmark.api.metric import Evaluation, Metric, MetricContext, Score
from benchmark.api.paths import redact_paths

# Column -> the dimensions whose plain mean it is. Tables 2 and 8 name the overalls differently.
_APPEARANCE = ("subject_consistency", "background_consistency", "aesthetic_quality")
_MOTION = ("motion_smoothness", "temporal_flickering", "dynamic_degree")
_COLUMNS = {
    **{dimension: (dimension,) for dimension in _APPEARANCE},
    "appearance_overall": _APPEARANCE,
    **{dimension: (dimension,) for dimension in _MOTION},
    "motion_overall": _MOTION,
    "app": _APPEARANCE,
    "mot": _MOTION,
}


def mean_of_dimensions(column: str, values: Sequence[float]) -> float:
    """Return the value of a column for a clip: the plain mean of its dimensions."""
    if len(values) != len(_COLUMNS[column]):
        raise ValueError(f"{column} is of {len(_COLUMNS[column])} values, not of {len(values)}")
    return sum(values) / len(values)


class VBenchMetric(Metric):
    """The six dimensions of VBench that any video has, and their overalls."""

    columns = tuple(_COLUMNS)

    def protocol(self, context: MetricContext) -> str:
        """Name the versions, the device and the sha256 of all weights."""
        if context.task != "i2vm":
            return "of generated videos only"
        from benchmark.metrics.vbench_tool import client, weights
        from datasets.estimators.external import of_rehearsal
        from datasets.tools.isolated import ToolMissing

        try:
            tool = client.find_tool()
        except ToolMissing:
            return "vbench is not installed"
        absent = weights.missing()
        learned = "random weights of a rehearsal" if of_rehearsal(weights.root()) else "weights"
        files = "; ".join(
            f"{name} {'not measured' if name in absent else _short(weights.identity(name))}"
            for name in (*_APPEARANCE, *_MOTION)
        )
        return (
            f"{tool}; raw scores, of each clip; overall = plain mean of three; temporal_flickering "
            "of all clips, unfiltered; fps as in the file, which is the clip's (dynamic_degree "
            f"depends on it); sha256 of {learned}: {files}"
        )

    def missing(self, context: MetricContext) -> dict[str, str]:
        if context.task != "i2vm":
            return {}
        from benchmark.metrics.vbench_tool import client, weights
        from datasets.tools.isolated import ToolMissing

        try:
            client.find_tool()
        except ToolMissing as error:
            return dict.fromkeys(self.columns, str(error))
        absent = weights.missing()
        reasons = {
            column: "; ".join(absent[name] for name in dimensions if name in absent)
            for column, dimensions in _COLUMNS.items()
        }
        root = redact_paths(str(weights.root()))
        cure = f"for another folder than {root} set ${weights.ENV_ROOT}"
        return {column: f"{reason}; {cure}" for column, reason in reasons.items() if reason}

    def needs_estimate(self, *, has_motion: bool) -> bool:
        return False

    def score(self, evaluation: Evaluation, *, progress: Progress) -> list[Score]:
        """Return one score a clip and column; none without videos.

        Raises:
            VBenchError: see `benchmark.metrics.vbench_tool.client.measure`; nothing half measured
            is scored.
        """
        if not evaluation.videos:
            return []
        from benchmark.metrics.vbench_tool import client

        absent = {*self.missing(evaluation.context)}
        if absent == {*self.columns}:
            return []
        absent |= self.absent(evaluation).keys()
        columns = {
            column: names for column, names in _COLUMNS.items() if not absent & {column, *names}
        }
        values = client.measure(
            evaluation.videos,
            [name for name in (*_APPEARANCE, *_MOTION) if name in columns],
            folder=evaluation.context.cache / "vbench",
            progress=progress,
        )
        return [
            Score(
                clip_id,
                column,
                sum=mean_of_dimensions(column, [values[n][row] for n in names]),
                count=1,
            )
            for row, clip_id in enumerate(evaluation.clips.ids)
            for column, names in columns.items()
        ]

    def absent(self, evaluation: Evaluation) -> dict[str, str]:
        """Return the dimensions that some videos are too small for, and their overalls."""
        if not evaluation.videos:
            return {}
        from benchmark.metrics.vbench_tool import client

        small = client.too_small(evaluation.videos)
        reasons = {
            name: f"{name} needs pictures of at least {client.MIN_SIDE[name]} pixels on the "
            "shorter side"
            for name in small
        }
        found = {
            column: "; ".join(reasons[name] for name in names if name in small)
            for column, names in _COLUMNS.items()
        }
        return {column: reason for column, reason in found.items() if reason}

    def notes(self, scores: Sequence[Score]) -> list[str]:
        columns = {score.column for score in scores}
        if "temporal_flickering" not in columns:
            return []
        return [
            "temporal_flickering is of all clips. VBench's authors mean it for still scenes: mere "
            "motion lowers it."
        ]


def _short(identity: str) -> str:
    return "+".join(part[:12] for part in identity.split("+"))


METRIC = VBenchMetric()
