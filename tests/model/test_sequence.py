"""The order of tokens: lengths, layouts written out, coordinates, round trips, illegal sizes."""

import dataclasses

import numpy as np
import pytest

from model.sequence import LAYOUTS, MOTION, SPECIAL, VISUAL, i2v, i2vm, v2m
from model.video_tokens.codec import latent_shape

PAPER = {"v2m": v2m(), "i2vm": i2vm()}
LETTERS = {SPECIAL: "s", VISUAL: "v", MOTION: "m"}


def every_schedule(*size):
    """Both tasks, in all layouts."""
    yield v2m(*size)
    for layout in LAYOUTS:
        yield i2vm(*size, layout=layout)


def words(schedule):
    """The sequence as words: s0 v0 v1 ... | m0 ..., the bar before the first target."""
    tokens = [f"{LETTERS[m]}{i}" for m, i in zip(schedule.modality, schedule.index, strict=True)]
    tokens.insert(schedule.prefix, "|")
    return " ".join(tokens)


def run(letter, first, end):
    return " ".join(f"{letter}{i}" for i in range(first, end))


@pytest.mark.parametrize(("k", "length"), [(1, 9283), (8, 9738), (24, 10778), (54, 12728)])
def test_lengths_over_tokens_per_frame(k, length):
    assert len(v2m(tokens_per_frame=k)) == len(i2vm(tokens_per_frame=k)) == length


def test_lengths_of_table_4_and_of_121_frames():
    assert [len(schedule) for schedule in PAPER.values()] == [11558, 11558]
    assert [schedule.prefix for schedule in PAPER.values()] == [9218, 1026]
    assert [len(schedule) - schedule.prefix for schedule in PAPER.values()] == [2340, 10532]
    assert len(v2m(121)) == len(i2vm(121)) == 20742
    targets = {task: schedule.targets for task, schedule in PAPER.items()}
    assert {task: (len(t[VISUAL]), len(t[MOTION])) for task, t in targets.items()} == {
        "v2m": (0, 2340),
        "i2vm": (8192, 2340),
    }


def test_the_baselines_sequence_is_that_of_i2vm_without_motion():
    alone, both = i2v(17, 32, 32), i2vm(17, 32, 32, 2)
    kept = both.modality != MOTION
    for name in ("modality", "index", "t", "h", "w"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(both, name)[kept])
    assert alone.prefix == both.prefix
    assert (alone.num_motion, len(alone.targets[MOTION])) == (0, 0)
    visual = np.arange(2 * alone.num_visual).reshape(2, *alone.latent_shape)
    seen, moved = alone.take_apart(alone.assemble(visual, np.zeros((2, 0), np.int64)))
    np.testing.assert_array_equal(seen, visual)
    assert moved.shape == (2, 0)
    with pytest.raises(ValueError, match="no video to generate"):
        i2v(1, 32, 32)


@pytest.mark.parametrize(
    "size", [(9, 32, 32, 2), (17, 64, 64, 4), (25, 48, 16, 3), (65, 64, 64, 36)]
)
def test_every_token_stands_exactly_once(size):
    for schedule in every_schedule(*size):
        for modality, count in (
            (VISUAL, np.prod(latent_shape(*size[:3]))),
            (MOTION, size[0] * size[3]),
        ):
            index = schedule.index[schedule.modality == modality]
            np.testing.assert_array_equal(np.sort(index), np.arange(count))
        names = schedule.index[schedule.modality == SPECIAL].tolist()
        assert names == [{"v2m": 0, "i2vm": 1}[schedule.task], 2]
        assert schedule.modality[0] == schedule.modality[schedule.prefix - 1] == SPECIAL


def test_tokens_of_a_modality_keep_their_order_and_the_image_is_latent_frame_0():
    for schedule in every_schedule(17, 32, 32, 3):
        for modality in (VISUAL, MOTION):
            index = schedule.index[schedule.modality == modality]
            assert (np.diff(index) == 1).all()
        if schedule.task == "i2vm":
            np.testing.assert_array_equal(schedule.index[1:5], np.arange(4))
            assert (schedule.t[: schedule.prefix] == 0).all()


def test_v2m_written_out():
    assert words(v2m(9, 16, 32, 1)) == f"s0 v0 v1 v2 v3 s2 | {run('m', 0, 9)}"


@pytest.mark.parametrize(
    ("layout", "target"),
    [
        # 17 frames are 3 latent frames of 2 tokens; a token a frame: M_1 is 1-8, M_2 is 9-16.
        ("video-first", ["v2 v3", run("m", 0, 9), "v4 v5", run("m", 9, 17)]),
        ("pose-first", ["m0", "v2 v3", run("m", 1, 9), "v4 v5", run("m", 9, 17)]),
    ],
)
def test_layouts_written_out(layout, target):
    found = words(i2vm(17, 16, 32, 1, layout=layout))
    assert found == " ".join(["s1 v0 v1 s2 |", *target])


def test_the_papers_groups():
    """Video first: 1024 visual tokens in turn with 324 and then 288 motion tokens."""
    modality = PAPER["i2vm"].modality[1026:]
    edges = np.flatnonzero(np.diff(modality)) + 1
    sizes = [len(part) for part in np.split(modality, edges)]
    assert sizes == [1024, 324] + [1024, 288] * 7
    assert modality[0] == VISUAL


