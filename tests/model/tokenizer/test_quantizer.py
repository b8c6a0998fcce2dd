import pytest
import torch

from model.tokenizer.config import TokenizerConfig
from model.tokenizer.quantizer import EMAQuantizer, GradientQuantizer

CONFIG = TokenizerConfig(
    tokens_per_frame=1, strides=(1,), codebook_size=4, code_dim=3, width=8, depth=1
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def ready(kind=EMAQuantizer, config=CONFIG, rows=20, seed=0):
    """A quantiser after its first training batch, and another batch."""
    torch.manual_seed(seed)
    quantizer = kind(config)
    quantizer(torch.randn(rows, config.code_dim), generator())
    return quantizer, torch.randn(rows, config.code_dim)


def test_nearest_is_brute_force_for_any_number_of_rows():
    config = TokenizerConfig(codebook_size=37, code_dim=5)
    quantizer = EMAQuantizer(config)
    quantizer.codebook.copy_(torch.randn(37, 5, generator=generator()))
    features = torch.randn(1000, 5, generator=generator(1))
    expected = torch.cdist(features.double(), quantizer.codebook.double()).argmin(1)
    assert torch.equal(quantizer.nearest(features), expected)


def test_first_codes_are_distinct_features_in_random_order():
    features = torch.arange(60.0).view(20, 3)
    codebooks = []
    for seed in (0, 0, 1):
        quantizer = EMAQuantizer(CONFIG)
        quantizer._initialise(features, generator(seed))
        rows = [features.tolist().index(code) for code in quantizer.codebook.tolist()]
        assert len(set(rows)) == 4
        codebooks.append(rows)
    assert codebooks[0] == codebooks[1] != codebooks[2]
    assert codebooks[0] != [0, 1, 2, 3]


def test_fewer_features_than_codes_still_gives_distinct_codes():
    quantizer = EMAQuantizer(CONFIG)
    quantizer(torch.randn(2, 3, generator=generator()), generator())
    assert len(quantizer.codebook.unique(dim=0)) == 4


def test_ema_update_is_the_closed_form():
    quantizer, features = ready()
    sums, counts = quantizer.sums.double(), quantizer.counts.double()
    _, ids, _ = quantizer(features)
    one_hot = torch.nn.functional.one_hot(ids, 4).double()
    counts = 0.99 * counts + 0.01 * one_hot.sum(0)
    sums = 0.99 * sums + 0.01 * one_hot.T @ features.double()
    assert torch.allclose(quantizer.counts.double(), counts, atol=1e-5)
    assert torch.allclose(quantizer.codebook.double(), sums / counts[:, None], atol=1e-5)


def test_dead_codes_move_to_features_of_the_batch_and_forget_their_past():
    quantizer, features = ready()
    quantizer.codebook[2] = 1000.0
    quantizer.sums[2], quantizer.counts[2] = 0.001 * 1000.0, 0.001
    quantizer(features, generator(5))
    assert torch.isclose(features, quantizer.codebook[2]).all(1).any()
    assert quantizer.counts[2] == pytest.approx(20 / 4 / 15)
    assert torch.allclose(quantizer.sums[2], quantizer.codebook[2] * quantizer.counts[2])


def test_restart_follows_the_generator_and_only_it():
    def codebook(seed):
        quantizer, features = ready()
        quantizer.counts.zero_()
        torch.manual_seed(seed + 100)
        quantizer(features, generator(seed))
        return quantizer.codebook

    assert torch.equal(codebook(1), codebook(1))
    assert not torch.equal(codebook(1), codebook(2))


def test_without_a_generator_nothing_restarts_and_unused_codes_stay():
    quantizer, features = ready()
    quantizer.codebook[2] = 1000.0
    quantizer.sums[2], quantizer.counts[2] = 0.0, 0.0
    quantizer(features)
    assert torch.equal(quantizer.codebook[2], torch.full((3,), 1000.0))


@pytest.mark.parametrize("kind", [EMAQuantizer, GradientQuantizer])
def test_gradient_goes_straight_through(kind):
    quantizer, features = ready(kind)
    features.requires_grad_()
    codes, _, _ = quantizer(features)
    weights = torch.randn(codes.shape)
    (codes * weights).sum().backward()
    assert torch.equal(features.grad, weights)


def test_codes_returned_are_the_codebook_rows():
    quantizer, features = ready()
    before = quantizer.codebook.clone()
    codes, ids, losses = quantizer(features)
    assert torch.allclose(codes, before[ids], atol=1e-6)
    assert losses["commitment"] == pytest.approx(float((features - before[ids]).square().mean()))


def test_commitment_pulls_features_only_and_codebook_term_pulls_codes_only():
    quantizer, features = ready(GradientQuantizer)
    features.requires_grad_()
    _, ids, losses = quantizer(features)
    losses["commitment"].backward()
    assert quantizer.codebook.grad is None
    expected = 2 * (features - quantizer.codebook[ids]) / features.numel()
    assert torch.allclose(features.grad, expected.detach(), atol=1e-7)
    features.grad = None
    _, _, losses = quantizer(features)
    losses["codebook"].backward()
    assert features.grad is None
    assert quantizer.codebook.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", [EMAQuantizer, GradientQuantizer])
def test_evaluation_changes_nothing_not_even_before_the_first_batch(kind):
    for quantizer in (kind(CONFIG), ready(kind)[0]):
        quantizer.eval()
        before = {name: value.clone() for name, value in quantizer.state_dict().items()}
        quantizer(torch.randn(20, 3), generator())
        for name, value in quantizer.state_dict().items():
            assert torch.equal(value, before[name])


def test_all_state_is_in_the_state_dict():
    quantizer, features = ready()
    other = EMAQuantizer(CONFIG)
    other.load_state_dict(quantizer.state_dict())
    for batch in (features, features * 2):
        quantizer(batch, generator(3))
        other(batch, generator(3))
    for name, value in quantizer.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


def test_float32_under_autocast():
    quantizer, features = ready()
    with torch.autocast("cpu", torch.bfloat16):
        codes, _, losses = quantizer(features.bfloat16(), generator())
    assert codes.dtype == torch.bfloat16
    assert losses["commitment"].dtype == torch.float32
    assert quantizer.sums.dtype == torch.float32
