"""What a training step of the transformer is made of: clips, tasks, noise, loss, processes."""

import dataclasses

import numpy as np
import pytest
import torch

from model.sequence import MOTION, TASKS
from model.token_store import TokenClips
from model.training.config import TrainingError
from model.transformer import UniMo, UniMoConfig
from model.transformer.train.config import ARTrainingConfig
from model.transformer.train.held_out import examine, split_held_out
from model.transformer.train.steps import draw, require_divisible, schedules, step_losses
from tests.model.tiny_unimo import with_weights

CONFIG = UniMoConfig.tiny(
    dim=48, ffn_hidden_size=40, latent_shape=(2, 2, 2), tokens_per_frame=2, ape_gate=0.5
)


class Watched(UniMo):
    """A model that keeps what it was shown and asked."""

    def __init__(self, config):
        self.passes = []
        super().__init__(config)

    def losses(self, tokens, schedule, *, inputs=None):
        self.passes.append((schedule, tokens.numpy(), inputs.numpy()))
        return super().losses(tokens, schedule, inputs=inputs)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return with_weights(Watched(CONFIG), 0.15)


def clips_of(count, names=None):
    rng = np.random.default_rng(0)
    return TokenClips(
        ids=tuple(names or (f"clip{i}" for i in range(count))),
        visual=rng.integers(97, size=(count, 2, 2, 2), dtype=np.int32),
        motion=rng.integers(32, size=(count, 18), dtype=np.int32),
        skipped=(),
        sha256="0",
    )


def training_of(**changes):
    settings = {"steps": 100, "batch_size": 8, "clips_at_once": 64, "seed": 3}
    return ARTrainingConfig(**{**settings, **changes})


def together(batches):
    """(number, clip, task) of every clip, in the order of numbers."""
    return sorted(
        (int(number), int(clip), batch.task)
        for batch in batches
        for number, clip in zip(batch.numbers, batch.clips, strict=True)
    )


# --- which clips ---


