"""Frames per second of inputs and of checkpoints, and what becomes of them."""

import json
from fractions import Fraction

import av
import numpy as np
import pytest

from datasets.adapters import amass
from datasets.video.files import write_video
from datasets.video.probe import probe
from model.generate.retiming import RetimedVideo
from tests.damage import rewrite_json


@pytest.mark.parametrize(
    ("frames", "fps", "expected", "rate", "says"),
    [
        (20, 30, 20, 30, None),
        (5, 25, 5, 25, "25 frames per second, the model's 30"),
        (23, 60, 12, 30, "one frame in 2"),
        (8, 10, 22, 30, "10 frames per second brought to the model's 30"),
        (27, 45, 18, 30, "45 frames per second brought to the model's 30"),
    ],
)
def test_videos_of_any_length_size_and_rate_get_their_motion(
    run, tmp_path, capsys, frames, fps, expected, rate, says
):
    pictures = np.random.default_rng(0).integers(0, 255, (frames, 48, 90, 3), np.uint8)
    write_video(tmp_path / "clip.mp4", pictures, fps=fps)
    assert run("v2m", tmp_path / "clip.mp4") == 0
    motion = amass.read(tmp_path / "out" / "clip.npz").motion
    assert len(motion) == expected and motion.fps == pytest.approx(rate)
    record = json.loads((tmp_path / "out" / "clip.json").read_text())
    assert record["fps"] == pytest.approx(rate) and record.get("retimed") == says
    assert (says is None) or says in capsys.readouterr().err
    info = probe(tmp_path / "out" / "clip-overlay.mp4")
    assert info.num_frames == expected and info.width > 3 * info.height


def test_frames_of_a_varying_rate_stand_where_they_were_shown(tmp_path):
    """A second at 10, then a second at 30 frames per second."""
    ticks = [*range(0, 30, 3), *range(30, 61)]
    with av.open(str(tmp_path / "varies.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width = stream.height = 64
        stream.codec_context.time_base = Fraction(1, 30)
        for tick in ticks:
            picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 4 * tick, np.uint8))
            picture.pts, picture.time_base = tick, Fraction(1, 30)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    video = RetimedVideo.of(tmp_path / "varies.mp4", 30.0)
    assert video.fps == 30 and "varying rate" in video.note
    levels = [float(frame.mean()) / 4 for frame in video.frames()]
    assert len(levels) == 61
    shown = [
        max(t for t in ticks if abs(t - i) == min(abs(u - i) for u in ticks)) for i in range(61)
    ]
    assert np.abs(np.subtract(levels, shown)).max() < 2


def test_a_checkpoint_keeps_the_rate_of_its_clips(folder, own_unimo, run, tmp_path, capsys):
    checkpoint, sidecar = own_unimo
    training = sidecar["extra"]["training"]
    for fps, expected in ((15.0, 15), (None, 30)):
        sidecar["extra"] = {"training": {**training, "fps": fps}}
        rewrite_json(checkpoint.with_suffix(".json"), sidecar)
        assert run("i2vm", folder / "person.png", "--checkpoint", checkpoint) == 0
        for name in ("person.mp4", "person-overlay.mp4"):
            assert probe(tmp_path / "out" / name).fps == expected
        assert amass.read(tmp_path / "out" / "person.npz").motion.fps == expected
        assert ("does not say the rate" in capsys.readouterr().err) == (fps is None)
