"""Cosmos's finite scalar quantiser: golden values, all 64,000 ids, gradients, hostile input."""

import math

import numpy as np
import pytest
import torch

from model.video_tokens import fsq

EVERY_ID = torch.arange(fsq.VOCABULARY)
GOLDEN = {
    0: (-1.0, -1.0, -1.0, -1.0, -1.0, -1.0),
    12345: (-0.75, 0.75, -1.0, 1.0, 1.0, -1.0),
    63999: (0.75, 0.75, 0.75, 1.0, 1.0, 1.0),
}


def test_the_levels_make_the_vocabulary():
    assert math.prod(fsq.LEVELS) == fsq.VOCABULARY == 64_000
    assert len(fsq.LEVELS) == fsq.NUM_DIGITS == 6


@pytest.mark.parametrize(("number", "codes"), GOLDEN.items())
def test_golden_codes(number, codes):
    found = fsq.decode(torch.tensor(number))
    assert tuple(found.tolist()) == codes
    assert torch.equal(found, found.bfloat16().float())


def test_every_id_survives_codes_and_digits():
    codes, digits = fsq.decode(EVERY_ID), fsq.digits(EVERY_ID)
    assert codes.abs().max() == 1
    assert torch.equal(fsq.from_digits(digits), EVERY_ID)
    assert len(torch.unique(codes, dim=0)) == fsq.VOCABULARY
    for j, levels in enumerate(fsq.LEVELS):
        assert digits[:, j].min() == 0 and digits[:, j].max() == levels - 1


def test_the_first_digit_is_the_least_significant():
    assert fsq.digits(np.array([1, 8, 64, 512, 2560, 12800])).tolist() == torch.eye(6).tolist()


def test_every_id_is_reached_by_real_numbers():
    """What `bound` maps onto a level's middle is encoded as that level."""
    half = torch.tensor([level // 2 for level in fsq.LEVELS])
    reach = (torch.tensor(fsq.LEVELS, dtype=torch.float64) - 1) * (1 + 1e-3) / 2
    offset = torch.tensor([0.5, 0.5, 0.5, 0, 0, 0], dtype=torch.float64)
    wanted = fsq.digits(EVERY_ID) - half
    z = torch.atanh((wanted + offset) / reach) - torch.atanh(offset / reach)
    torch.testing.assert_close(fsq.bound(z), wanted.double(), atol=1e-9, rtol=0)
    assert torch.equal(fsq.encode(z), EVERY_ID)


def test_encode_and_quantize_agree_and_no_number_is_too_large():
    z = 4 * torch.randn(5000, 6, generator=torch.Generator().manual_seed(0))
    z = torch.cat([z, torch.full((1, 6), 1e9), torch.full((1, 6), -1e9), torch.zeros(1, 6)])
    ids = fsq.encode(z)
    assert ids.dtype == torch.int64
    assert torch.equal(fsq.decode(ids), fsq.quantize(z))
    assert ids[-3:].tolist() == [63999, 0, int(fsq.from_digits(np.array([4, 4, 4, 2, 2, 2])))]
    assert torch.equal(fsq.encode(z.numpy()), ids)


def test_the_gradient_passes_straight_through_the_rounding():
    z = torch.randn(100, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z.requires_grad_()
    half = torch.tensor([level // 2 for level in fsq.LEVELS])
    (found,) = torch.autograd.grad(fsq.quantize(z).sum(), z)
    (wanted,) = torch.autograd.grad((fsq.bound(z) / half).sum(), z)
    torch.testing.assert_close(found, wanted)
    assert (found > 0).all()


@pytest.mark.parametrize("function", [fsq.decode, fsq.digits])
def test_ids_outside_the_vocabulary_are_refused(function):
    with pytest.raises(ValueError, match="from 0 to 63999, got -1 to 5"):
        function(np.array([-1, 5]))
    with pytest.raises(ValueError, match="from 0 to 63999, got 64000 to 64000"):
        function(torch.tensor(64_000))
    with pytest.raises(ValueError, match=r"integers, got torch\.float64"):
        function(np.array([1.0]))
    assert len(function(torch.zeros(0, dtype=torch.int64))) == 0
