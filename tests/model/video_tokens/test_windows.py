"""Windows of the diffusion decoder: every frame once, enough overlap."""

import itertools

import numpy as np
import pytest

from model.video_tokens.codec import num_frames
from model.video_tokens.cosmos.windows import TRAINED, join, split


def spans(num_latents, option):
    return [(w.first, w.last, w.num_frames - w.dropped) for w in split(num_latents, option)]


def test_the_lengths_of_the_paper():
    assert spans(9, "A") == [(0, 8, 65)]
    assert spans(9, "B") == [(0, 7, 57), (1, 8, 8)]
    assert spans(16, "B") == [(0, 7, 57), (4, 11, 32), (8, 15, 32)]


@pytest.mark.parametrize("option", ["A", "B"])
@pytest.mark.parametrize("num_latents", range(1, 41))
def test_every_frame_is_there_once_and_in_order(num_latents, option):
    """Frames that know their latent, its first frame and the window they were decoded in."""
    windows = split(num_latents, option)
    decoded = []
    for window in windows:
        latents = np.arange(num_latents)[window.latents]
        assert len(latents) == len(range(window.first, window.last + 1))
        # The first latent of a window is one frame: the last of its eight.
        frames = [8 * latents[0], *range(8 * latents[0] + 1, 8 * latents[-1] + 1)]
        decoded.append(np.array(frames).reshape(-1, 1, 1, 1))
    video = join(windows, decoded)
    assert np.array_equal(video.ravel(), np.arange(num_frames(num_latents)))
    if option != "B":
        assert len(windows) == 1
        return
    assert all(w.last + 1 - w.first == min(num_latents, TRAINED) for w in windows)
    for before, after in itertools.pairwise(windows):
        assert before.last - after.first >= 1  # two latents shared, at least
        assert after.dropped >= 1 + 8  # never the frame that stands for eight


def test_what_is_no_split():
    with pytest.raises(ValueError, match="at least one latent"):
        split(0, "A")
    with pytest.raises(ValueError, match="A, B, got"):
        split(9, "C")
    windows = split(9, "B")
    with pytest.raises(ValueError, match="latents 1 to 8 make 57 frames, got 8"):
        join(windows, [np.zeros((57, 1, 1, 3)), np.zeros((8, 1, 1, 3))])
