"""The time base and the frame of reference of training clips, which a checkpoint keeps."""

import sys

import numpy as np

from datasets.store.joined import JoinedStore
from datasets.store.reader import ClipStore


def clip_facts(store: ClipStore | JoinedStore, ids: list[str]) -> dict:
    """Facts of clips for a checkpoint's sidecar; a mixture of rates is said on stderr.

    Returns:
        ``fps``: frames per second, the median where they differ; ``space``: ``camera``, ``world``
        or ``camera and world``; ``datasets``: their names, sorted.
    """
    rates, wanted = store.fps(ids), set(ids)
    names = zip(store.clip_ids, store.index.column("dataset").to_pylist(), strict=True)
    if rates.max() > 1.01 * rates.min():
        print(
            f"the clips have {rates.min():g} to {rates.max():g} frames per second: the model "
            "learns a mixture of speeds and counts as one of their median rate",
            file=sys.stderr,
        )
    return {
        "fps": float(np.median(rates)),
        "space": " and ".join(sorted(set(store.spaces(ids)))),
        "datasets": sorted({dataset for name, dataset in names if name in wanted}),
    }
