"""Windows over long videos, and the motions read from them joined."""

import numpy as np
import pytest

from datasets.adapters.embedded import DATASET
from datasets.motion import split_channels
from datasets.rotation import axis_angle_to_matrix
from model.generate.long_video import join_motions, window_seeds, window_starts


@pytest.mark.parametrize("frames", [17, 18, 25, 26, 27, 100, 312])
@pytest.mark.parametrize("overlap", [1, 8, 16])
def test_windows_cover_every_frame_and_overlap_as_asked(frames, overlap):
    starts = window_starts(frames, 17, overlap)
    assert starts[0] == 0 and starts[-1] == frames - 17
    steps = np.diff(starts)
    assert np.all(steps > 0) and np.all(steps <= 17 - overlap)


def test_no_window_of_a_sample_draws_as_one_of_another_sample():
    seeds = [seed for sample in range(20) for seed in window_seeds(sample, 30)]
    assert len(set(seeds)) == 600 and all(0 <= seed < 2**63 for seed in seeds)
    assert window_seeds(7, 1) == window_seeds(7, 4)[:1] == [7]


def test_windows_of_one_motion_join_to_that_motion():
    whole = DATASET.sequence(4).camera_motion.to_channels()[:50]
    starts = window_starts(50, 17, 8)
    joined = join_motions(np.stack([whole[start : start + 17] for start in starts]), starts)
    np.testing.assert_allclose(joined[:, 66:], whole[:, 66:], atol=1e-5)
    # As rotations: an angle of pi has two vectors.
    turns = [axis_angle_to_matrix(x[:, :66].reshape(-1, 3)) for x in (joined, whole)]
    np.testing.assert_allclose(*turns, atol=1e-5)


def test_the_fade_turns_along_the_shortest_arc_and_moves_along_a_line():
    parts = np.zeros((2, 4, 79), np.float32)
    parts[0, :, 2], parts[1, :, 2] = 3.0, -3.0  # 0.28 rad apart, through pi
    split_channels(parts[1])["transl"][:] = [1.0, 2.0, 3.0]
    split_channels(parts[1])["betas"][:] = 2.0
    joined = join_motions(parts, [0, 1])
    assert joined.shape == (5, 79)
    shift = split_channels(joined)["transl"][:, 0]
    np.testing.assert_allclose(shift, [0, 0.25, 0.5, 0.75, 1], atol=1e-6)
    np.testing.assert_allclose(split_channels(joined)["betas"], 1.0)
    angles = np.unwrap(joined[:, 2].astype(np.float64))
    np.testing.assert_allclose(np.diff(angles), (2 * np.pi - 6) / 4, atol=1e-5)
