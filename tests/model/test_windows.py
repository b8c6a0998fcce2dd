import itertools

import numpy as np
import pytest

from model.video_tokens.windows import TRAINED, join, num_frames, split


def spans(num_latents, option):
    return [
        (w.first, w.last, w.num_frames - w.dropped, w.position) for w in split(num_latents, option)
    ]


def test_the_lengths_of_the_paper():
    assert spans(9, "A") == [(0, 8, 65, 0)]
    assert spans(9, "B") == [(0, 7, 57, 0), (1, 8, 8, 57)]
    assert spans(16, "B") == [(0, 7, 57, 0), (4, 11, 32, 57), (8, 15, 32, 89)]


@pytest.mark.parametrize("option", ["A", "B", "C"])
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
    assert [w.position for w in windows] == [
        int(d[w.dropped, 0, 0, 0]) for w, d in zip(windows, decoded, strict=True)
    ]
    if option != "B":
        assert len(windows) == 1
        return
    assert all(w.last + 1 - w.first == min(num_latents, TRAINED) for w in windows)
    for before, after in itertools.pairwise(windows):
        assert before.last - after.first >= 1  # two latents shared, at least
        assert after.dropped >= 1 + 8  # never the frame that stands for eight


def released_split(num_latents, length=8, overlap=2):
    """Starts and paddings of the windows of the released splitting."""
    starts = range(0, num_latents - overlap, length - overlap)
    return [(start, max(0, start + length - num_latents)) for start in starts]


@pytest.mark.parametrize(("num_latents", "works"), [(5, True), (14, True), (9, False), (16, False)])
def test_the_released_splitting_would_not_do(num_latents, works):
    fits = [
        padding < num_latents - start for start, padding in released_split(num_latents)
    ]  # reflection takes fewer than there are
    assert all(fits) is works


def test_what_is_no_split():
    with pytest.raises(ValueError, match="at least one latent"):
        split(0, "A")
    with pytest.raises(ValueError, match="A, B, C"):
        split(9, "D")
    windows = split(9, "B")
    with pytest.raises(ValueError, match="latents 1 to 8 make 57 frames, got 8"):
        join(windows, [np.zeros((57, 1, 1, 3)), np.zeros((8, 1, 1, 3))])
