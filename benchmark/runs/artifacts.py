"""Predictions, videos and scores: the files of a cached stage besides JSON."""

import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmark.api.clips import Data, Prediction
from benchmark.api.figure import SystemOutput
from benchmark.api.metric import Score
from benchmark.api.paths import display_path
from benchmark.runs.cache import CachedStage, damage_of, hashes, say
from datasets.motion import NUM_CHANNELS, NUM_SMPL_CHANNELS
from datasets.tools.files import read_json, replacing, with_own_sha256, write_json

# Clips per file, and the batch size of prediction: a resumed run forms the same batches, so it ends
# in the same floats.
PART_SIZE = 32

_SCORES = pa.schema(
    [
        ("clip_id", pa.string()),
        ("column", pa.string()),
        ("sum", pa.float64()),
        ("count", pa.float64()),
        ("clips", pa.int32()),
    ]
)


def finish_part(path: Path, clips: Iterable[int]) -> None:
    """Write the record of a part's file: its sha256 and those of the videos of its clips."""
    videos = [_video_path(path.parent, clip) for clip in clips]
    files = hashes(path.parent, [path, *(video for video in videos if video.is_file())])
    write_json(path.with_suffix(".json"), with_own_sha256({"files": files}))


def finished_clips(folder: Path) -> set[str]:
    """Return the clips in whole files; one that is damaged is said, and removed."""
    found: set[str] = set()
    for path in _parts(folder):
        record = read_json(path.with_suffix(".json"))
        damage = damage_of(folder, record) if record and "files" in record else "it has no record"
        if damage:
            say(f"{display_path(path)}: {damage}: it is made again")
            path.unlink()
        else:
            found.update(pq.read_table(path, columns=["clip_id"]).column(0).to_pylist())
    return found


def has_motion(folder: Path) -> bool:
    """Return True if a prediction holds motion, and not videos alone."""
    try:
        return any("channels" in pq.read_schema(path).names for path in _parts(folder))
    except (OSError, pa.ArrowException):  # whoever reads the motion says that it is damaged
        return False


def discard_failed_parts(stage: CachedStage) -> bool:
    """Remove the parts of a finished prediction in which clips failed; False if there are none.

    The stage is unfinished then.
    """
    record = stage.record()
    if record is None or not record.failed:
        return False
    (stage.folder / "run.json").unlink()
    for path in _parts(stage.folder):
        if any(pq.read_table(path, columns=["failed"]).column("failed").to_pylist()):
            path.unlink()
    return True


def require_none_crashed(crashed: Mapping[str, str], what: str, count: int) -> None:
    """Leave a stage unfinished whose tool crashed on some of `count` clips.

    Raises:
        RuntimeError: it did.
    """
    if crashed:
        clip, reason = next(iter(crashed.items()))
        raise RuntimeError(
            f"{what} crashed on {len(crashed)} of {count} clips, as {clip}: {reason} (the others "
            "are done; the same command tries again)"
        )


def part_path(folder: Path, number: int) -> Path:
    """Return the file of one part of a prediction."""
    return folder / f"predictions-{number:05d}.parquet"


def new_part_path(folder: Path, number: int) -> Path:
    """Return the file for clips of a part that its files do not hold yet."""
    first = part_path(folder, number)
    further = (first.with_stem(f"{first.stem}-{count}") for count in itertools.count(1))
    return next(path for path in itertools.chain([first], further) if not path.exists())


def write_videos(
    folder: Path, clips: Iterable[int], videos: Iterable[np.ndarray] | None, fps: Sequence[float]
) -> None:
    """Write the generated videos of the clips with these numbers.

    Nothing reads them before the part of the prediction with their clips is written.
    """
    if videos is None:
        return
    from datasets.video.files import write_video

    (folder / "videos").mkdir(parents=True, exist_ok=True)
    for number, frames, rate in zip(clips, videos, fps, strict=True):
        write_video(_video_path(folder, number), frames, fps=rate)


def videos(folder: Path, count: int) -> list[Path]:
    """Return the files of the generated videos of `count` clips."""
    return [_video_path(folder, number) for number in range(count)]


def _video_path(folder: Path, number: int) -> Path:
    return folder / "videos" / f"{number:05d}.mp4"


