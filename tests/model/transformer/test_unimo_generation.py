"""Tokens that the transformer generates, one after the other."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from model.sequence import TASKS, VIDEO_ALONE
from model.transformer.sampling import Noise
from model.transformer.train.steps import schedules
from tests.model.tiny_unimo import (
    CPU,
    FACTORISED,
    SWITCHES,
    cached_states,
    generated,
    make,
    name_of,
    tokens_of,
)


@pytest.mark.parametrize("switches", [{}, {"unified": True}, FACTORISED], ids=str)
@pytest.mark.parametrize("task", TASKS)
def test_generation_at_temperature_zero_takes_the_likeliest_of_the_whole_forward(task, switches):
    model = make(**switches)
    schedule = schedules(model.config)[task]
    tokens = tokens_of(model, schedule)
    found = generated(model, tokens, schedule, [0, 1], temperature=0)
    tokens[:, schedule.prefix :] = found
    with torch.no_grad():
        states = model.hidden(tokens, schedule)
    for place in range(len(schedule) - schedule.prefix):
        modality = schedule.modality[schedule.prefix + place]
        wanted = model.sample(states[:, place], modality, Noise([5, 6], CPU), p=1, temperature=0)
        assert wanted.equal(found[:, place])


@pytest.mark.parametrize("switches", [{}, FACTORISED], ids=["table", "factorised"])
@pytest.mark.parametrize("temperature", [0, 1.0])
def test_generation_follows_from_the_seed_and_not_from_the_clips_beside(switches, temperature):
    model = make(**switches)
    for schedule in schedules(model.config).values():
        tokens = tokens_of(model, schedule, count=3)
        together = generated(model, tokens, schedule, [5, 6, 7], temperature=temperature)
        again = generated(model, tokens, schedule, [5, 6, 7], temperature=temperature)
        assert together.equal(again)
        for row, seed in enumerate((5, 6, 7)):
            alone = generated(
                model, tokens[row : row + 1], schedule, [seed], temperature=temperature
            )
            assert alone[0].equal(together[row])
        others = generated(model, tokens, schedule, [8, 9, 10], temperature=temperature)
        assert others.equal(together) == (temperature == 0)


def test_generated_tokens_are_of_their_modality_and_make_clips():
    model = make()
    for task, schedule in schedules(model.config).items():
        tokens = tokens_of(model, schedule)
        tokens[:, schedule.prefix :] = generated(model, tokens, schedule, [0, 1])
        assert model.hidden(tokens, schedule).isfinite().all()  # ids out of range would be refused
        seen, moved = schedule.take_apart(tokens.numpy())
        assert seen.shape == (2, 2, 2, 2) and moved.shape == (2, schedule.num_motion)
        assert len(np.unique(moved)) > 3 or task == VIDEO_ALONE


def test_samples_of_a_position_follow_the_logits():
    model = make()
    schedule = schedules(model.config)["v2m"]
    tokens = tokens_of(model, schedule, count=1).expand(3000, -1)
    first = next(model.generate(tokens, schedule, Noise(list(range(3000)), CPU), p=1))
    with torch.no_grad():
        likely = model(tokens[:1], schedule)["motion"][0, 0].double().softmax(-1)
    found = torch.bincount(first, minlength=32).double()
    assert chisquare(found.numpy(), (3000 * likely).numpy(), sum_check=False).pvalue > 1e-3


def test_generation_leaves_no_gradient_behind():
    model = make()
    schedule = schedules(model.config)["v2m"]
    for token in model.generate(tokens_of(model, schedule), schedule, Noise([0, 1], CPU)):
        assert torch.is_grad_enabled() and not token.requires_grad


@pytest.mark.parametrize("switches", SWITCHES, ids=name_of)
def test_a_model_in_bf16_generates(switches):
    model = make(**switches)
    schedule = schedules(model.config)["i2vm"]
    tokens = tokens_of(model, schedule)
    with torch.no_grad():
        wanted = model.hidden(tokens, schedule)
        model.bfloat16()
        whole, steps = model.hidden(tokens, schedule), cached_states(model, tokens, schedule)
    assert whole.dtype == steps.dtype == torch.bfloat16
    for found in (whole, steps):
        assert (found.float() - wanted).norm() <= 0.03 * wanted.norm()
    assert generated(model, tokens, schedule, [0, 1]).shape == (2, 22)