@pytest.mark.parametrize("batch_size", [1, 4, 6, 50])
@pytest.mark.parametrize("num_clips", [1, 7, 20])
def test_every_clip_once_an_epoch(batch_size, num_clips):
    training = training_of(batch_size=batch_size)
    steps = -(-3 * num_clips // batch_size)
    rows = together(b for step in range(steps) for b in draw(training, step, num_clips))
    assert [number for number, _, _ in rows] == list(range(steps * batch_size))
    clips = [clip for _, clip, _ in rows]
    epochs = [clips[start : start + num_clips] for start in range(0, 3 * num_clips, num_clips)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(num_clips))
    assert num_clips < 7 or epochs[0] != epochs[1] != epochs[2]


def test_the_order_of_clips_follows_from_the_seed_and_not_from_the_batches():
    rows = {
        (seed, batch_size): together(
            b
            for step in range(24 // batch_size)
            for b in draw(training_of(batch_size=batch_size, seed=seed), step, 10)
        )
        for seed in (3, 4)
        for batch_size in (1, 4, 24)
    }
    for seed in (3, 4):
        assert rows[seed, 1] == rows[seed, 4] == rows[seed, 24]
    assert rows[3, 24] != rows[4, 24]


def test_tasks_have_equal_parts_of_every_step():
    for step in range(5):
        batches = draw(training_of(), step, 10)
        assert {batch.task: len(batch.clips) for batch in batches} == {"v2m": 4, "i2vm": 4}
        assert all(batch.of == 4 for batch in batches)
    alone = [b for step in range(6) for b in draw(training_of(batch_size=1), step, 10)]
    assert [batch.task for batch in alone] == ["v2m", "i2vm"] * 3
    assert all(batch.of == len(batch.clips) == 1 for batch in alone)
    only = draw(training_of(tasks=("i2vm",)), 0, 10)
    assert [(batch.task, batch.of) for batch in only] == [("i2vm", 8)]


def test_over_epochs_a_clip_is_shown_in_both_tasks():
    """Also where clips and tasks are even in number, and the same places would recur."""
    rows = together(b for step in range(30) for b in draw(training_of(batch_size=4), step, 4))
    for clip in range(4):
        assert {task for _, own, task in rows if own == clip} == set(TASKS)


@pytest.mark.parametrize(("batch_size", "processes"), [(8, 2), (8, 4), (8, 8), (2, 2), (12, 3)])
@pytest.mark.parametrize("clips_at_once", [1, 3, 64])
def test_processes_share_a_step(batch_size, processes, clips_at_once):
    training = training_of(batch_size=batch_size, clips_at_once=clips_at_once)
    require_divisible(training, processes)
    for step in range(3):
        parts = [
            draw(training, step, 10, rank=rank, processes=processes) for rank in range(processes)
        ]
        everything = together(b for part in parts for b in part)
        assert everything == together(draw(training, step, 10))
        assert len({len(part) for part in parts}) == 1  # as many passes
        assert len({sum(len(b.clips) for b in part) for part in parts}) == 1
        for batch in (b for part in parts for b in part):
            assert 0 < len(batch.clips) <= clips_at_once
            assert batch.of == batch_size // 2


@pytest.mark.parametrize(
    ("batch_size", "processes", "tasks"),
    [(8, 1, TASKS), (7, 7, TASKS), (8, 4, TASKS), (9, 3, ("v2m",)), (1, 1, TASKS)],
)
def test_divisions_that_are_possible(batch_size, processes, tasks):
    require_divisible(training_of(batch_size=batch_size, tasks=tasks), processes)


@pytest.mark.parametrize(
    ("batch_size", "processes", "tasks"),
    [(8, 3, TASKS), (6, 2, TASKS), (4, 8, TASKS), (9, 2, ("v2m",))],
)
def test_divisions_that_are_not_say_what_is(batch_size, processes, tasks):
    with pytest.raises(TrainingError, match=f"multiple of {processes * len(tasks)}, or"):
        require_divisible(training_of(batch_size=batch_size, tasks=tasks), processes)


# --- what the model sees of them ---


def seen(model, training, clips, steps=1, start=0, **where):
    """Number -> (task, tokens, inputs) of the clips of some steps."""
    found = {}
    for step in range(start, start + steps):
        model.passes.clear()
        with torch.no_grad():
            for _ in step_losses(model, training, clips, step, **where):
                pass
        batches = draw(training, step, len(clips.ids), **where)
        for batch, (schedule, tokens, inputs) in zip(batches, model.passes, strict=True):
            assert schedule.task == batch.task
            for row, number in enumerate(batch.numbers):
                found[int(number)] = (batch.task, tokens[row], inputs[row])
    return found


def assert_seen_alike(first, second):
    assert first.keys() == second.keys() and first
    for number, (task, tokens, inputs) in first.items():
        assert task == second[number][0]
        np.testing.assert_array_equal(tokens, second[number][1])
        np.testing.assert_array_equal(inputs, second[number][2])


def test_without_noise_the_model_sees_the_clips(model):
    clips, sequences = clips_of(10), schedules(CONFIG)
    training = training_of()
    found = seen(model, training, clips)
    for number, clip, task in together(draw(training, 0, 10)):
        wanted = sequences[task].assemble(clips.visual[[clip]], clips.motion[[clip]])[0]
        for ids in found[number][1:]:
            np.testing.assert_array_equal(ids, wanted)


def test_noise_follows_from_the_seed_and_the_clips_number_alone(model):
    clips = clips_of(10)
    noise = {"token_noise": 0.3, "clip_noise": 0.4, "clip_noise_end": 0.4}
    whole = seen(model, training_of(**noise), clips, steps=2)
    assert_seen_alike(whole, seen(model, training_of(**noise, clips_at_once=1), clips, steps=2))
    assert_seen_alike(whole, seen(model, training_of(**noise, batch_size=4), clips, steps=4))
    parts = {}
    for rank in range(2):
        parts |= seen(model, training_of(**noise), clips, steps=2, rank=rank, processes=2)
    assert_seen_alike(whole, parts)
    # Also where a run goes on in the middle.
    later = seen(model, training_of(**noise), clips, start=1)
    assert_seen_alike({number: whole[number] for number in later}, later)

    def hits(found):
        return [(tokens != inputs).tolist() for _, (_, tokens, inputs) in sorted(found.items())]

    other = seen(model, training_of(**noise, seed=4), clips, steps=2)
    assert hits(whole) != hits(other)
    assert len({str(row) for row in hits(whole)}) == len(whole)  # each clip its own


@pytest.mark.parametrize(("noise", "low", "high"), [(0.3, 0.2, 0.38), (1.0, 0.94, 1.0)])
def test_noise_replaces_its_share_of_motion_tokens_and_nothing_else(model, noise, low, high):
    found = seen(model, training_of(token_noise=noise, batch_size=64), clips_of(20))
    replaced = []
    for task, tokens, inputs in found.values():
        moved = schedules(CONFIG)[task].modality == MOTION
        np.testing.assert_array_equal(tokens[~moved], inputs[~moved])
        assert inputs[moved].min() >= 0 and inputs[moved].max() < 32
        replaced.append((tokens != inputs)[moved])
    # One of 32 random tokens is the one that was there.
    assert low < np.mean(replaced) < high
    assert len(np.unique(np.nonzero(replaced)[1])) == 18  # any place


def test_clip_noise_takes_all_of_a_clips_motion_until_it_ends(model):
    training = training_of(
        batch_size=64, clip_noise=0.75, clip_noise_end=0.25, clip_noise_until=0.5, steps=100
    )
    shares = []
    for step in (0, 49, 50, 99):
        found = seen(model, training, clips_of(20), start=step)
        counts = np.array([np.sum(tokens != inputs) for _, tokens, inputs in found.values()])
        assert ((counts == 0) | (counts > 12)).all()  # of 18; none or all but chance hits
        shares.append(np.mean(counts > 0))
    assert min(shares[:2]) > 0.6 and max(shares[2:]) < 0.4


# --- the loss ---


def by_hand(model, training, clips, step):
    """Of each clip alone: mean cross-entropy of its targets; and the scalars by name."""
    means, scalars = [], {}
    for _, (task, tokens, inputs) in sorted(seen(model, training, clips, start=step).items()):
        schedule = schedules(CONFIG)[task]
        ids, given = (torch.from_numpy(row)[None] for row in (tokens, inputs))
        with torch.no_grad():
            losses = model.losses(ids, schedule, inputs=given)
        motion, visual = losses["motion"][0], losses["visual"][0]
        weight = training.visual_weight
        total = motion.sum() + weight * visual.sum()
        means.append(float(total / (len(motion) + weight * len(visual))))
        for name, loss in losses.items():
            if loss.numel():
                scalars.setdefault(f"{task}_{name}", []).append(float(loss.mean()))
    return np.mean(means), {name: np.mean(values) for name, values in scalars.items()}


@pytest.mark.parametrize("visual_weight", [1.0, 0.5, 0.0])
@pytest.mark.parametrize("clips_at_once", [1, 3, 64])
@pytest.mark.parametrize("processes", [1, 2])
def test_the_loss_of_a_step_is_the_mean_of_its_clips(
    model, visual_weight, clips_at_once, processes
):
    clips = clips_of(10)
    training = training_of(
        visual_weight=visual_weight, clips_at_once=clips_at_once, token_noise=0.2
    )
    wanted, scalars = by_hand(model, training, clips, step=2)
    loss, found = 0.0, {}
    for rank in range(processes):
        with torch.no_grad():
            for value, stats in step_losses(
                model, training, clips, 2, rank=rank, processes=processes
            ):
                loss += float(value) / processes
                for name, scalar in stats.items():
                    found[name] = found.get(name, 0.0) + float(scalar) / processes
    assert loss == pytest.approx(wanted, rel=1e-5)
    assert set(found) == {"v2m_motion", "i2vm_visual", "i2vm_motion"}
    assert found == pytest.approx(scalars, rel=1e-5)


def test_gradients_do_not_depend_on_how_a_step_is_divided(model):
    clips = clips_of(10)
    gradients = []
    for clips_at_once, processes in ((64, 1), (1, 1), (3, 2)):
        model.zero_grad()
        training = training_of(clips_at_once=clips_at_once, token_noise=0.2)
        for rank in range(processes):
            for loss, _ in step_losses(model, training, clips, 0, rank=rank, processes=processes):
                (loss / processes).backward()
        gradients.append([p.grad.clone() for p in model.parameters()])
    model.zero_grad()
    for others in gradients[1:]:
        for mine, theirs in zip(gradients[0], others, strict=True):
            assert (mine - theirs).norm() <= 1e-5 * mine.norm() + 1e-9


# --- what is held out ---


@pytest.mark.parametrize("count", [20, 60])
def test_whole_recordings_are_held_out(count):
    names = [f"set/take{i // 5}/cam/person/{i}" for i in range(count)]
    clips = clips_of(count, names)
    kept, held = split_held_out(clips)
    assert kept.ids + held.ids == clips.ids
    assert 0 < len(held.ids) <= count // 10 + 5
    assert not {n.split("/")[1] for n in kept.ids} & {n.split("/")[1] for n in held.ids}
    np.testing.assert_array_equal(np.concatenate([kept.motion, held.motion]), clips.motion)
    np.testing.assert_array_equal(np.concatenate([kept.visual, held.visual]), clips.visual)


def test_something_is_left_to_train_on():
    names = [f"set/take{i >= 95}/cam/person/{i}" for i in range(100)]
    kept, held = split_held_out(clips_of(100, names))
    assert (len(kept.ids), len(held.ids)) == (95, 5)
    whole, none = split_held_out(clips_of(10, names[:10]))
    assert len(whole.ids) == 10 and none is None


def test_a_single_clip_has_no_other_video_to_compare_with():
    torch.manual_seed(0)
    model, training = with_weights(UniMo(CONFIG), 0.15), training_of(tasks=("v2m",))
    found = {count: examine(model, training, clips_of(count)) for count in (1, 2)}
    assert set(found[1]) == {"held_out_v2m_motion"}
    assert found[2]["shuffled_gap"] != 0.0


# --- settings ---


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": ()}, "tasks"),
        ({"tasks": ("v2m", "v2m")}, "tasks"),
        ({"tasks": ("t2m",)}, "tasks must be one of v2m, i2vm"),
        ({"visual_weight": -1.0}, "visual_weight"),
        ({"visual_weight": float("nan")}, "visual_weight"),
        ({"visual_weight": 0.0, "tasks": ("i2v",)}, "visual_weight is 0"),
        ({"token_noise": 1.5}, "token_noise"),
        ({"clip_noise": -0.1}, "clip_noise"),
        ({"ema_decay": 1.0}, "ema_decay"),
        ({"clips_at_once": 0}, "clips_at_once"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        training_of(**changes)


@pytest.mark.parametrize("training", [ARTrainingConfig.paper(), ARTrainingConfig.embedded()])
def test_settings_survive_their_dictionary(training):
    values = training.to_dict()
    assert isinstance(values["tasks"], list)
    assert ARTrainingConfig.from_dict(values) == training
    assert set(values) == {field.name for field in dataclasses.fields(training)}
