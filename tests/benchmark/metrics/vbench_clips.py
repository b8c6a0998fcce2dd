"""Small videos for VBench, and what its metric is given of them."""

import numpy as np

from benchmark.api.clips import Clips
from benchmark.api.metric import Evaluation, MetricContext
from datasets.bodies.smplx_file import find_body
from datasets.video.files import write_video


def context(tmp_path, task="i2vm"):
    return MetricContext(task=task, body=find_body(), seed=0, dataset="", cache=tmp_path / "cache")


def pictures(shifts, *, side=128):
    """A grey ramp that is moved aside; colours would depend on who decodes them."""
    ramp = np.linspace(40, 210, side + max(shifts)).astype(np.uint8)
    ramp = np.broadcast_to(ramp[None, :, None], (side, len(ramp), 3))
    return [np.ascontiguousarray(ramp[:, shift : shift + side]) for shift in shifts]


def video(tmp_path, name, shifts=(0, 2, 4, 9, 3), *, side=128, fps=24):
    path = tmp_path / f"{name}.mp4"
    write_video(path, pictures(shifts, side=side), fps=fps)
    return path


def evaluation(tmp_path, videos):
    ids = [f"clip {number}" for number in range(len(videos))]
    channels = np.zeros((len(videos), 5, 79), np.float32)
    number = len(videos)
    spaces, genders = ["camera"] * number, ["neutral"] * number
    clips = Clips(
        ids=ids,
        channels=channels,
        fps=np.full(number, 24.0),
        spaces=spaces,
        genders=genders,
        store=tmp_path,
    )
    return Evaluation(
        context=context(tmp_path), clips=clips, motion=None, truth=None, videos=videos
    )


def quiet(what, done, total):
    pass