@pytest.mark.parametrize("schedule", PAPER.values(), ids=PAPER.keys())
def test_coordinates_of_the_paper_stay_in_the_trained_grid_and_are_unique(schedule):
    real = schedule.modality != SPECIAL
    places = np.stack([schedule.t, schedule.h, schedule.w], axis=1)
    assert len(np.unique(places[real], axis=0)) == real.sum() == 11556
    assert places.min() == 0
    assert (places.max(axis=0) <= (8, 39, 63)).all()
    assert (places[~real] == 0).all()
    # Formulas of the grid: n = (t H + h) W + w, and frame f, slot s.
    seen, moved = schedule.modality == VISUAL, schedule.modality == MOTION
    t, h, w = places[seen].T
    np.testing.assert_array_equal((t * 32 + h) * 32 + w, schedule.index[seen])
    frame, slot = np.divmod(schedule.index[moved], 36)
    expected = [-(-frame // 8), np.where(frame > 0, 32 + (frame - 1) % 8, 32), slot]
    np.testing.assert_array_equal(places[moved].T, expected)


def test_coordinates_are_unique_in_every_layout_and_follow_the_token_not_the_place():
    by_token = []
    for schedule in every_schedule(17, 48, 32, 3):
        real = schedule.modality != SPECIAL
        columns = [schedule.modality, schedule.index, schedule.t, schedule.h, schedule.w]
        rows = np.stack(columns, axis=1)[real]
        assert len(np.unique(rows[:, 2:], axis=0)) == len(rows)
        by_token.append(np.unique(rows, axis=0))
    for other in by_token[1:]:
        np.testing.assert_array_equal(other, by_token[0])


def test_tokens_survive_assembling_and_taking_apart():
    rng = np.random.default_rng(0)
    for schedule in every_schedule(9, 32, 48, 2):
        visual = rng.integers(64000, size=(3, 2, 2, 3))
        motion = rng.integers(512, size=(3, 18))
        tokens = schedule.assemble(visual, motion)
        assert tokens.shape == (3, len(schedule)) and tokens.dtype == np.int64
        for position in range(len(schedule)):
            source = {
                SPECIAL: np.tile(np.arange(3), (3, 1)),
                VISUAL: visual.reshape(3, -1),
                MOTION: motion,
            }[schedule.modality[position]]
            np.testing.assert_array_equal(tokens[:, position], source[:, schedule.index[position]])
        found = schedule.take_apart(tokens)
        np.testing.assert_array_equal(found[0], visual)
        np.testing.assert_array_equal(found[1], motion)
        flat = schedule.assemble(visual.reshape(3, -1), motion)
        np.testing.assert_array_equal(flat, tokens)


def test_a_schedule_may_order_tokens_in_any_way():
    rng = np.random.default_rng(0)
    schedule = i2vm(9, 32, 48, 2)
    places = np.r_[: schedule.prefix, schedule.prefix + rng.permutation(len(schedule) - 8)]
    order = {name: getattr(schedule, name)[places] for name in ("modality", "index", "t", "h", "w")}
    shuffled = dataclasses.replace(schedule, **order)
    visual, motion = rng.integers(99, size=(3, 2, 2, 3)), rng.integers(99, size=(3, 18))
    tokens = shuffled.assemble(visual, motion)
    np.testing.assert_array_equal(tokens, schedule.assemble(visual, motion)[:, places])
    for found, wanted in zip(shuffled.take_apart(tokens), (visual, motion), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("visual", "motion", "message"),
    [
        ((2, 2, 2, 3), (2, 18), "visual tokens"),
        ((2, 8), (2, 17), "motion tokens"),
        ((2, 8), (3, 18), "motion tokens"),
        ((2, 1, 2, 2), (2, 18), "visual tokens"),
        ((2, 2, 1, 4), (2, 18), "visual tokens"),  # as many, another grid
        ((8,), (1, 18), "visual tokens"),
    ],
)
def test_tokens_of_another_shape_are_refused(visual, motion, message):
    with pytest.raises(ValueError, match=message):
        v2m(9, 32, 32, 2).assemble(np.zeros(visual, np.int64), np.zeros(motion, np.int64))


@pytest.mark.parametrize("make", [v2m, i2vm])
@pytest.mark.parametrize(
    "size", [(0, 16, 16, 1), (8, 16, 16, 1), (64, 16, 16, 1), (-7, 16, 16, 1), (9, 15, 16, 1),
             (9, 16, 0, 1), (9, -16, 16, 1), (9, 16, 16, 0), (9, 16, 16, -1)]
)  # fmt: skip
def test_illegal_sizes_are_refused(make, size):
    with pytest.raises(ValueError, match=r"1 \+ 8 n frames|multiples of 16|at least 1"):
        make(*size)


def test_one_frame_is_enough_for_v2m_only():
    assert words(v2m(1, 16, 16, 2)) == "s0 v0 s2 | m0 m1"
    with pytest.raises(ValueError, match="at least 9 frames"):
        i2vm(1, 16, 16, 2)


def test_unknown_layouts_are_refused_by_name():
    with pytest.raises(ValueError, match=r"unknown layout 'sideways'.*video-first"):
        i2vm(layout="sideways")


@pytest.mark.parametrize("prefix", [0, -1, 24, 25])
def test_a_condition_must_exist_and_leave_something_to_predict(prefix):
    schedule = v2m(9, 16, 32, 2)
    assert len(schedule) == 24
    with pytest.raises(ValueError, match=f"condition of {prefix} tokens"):
        dataclasses.replace(schedule, prefix=prefix)
