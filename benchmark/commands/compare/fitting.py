"""Checks that store, clip size and training data of the checkpoints fit together.

Clip sizes are read off the checkpoints' sidecars; `require_loads` opens the files.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmark.api.errors import Unavailable, UserError, one_line
from benchmark.runs.checkpoints import Checkpoint
from benchmark.runs.work_item import WorkItem
from datasets.estimators import EstimatorUnavailable
from datasets.video.probe import VideoError, probe


def require_fitting(items: Sequence[WorkItem]) -> None:
    """Refuse transformers for clips of another size than each other's or the store's.

    Raises:
        UserError: a length or a size that differs; the message names both.
    """
    sizes: dict[Path, tuple[int, int, int]] = {}
    for item in items:
        if item.implementation.checkpoint_class == "UniMo":
            sizes[item.weights] = _clip_size(item.weights)
    if not sizes:
        return
    (first, wanted), *others = sizes.items()
    for path, size in others:
        if size != wanted:
            raise UserError(
                f"{first} is of clips of {_text(wanted)}, {path} of {_text(size)}: compare "
                "checkpoints that take the same clips"
            )
    data = items[0].data
    video = data.clips(data.test_ids[:1]).videos[0]
    try:
        seen = probe(video)
    except VideoError as error:
        raise UserError(f"{data.path}: {error}: prepare it again") from error
    found = (data.num_frames, seen.width, seen.height)
    if found != wanted:
        raise UserError(
            f"{data.path} holds clips of {_text(found)}, {first} takes {_text(wanted)}: prepare it "
            f"again with --frames {wanted[0]} --size {wanted[1]}"
        )


def require_loads(item: WorkItem) -> None:
    """Check that the weights load, so that a bad file is a usage error before any work.

    Raises:
        UserError: the weights cannot be loaded, or what they need is not here.
    """
    load = _LOADERS.get(item.implementation.checkpoint_class, item.implementation.facts)
    try:
        load(item.weights)
    except (OSError, ValueError, EstimatorUnavailable, Unavailable) as error:
        is_plain = isinstance(error, (EstimatorUnavailable, Unavailable))
        reason = str(error) if is_plain else one_line(error)
        named = str(item.weights) in reason
        raise UserError(reason if named else f"{item.weights}: {reason}") from error


def _clip_size(weights: Path) -> tuple[int, int, int]:
    """Frames, width and height of the clips of a transformer."""
    from model.transformer import UniMoConfig

    config = Checkpoint.read(weights).config
    try:
        if config is None:
            raise ValueError("it has no config")
        model = UniMoConfig.from_dict(dict(config))
    except (TypeError, ValueError) as error:
        sidecar = weights.with_suffix(".json")
        raise UserError(f"{sidecar} is not of a transformer that can be made: {error}") from error
    return model.num_frames, model.width, model.height


def _text(size: tuple[int, int, int]) -> str:
    return f"{size[0]} frames of {size[1]}x{size[2]} pixels"


def _load_transformer(weights: Path) -> None:
    """With its codec and its tokenizer, which it must have been trained on."""
    from benchmark.methods import transformers

    if not Checkpoint.read(weights).training:
        raise ValueError("its .json does not say what tokens it was trained on: train it again")
    transformers.load(weights, "cpu")


def _load_regressor(weights: Path) -> None:
    """On the body that it was trained on."""
    from model.regressor.estimator import RegressorEstimator
    from model.regressor.network import MotionRegressor

    RegressorEstimator(checkpoint=weights).identity()
    MotionRegressor.load(weights)


# By class of the checkpoint; the facts of the others are counted in the loaded model.
_LOADERS: dict[str, Callable[[Path], object]] = {
    "UniMo": _load_transformer,
    "MotionRegressor": _load_regressor,
}
