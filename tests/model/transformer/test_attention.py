"""Prefix-LM attention against two other implementations, and against a cache."""

import warnings

import pytest
import torch
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention

from model.transformer.attention import CHUNK, cached_attention, prefix_lm_attention

S = 13


def inputs(heads=4, key_heads=2, length=S, width=8, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(2, count, length, width, generator=generator, dtype=dtype).requires_grad_()
        for count in (heads, key_heads, key_heads)
    ]


def allowed(prefix, length=S):
    """(query, key) pairs, written out."""
    return torch.tensor([[k < prefix or k <= q for k in range(length)] for q in range(length)])


def written_out(q, k, v, prefix):
    """Softmax attention of each head and query, one by one, in float64."""
    group = q.shape[1] // k.shape[1]
    rows = []
    for head in range(q.shape[1]):
        for query in range(q.shape[2]):
            keys = [j for j in range(q.shape[2]) if j < prefix or j <= query]
            own = k[:, head // group, keys].double()
            scores = (own @ q[:, head, query, :, None].double())[..., 0] / q.shape[3] ** 0.5
            weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
            rows.append((weights[..., None] * v[:, head // group, keys].double()).sum(1))
    return torch.stack(rows, dim=1).unflatten(1, q.shape[1:3]).to(q.dtype)


def dense(q, k, v, prefix):
    """One call under a boolean mask, keys and values repeated for each query head."""
    k, v = (part.repeat_interleave(q.shape[1] // part.shape[1], dim=1) for part in (k, v))
    return scaled_dot_product_attention(q, k, v, attn_mask=allowed(prefix))


def outcome(attend, tensors, prefix):
    """Output and gradients of an uneven function of it."""
    out = attend(*tensors, prefix)
    weights = torch.linspace(-1, 2, out.numel()).view(out.shape).to(out)
    return out.detach(), *torch.autograd.grad((weights * out.sin()).sum(), tensors)


@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (6, 1)])
@pytest.mark.parametrize("prefix", [0, 1, 5, S - 1, S])
def test_three_implementations_agree_forward_and_backward(heads, prefix):
    tensors = inputs(*heads)
    found = outcome(prefix_lm_attention, tensors, prefix)
    for other in (dense, written_out):
        for mine, theirs in zip(found, outcome(other, tensors, prefix), strict=True):
            torch.testing.assert_close(mine, theirs, atol=3e-6, rtol=1e-5)


@pytest.mark.parametrize("prefix", [0, 1, 5, S])
def test_flex_attention_agrees(prefix):
    """A fourth one, whose mask is written as a function."""
    q, k, v = (tensor.detach() for tensor in inputs())

    def allow(batch, head, query, key):
        return (key < prefix) | (key <= query)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is slow unless compiled
        mask = create_block_mask(allow, None, None, S, S, device="cpu")
        theirs = flex_attention(q, k, v, block_mask=mask, enable_gqa=True)
    torch.testing.assert_close(prefix_lm_attention(q, k, v, prefix), theirs, atol=3e-6, rtol=1e-5)


def test_agreement_in_float64_is_to_rounding():
    tensors = inputs(dtype=torch.float64)
    for mine, theirs in zip(
        outcome(prefix_lm_attention, tensors, 5), outcome(written_out, tensors, 5), strict=True
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-13, rtol=1e-13)


@pytest.mark.parametrize("prefix", [0, 1, 5, S])
def test_what_a_position_sees(prefix):
    """The gradient of a query's output reaches the values that it may see, and no others."""
    q, k, v = inputs()
    out = prefix_lm_attention(q, k, v, prefix)
    seen = torch.stack(
        [
            torch.autograd.grad(out[:, :, query].sum(), v, retain_graph=True)[0]
            .abs()
            .sum((0, 1, 3))
            > 0
            for query in range(S)
        ]
    )
    assert seen.equal(allowed(prefix))


@pytest.mark.parametrize("prefix", [-1, S + 1])
def test_a_prefix_outside_the_sequence_is_refused(prefix):
    with pytest.raises(ValueError, match=f"prefix of {prefix} positions in a sequence of {S}"):
        prefix_lm_attention(*inputs(), prefix)


@pytest.mark.parametrize("change", ["heads", "values", "length"])
def test_shapes_that_do_not_fit_are_refused(change):
    q, k, v = inputs()
    if change == "heads":
        k = v = torch.zeros(2, 3, S, 8)
    elif change == "values":
        v = v[..., :4]
    else:
        k, v = k[:, :, 1:], v[:, :, 1:]
    with pytest.raises(ValueError, match="do not fit"):
        prefix_lm_attention(q, k, v, 3)


@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (6, 1)])
def test_cached_attention_is_the_last_row(heads):
    q, k, v = (tensor.detach() for tensor in inputs(*heads))
    for prefix in (0, 5):
        whole = prefix_lm_attention(q, k, v, prefix)
        found = cached_attention(q[:, :, -1:], k, v, None)
        torch.testing.assert_close(found, whole[:, :, -1:], atol=3e-6, rtol=1e-5)


@pytest.mark.parametrize("rows", [CHUNK, 3 * CHUNK])
@pytest.mark.parametrize("filled", [1, S, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_cached_attention_does_not_see_what_is_not_filled(rows, filled):
    q, k, v = (tensor.detach() for tensor in inputs(length=rows))
    seen = torch.arange(rows) < filled
    k[:, :, filled:] = v[:, :, filled:] = 1e4  # what an earlier clip may have left
    found = cached_attention(q[:, :, -1:], k, v, seen)
    wanted = cached_attention(q[:, :, -1:], k[:, :, :filled], v[:, :, :filled], None)
    torch.testing.assert_close(found, wanted, atol=3e-6, rtol=1e-5)
