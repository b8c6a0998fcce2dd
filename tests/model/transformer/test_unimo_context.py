"""What a token's state depends on, all at once and token by token."""

import pytest
import torch

from model.sequence import LAYOUTS, TASKS, i2vm, v2m
from model.transformer.train.steps import schedules
from tests.model.tiny_unimo import (
    SWITCHES,
    assert_same_states,
    cached_states,
    changed,
    make,
    name_of,
    tokens_of,
)

# --- token by token ---


@pytest.mark.parametrize("switches", SWITCHES, ids=name_of)
def test_token_by_token_is_the_whole_at_once(switches):
    model = make(**switches)
    for schedule in schedules(model.config).values():
        tokens = tokens_of(model, schedule)
        with torch.no_grad():
            assert_same_states(
                cached_states(model, tokens, schedule), model.hidden(tokens, schedule)
            )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_token_by_token_in_every_layout(layout):
    model = make(layout=layout)
    schedule = schedules(model.config)["i2vm"]
    tokens = tokens_of(model, schedule)
    with torch.no_grad():
        assert_same_states(cached_states(model, tokens, schedule), model.hidden(tokens, schedule))


def test_one_model_serves_other_lengths():
    """Nothing in a model has the length of its clips."""
    model = make(ape="hidden")
    for schedule in (v2m(17, 32, 48, 2), i2vm(17, 32, 48, 2)):
        tokens = tokens_of(model, schedule)
        with torch.no_grad():
            states = model.hidden(tokens, schedule)
        assert_same_states(cached_states(model, tokens, schedule), states)


def test_the_condition_alone_is_read():
    model = make()
    schedule = schedules(model.config)["i2vm"]
    tokens = tokens_of(model, schedule)
    state, _ = model.prefill(tokens[:, : schedule.prefix], schedule)
    tokens[:, schedule.prefix :] = 10**9
    assert model.prefill(tokens, schedule)[0].equal(state)


# --- who sees whom ---


@pytest.mark.parametrize("layout", ["video-first", "pose-first"])
@pytest.mark.parametrize("task", TASKS)
def test_what_follows_from_each_token(task, layout):
    """A target changes exactly what is predicted after it, a condition token everything."""
    model = make(layout=layout, ape="hidden")
    schedule = schedules(model.config)[task]
    tokens = tokens_of(model, schedule, count=1)
    others = [changed(model, schedule, tokens, place) for place in range(len(schedule) - 1)]
    with torch.no_grad():
        states = model.hidden(torch.cat([tokens, *others]), schedule)
    differences = (states[1:] - states[:1]).abs().amax(dim=-1)
    for place, difference in enumerate(differences):
        first = max(0, place - schedule.prefix + 1)
        assert (difference[:first] < 1e-5).all()
        assert (difference[first:] > 1e-4).all()


def test_the_last_token_predicts_nothing():
    model = make()
    for schedule in schedules(model.config).values():
        tokens = tokens_of(model, schedule)
        other = changed(model, schedule, tokens, len(schedule) - 1)
        assert model.hidden(tokens, schedule).equal(model.hidden(other, schedule))


def test_the_condition_attends_to_all_of_itself():
    """What the first position hands on (its keys in the second block) depends on the last."""
    model = make()
    for schedule in schedules(model.config).values():
        tokens = tokens_of(model, schedule)
        for place in range(1, schedule.prefix):
            other = changed(model, schedule, tokens, place)
            keys = [model.prefill(t, schedule)[1].layers[1][0][:, :, 0] for t in (tokens, other)]
            assert (keys[0] - keys[1]).abs().max() > 1e-4


def test_clips_do_not_see_each_other():
    model = make()
    schedule = schedules(model.config)["i2vm"]
    tokens = tokens_of(model, schedule, count=3)
    with torch.no_grad():
        together = model.hidden(tokens, schedule)
        for row in range(3):
            alone = model.hidden(tokens[row : row + 1], schedule)
            assert_same_states(alone[0], together[row])


@pytest.mark.parametrize("switches", SWITCHES, ids=name_of)
def test_where_a_token_stands_matters(switches):
    """Two visual tokens of the condition exchanged, and two motion tokens."""
    model = make(**switches)
    schedule = schedules(model.config)["v2m"]
    tokens = tokens_of(model, schedule)
    with torch.no_grad():
        whole = model.hidden(tokens, schedule)
        for pair in ([2, 6], [schedule.prefix + 1, schedule.prefix + 4]):
            other = tokens.clone()
            other[:, pair] = tokens[:, pair[::-1]]
            assert (model.hidden(other, schedule)[:, -1] - whole[:, -1]).abs().max() > 1e-4