def write_predictions(path: Path, ids: Sequence[str], made: Prediction) -> None:
    """Write a row for each clip that did not crash, channels as float32, tokens as int32.

    Raises:
        ValueError: the prediction does not fit the clips, or holds NaN or infinite values.
    """
    columns = {
        "clip_id": pa.array(list(ids)),
        "failed": pa.array([made.failed.get(name, "") for name in ids]),
    }
    if made.channels is not None:
        channels = np.ascontiguousarray(made.channels, dtype=np.float32)
        widths = (NUM_CHANNELS, NUM_SMPL_CHANNELS)
        if channels.ndim != 3 or len(channels) != len(ids) or channels.shape[2] not in widths:
            raise ValueError(f"predicted channels {channels.shape} do not fit {len(ids)} clips")
        bad = [
            name
            for name, clip in zip(ids, channels, strict=True)
            if name not in {*made.failed, *made.crashed} and not np.isfinite(clip).all()
        ]
        if bad:
            raise ValueError(f"{len(bad)} predictions hold NaN or infinite values, as {bad[0]}")
        columns["channels"] = _lists(channels)
        columns["frames"] = pa.array([channels.shape[1]] * len(ids), pa.int32())
    if made.tokens is not None:
        columns["tokens"] = _lists(np.asarray(made.tokens, dtype=np.int32))
    table = pa.table(columns)
    if made.crashed:
        table = table.filter(pa.array([name not in made.crashed for name in ids]))
    _write(table, path)


def read_predictions(folder: Path, ids: Sequence[str]) -> Prediction:
    """The prediction of the clips named, in that order, from all parts in a folder.

    Raises:
        ValueError: a clip has no prediction, or a part cannot be read.
    """
    files = _parts(folder)
    try:
        if not files:
            raise FileNotFoundError("no part is there")
        tables = [pq.read_table(file) for file in files]
        # A part whose clips all failed has neither channels nor their width.
        columns = max((part.column_names for part in tables), key=len)
        table = pa.concat_tables(tables, promote_options="default").select(columns)
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{folder} holds a damaged prediction ({error})") from error
    position = {name: row for row, name in enumerate(table.column("clip_id").to_pylist())}
    missing = [name for name in ids if name not in position]
    if missing:
        raise ValueError(f"{folder} has no prediction for {len(missing)} clips, as {missing[0]}")
    rows = [position[name] for name in ids]

    def arrays(name: str) -> np.ndarray | None:
        """(ids, width) of a column of lists, zeros where there is none."""
        if name not in table.column_names:
            return None
        column = table.column(name).combine_chunks()
        there = column.is_valid().to_numpy(zero_copy_only=False)
        values = column.drop_null().flatten().to_numpy()
        found = np.zeros((len(table), len(values) // max(1, there.sum())), values.dtype)
        found[there] = values.reshape(-1, found.shape[1])
        return found[rows]

    channels = arrays("channels")
    if channels is not None:
        frames = max(filter(None, table.column("frames").to_pylist()))
        channels = channels.reshape(len(ids), frames, -1)
    reasons = table.column("failed").to_pylist()
    failed = {name: reasons[row] for name, row in zip(ids, rows, strict=True) if reasons[row]}
    return Prediction(channels, tokens=arrays("tokens"), failed=failed)


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("predictions-*.parquet"))


def system_output(folder: Path, data: Data, **known) -> SystemOutput:
    """Return the output of a system from the folder of its predictions of a store's test clips.

    Args:
        folder: of the predictions.
        data: the clips.
        known: the other fields of `SystemOutput`.
    """
    return SystemOutput(
        data=data,
        read_prediction=functools.partial(read_predictions, folder, data.test_ids),
        videos=videos(folder, len(data.test_ids)),
        **known,
    )


def write_scores(path: Path, scores: Sequence[Score]) -> None:
    """Write scores, a row each.

    Raises:
        ValueError: a sum or count that is NaN or infinite.
    """
    for score in scores:
        if not np.isfinite([score.sum, score.count]).all():
            raise ValueError(f"{score.column} of {score.clip_id} is {score.sum} / {score.count}")
    _write(pa.Table.from_pylist([vars(score) for score in scores], schema=_SCORES), path)


def read_scores(path: Path) -> list[Score]:
    """Read scores, in the order in which they were written.

    Raises:
        ValueError: the file is missing or damaged.
    """
    try:
        return [Score(**row) for row in pq.read_table(path).to_pylist()]
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path} cannot be read ({error})") from error


def _lists(array: np.ndarray) -> pa.Array:
    """Rows of an (N, ...) array as lists of equal length."""
    flat = array.reshape(len(array), -1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat.reshape(-1)), flat.shape[1])


def _write(table: pa.Table, path: Path) -> None:
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
