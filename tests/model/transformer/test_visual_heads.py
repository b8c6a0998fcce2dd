"""Embedding and heads of the visual tokens: a row a token, and a row a digit."""

import pytest
import torch
from scipy.stats import chisquare

from model.transformer import visual
from model.transformer.sampling import Noise
from model.transformer.visual import DigitEmbedding, DigitHead, TableHead
from model.video_tokens import fsq
from tests.model.tiny_unimo import CPU


def digit_head(dim=16):
    torch.manual_seed(0)
    head = DigitHead(dim)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.5)
    return head.requires_grad_(False)


def tree(head, hidden):
    """The head's distribution over all ids, for one state: one digit after the other, float64."""
    likely = torch.ones(1, dtype=torch.float64)
    states = hidden.double()[None]
    for place, output in enumerate(head.outputs):
        branches = (states @ output.weight.double().T).softmax(-1)
        likely = (likely[:, None] * branches).flatten()
        if place < 5:
            given = head.given[place].weight.double()
            states = (states[:, None] + given[None]).flatten(0, 1)
    # The first digit is the outermost branch, but the least significant of an id.
    return likely.view(fsq.LEVELS).permute(5, 4, 3, 2, 1, 0).flatten()


def test_the_factorised_head_is_a_distribution_over_all_ids():
    head, states = digit_head(), torch.randn(2, 16, generator=torch.Generator().manual_seed(1))
    ids = torch.arange(64000)
    for state in states:
        found = (-head.losses(state.expand(64000, 16), ids, None)).exp()
        wanted = tree(head, state)
        assert float(found.double().sum()) == pytest.approx(1, abs=1e-5)
        torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=0)


def test_samples_of_the_factorised_head_follow_it():
    head, state = digit_head(), torch.randn(16, generator=torch.Generator().manual_seed(1))
    count = 4000
    noise = Noise(list(range(count)), CPU)
    ids = head.sample(state.expand(count, 16), noise, p=1, temperature=1.0)
    wanted = tree(head, state)
    every = fsq.digits(torch.arange(64000))
    for one, two in ((0, 1), (1, 2), (3, 4), (4, 5)):
        cells, own = (digits[:, one] * 8 + digits[:, two] for digits in (every, fsq.digits(ids)))
        expected = count * torch.bincount(cells, weights=wanted, minlength=64)
        found = torch.bincount(own, minlength=64).double()
        many = expected > 5
        pairs = [torch.cat([x[many], x[~many].sum()[None]]) for x in (found, expected)]
        used = pairs[1] > 0
        assert (
            chisquare(pairs[0][used].numpy(), pairs[1][used].numpy(), sum_check=False).pvalue > 1e-3
        )


def test_the_factorised_head_at_temperature_zero_takes_the_likeliest_digits():
    head, states = digit_head(), torch.randn(3, 16, generator=torch.Generator().manual_seed(1))
    ids = head.sample(states, Noise([0, 1, 2], CPU), p=0.8, temperature=0)
    for state, digits in zip(states, fsq.digits(ids), strict=True):
        for place, output in enumerate(head.outputs):
            assert output(state).argmax() == digits[place]
            if place < 5:
                state = state + head.given[place](digits[place])


def test_digit_embeddings_are_sums_of_six_rows():
    torch.manual_seed(0)
    table = DigitEmbedding(8)
    torch.nn.init.normal_(table.weight)
    ids = torch.tensor([[0, 63999], [12345, 8]])
    found = table(ids)
    for id_, row in zip(ids.flatten().tolist(), found.flatten(0, 1), strict=True):
        rows, start = [], 0
        for levels in fsq.LEVELS:
            id_, digit = divmod(id_, levels)
            rows.append(table.weight[start + digit])
            start += levels
        torch.testing.assert_close(row, sum(rows))
    assert start == len(table.weight)


@pytest.mark.parametrize("rivals", [False, True])
@pytest.mark.parametrize("count", [0, 1, 5, 13])
def test_losses_by_pieces_are_plain_cross_entropies_with_their_gradients(
    monkeypatch, rivals, count
):
    monkeypatch.setattr(visual, "LOGITS_AT_ONCE", 5)
    torch.manual_seed(0)
    head = TableHead(8, 40).double()
    hidden = torch.randn(count, 8, dtype=torch.float64, requires_grad=True)
    others = torch.randn(count, 7, dtype=torch.float64, requires_grad=True) if rivals else None
    ids = torch.randint(40, (count,))
    tensors = [hidden, head.weight, *([others] if rivals else [])]

    found = head.losses(hidden, ids, others)
    logits = torch.cat([head(hidden), *([others] if rivals else [])], dim=-1)
    wanted = torch.nn.functional.cross_entropy(logits, ids, reduction="none")
    torch.testing.assert_close(found.double(), wanted, rtol=1e-6, atol=1e-6)
    weights = torch.arange(1.0, count + 1, dtype=torch.float64)
    gradients = [
        torch.autograd.grad((weights * losses).sum(), tensors) for losses in (found, wanted)
    ]
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)
