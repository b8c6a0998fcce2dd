"""Top-p in closed form, the distribution of what is drawn, and noise that is each clip's own."""

import math

import pytest
import torch
from scipy.stats import chisquare

from model.transformer.sampling import Noise, draw, top_p

CPU = torch.device("cpu")


def kept(probabilities, p, temperature=1.0):
    return top_p(torch.tensor(probabilities).log(), p, temperature).tolist()


@pytest.mark.parametrize(
    ("p", "wanted"),
    [
        (0.1, [0, 1, 0, 0]),
        (0.49, [0, 1, 0, 0]),
        (0.51, [0.3 / 0.8, 0.5 / 0.8, 0, 0]),  # 0.5 before it does not reach 0.51
        (0.79, [0.3 / 0.8, 0.5 / 0.8, 0, 0]),
        (0.81, [0.3 / 0.95, 0.5 / 0.95, 0.15 / 0.95, 0]),
        (0.96, [0.3, 0.5, 0.15, 0.05]),
        (1, [0.3, 0.5, 0.15, 0.05]),
    ],
)
def test_the_most_likely_that_reach_p_are_kept(p, wanted):
    assert kept([0.3, 0.5, 0.15, 0.05], p) == pytest.approx(wanted, abs=1e-6)


def test_the_token_after_one_that_reaches_p_exactly_is_kept():
    """As Cosmos: dropped is what has *more* than p before it."""
    logits = torch.tensor([0.0, 0.0, -math.inf, -math.inf])  # probabilities exactly 1/2
    assert top_p(logits, 0.5, 1.0).tolist() == [0.5, 0.5, 0, 0]
    assert top_p(logits, 0.499, 1.0).tolist() == [1, 0, 0, 0]


def test_of_equals_the_first_are_kept_whatever_stands_beside():
    """Many rows and a large vocabulary, where an unstable sort would shuffle equals."""
    flat = torch.zeros(3, 4096)
    for rows in (flat, flat[:1]):
        found = top_p(rows, 0.25, 1.0)
        assert (found[:, :1025] == found[0, 0]).all() and (found[:, 1025:] == 0).all()


def test_cosmos_rule_on_random_logits():
    """Against a loop over the ranked tokens, in float64."""
    logits = 3 * torch.randn(20, 50, generator=torch.Generator().manual_seed(0))
    found = top_p(logits, 0.8, 0.7)
    for row, mine in zip(logits.double(), found, strict=True):
        weights = (row / 0.7).exp() / (row / 0.7).exp().sum()
        wanted, before = torch.zeros(50), 0.0
        for token in weights.argsort(descending=True):
            if before <= 0.8:
                wanted[token] = weights[token]
            before += float(weights[token])
        torch.testing.assert_close(mine, wanted / wanted.sum(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("p", [1e-9, 0.3, 0.8, 1 - 1e-9, 1])
@pytest.mark.parametrize("temperature", [1e-3, 1.0, 1e6])
def test_a_distribution_comes_out(p, temperature):
    logits = 5 * torch.randn(2, 3, 40, generator=torch.Generator().manual_seed(0))
    found = top_p(logits.bfloat16(), p, temperature)
    assert found.dtype == torch.float32 and found.shape == logits.shape
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 3))
    assert (found >= 0).all()
    best = logits.bfloat16().argmax(-1, keepdim=True)
    assert (found.gather(-1, best) == found.amax(-1, keepdim=True)).all()


def test_temperature():
    assert kept([0.2, 0.8], 1, 0.5) == pytest.approx([1 / 17, 16 / 17])
    assert kept([0.2, 0.8], 1, 2.0) == pytest.approx([1 / 3, 2 / 3])
    assert kept([0.3, 0.4, 0.3], 1, 0) == [0, 1, 0]
    assert kept([0.4, 0.4, 0.2], 0.9, 0) == [1, 0, 0]


@pytest.mark.parametrize("p", [0.8, 1])
@pytest.mark.parametrize("temperature", [1e-6, 1e-30, 1e-40, 1e-46, 1e-300, 5e-324])
def test_a_tiny_temperature_is_the_most_likely_token(p, temperature):
    for scale in (1.0, 1e4):
        logits = scale * torch.tensor([[3.0, 1.0, 2.9, -5.0], [0.0, 0.0, -1.0, -2.0]])
        found = top_p(logits, 1, temperature)
        assert found.tolist() == [[1, 0, 0, 0], [0.5, 0.5, 0, 0]]
        assert top_p(logits, p, temperature)[0].tolist() == [1, 0, 0, 0]


def test_impossible_tokens_stay_impossible():
    logits = torch.tensor([-math.inf, 1.0, -math.inf, 1.0])
    for p in (0.9, 1):
        assert top_p(logits, p, 1.0).tolist() == [0, 0.5, 0, 0.5]
        tokens = [int(draw(top_p(logits, p, 1.0), Noise([seed], CPU)(4)[0])) for seed in range(64)]
        assert set(tokens) == {1, 3}


@pytest.mark.parametrize("p", [0, -0.1, 1.01, math.nan, math.inf])
def test_p_outside_its_range_is_refused(p):
    with pytest.raises(ValueError, match="top-p must be above 0 and at most 1"):
        top_p(torch.zeros(3), p, 1.0)


@pytest.mark.parametrize("temperature", [-1e-9, -1, math.nan, -math.inf])
def test_a_temperature_below_zero_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature must be 0 or above"):
        top_p(torch.zeros(3), 0.8, temperature)


def test_draws_follow_the_distribution():
    weights = torch.tensor([0.02, 0.4, 0.0, 0.25, 0.33])
    count = 40_000
    tokens = draw(weights.expand(count, 5), Noise([0], CPU)(5 * count).view(count, 5))
    found = torch.bincount(tokens, minlength=5)
    assert found[2] == 0
    likely = [0, 1, 3, 4]
    assert (
        chisquare(
            found[likely].numpy(), (count * weights[likely].double()).numpy(), sum_check=False
        ).pvalue
        > 1e-3
    )


def test_noise_is_exponential_and_never_zero():
    noise = Noise([0], CPU)(1_000_000)
    assert noise.shape == (1, 1_000_000) and noise.dtype == torch.float32
    assert noise.min() > 0
    assert float(noise.mean()) == pytest.approx(1, abs=0.01)
    assert float(noise.var()) == pytest.approx(1, abs=0.02)
    assert float((noise > 1).float().mean()) == pytest.approx(math.exp(-1), abs=0.003)


def test_what_a_clip_draws_does_not_depend_on_the_clips_beside_it():
    sizes = [8, 512, 8, 33]

    def drawn(seeds):
        noise = Noise(seeds, CPU)
        return [noise(size) for size in sizes]

    alone = drawn([7])
    for seeds in ([7, 1], [1, 2, 7], [7] * 3, list(range(20))):
        for mine, theirs in zip(alone, drawn(seeds), strict=True):
            assert torch.equal(mine[0], theirs[seeds.index(7)])
    assert not torch.equal(alone[0], alone[2])
    other = drawn([8])
    assert not torch.equal(alone[1], other[1])


def test_other_random_numbers_do_not_matter():
    torch.manual_seed(0)
    before = Noise([3], CPU)(4)
    torch.manual_seed(1)
    torch.rand(9)
    assert torch.equal(before, Noise([3], CPU)(4))
