"""Rotary and absolute positions: Cosmos's numbers, and what a rotation must do."""

import pytest
import torch

from model.transformer.position import ape_3d, axis_widths, rope_tables, rope_tables_1d, rotate

HERE = tuple(torch.tensor([axis]) for axis in (4, 28, 8))  # index 5000 of 9 x 32 x 32


def grid(t, h, w):
    return torch.cartesian_prod(torch.arange(t), torch.arange(h), torch.arange(w)).T


def rotated_at(x, *place):
    tables = rope_tables(*(torch.tensor([float(axis)]) for axis in place), x.shape[-1])
    return rotate(x[None], *tables)[0]


def test_widths():
    assert axis_widths(128) == (44, 42, 42)
    assert axis_widths(4096) == (1368, 1364, 1364)
    assert axis_widths(32) == (12, 10, 10)
    assert axis_widths(6) == (2, 2, 2)
    assert all(sum(axis_widths(dim)) == dim for dim in range(6, 300, 2))
    assert all(width % 2 == 0 for dim in range(6, 300, 2) for width in axis_widths(dim))


def test_golden_rotation_of_ones():
    y = rotate(torch.ones(1, 128), *rope_tables(*HERE))[0]
    golden = {0: 0.103159, 21: 0.999985, 22: -1.233512, 43: -1.134858, 64: -1.410446, 127: 1.000030}
    for place, value in golden.items():
        assert float(y[place]) == pytest.approx(value, abs=2e-6)


def test_golden_angles():
    cos, sin = rope_tables(*HERE)
    assert cos.shape == sin.shape == (1, 128) and cos.dtype == torch.float32
    golden = {0: 4, 1: 2.203007, 22: 28, 23: 14.989202, 43: 8, 44: 4.282629}
    for place, angle in golden.items():
        for half in (place, place + 64):
            angle = torch.tensor(float(angle), dtype=torch.float64)
            assert float(cos[0, half]) == pytest.approx(float(angle.cos()), abs=5e-6)
            assert float(sin[0, half]) == pytest.approx(float(angle.sin()), abs=5e-6)


def test_golden_frequencies():
    """Each axis alone, at coordinate 1, shows its frequencies as angles."""
    one, none = torch.ones(1), torch.zeros(1)
    cos, sin = rope_tables(one, none, none)
    angles = torch.atan2(sin, cos)[0, :64]
    assert angles[:22].tolist()[1::20] == pytest.approx([0.5507517, 3.63140e-6], rel=1e-5)
    assert (angles[22:] == 0).all()
    for first, place in ((22, (none, one, none)), (43, (none, none, one))):
        cos, sin = rope_tables(*place)
        angles = torch.atan2(sin, cos)[0, :64]
        own = angles[first : first + 21]
        assert [float(own[0]), float(own[1]), float(own[20])] == pytest.approx(
            [1.0, 0.5353286, 3.73602e-6], rel=1e-5
        )
        assert angles.count_nonzero() == 21


def test_one_axis_has_all_pairs():
    """Pair i of D/2 turns by position * theta^(-2i/D)."""
    cos, sin = rope_tables_1d(torch.tensor([7]), 8, 10.0)
    angles = 7 * 10.0 ** -(torch.arange(4, dtype=torch.float64) / 4)
    torch.testing.assert_close(cos[0].double(), angles.cos().repeat(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(sin[0].double(), angles.sin().repeat(2), atol=1e-6, rtol=0)


def test_rotation_turns_pairs_half_a_head_apart():
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    right_angle = torch.zeros(1, 4), torch.ones(1, 4)
    assert rotate(x, *right_angle).tolist() == [[-3.0, -4.0, 1.0, 2.0]]
    assert rotate(x, torch.ones(1, 4), torch.zeros(1, 4)).equal(x)


@pytest.mark.parametrize("head_dim", [6, 32, 64, 128])
def test_rotation_preserves_norms(head_dim):
    t, h, w = grid(3, 5, 4)
    x = torch.randn(2, 3, 60, head_dim, generator=torch.Generator().manual_seed(0))
    for tables in (rope_tables(t, h, w, head_dim), rope_tables_1d(torch.arange(60), head_dim)):
        y = rotate(x, *tables)
        torch.testing.assert_close(y.norm(dim=-1), x.norm(dim=-1))
        torch.testing.assert_close(y[:, :, 0], x[:, :, 0])
        assert (y[:, :, 1:] - x[:, :, 1:]).abs().amax(-1).min() > 1e-3


def test_products_depend_on_differences_of_coordinates_alone():
    q, k = torch.randn(2, 32, generator=torch.Generator().manual_seed(1))
    near = rotated_at(q, 1, 2, 3) @ rotated_at(k, 0, 1, 5)
    far = rotated_at(q, 6, 9, 13) @ rotated_at(k, 5, 8, 15)
    torch.testing.assert_close(near, far, atol=1e-4, rtol=0)
    for other in ((1, 1, 5), (0, 2, 5), (0, 1, 4)):  # each axis counts
        assert abs(near - rotated_at(q, 1, 2, 3) @ rotated_at(k, *other)) > 1e-2


def test_golden_absolute_positions():
    row = ape_3d(*HERE, 4096)[0]
    golden = {
        0: -0.756802,
        683: 0.000405,
        684: -0.653644,
        1367: 1.0,
        1368: 0.270906,
        2049: 0.002838,
        2050: -0.962606,
        2731: 0.999996,
        2732: 0.989358,
        4095: 1.0,
    }
    assert row.shape == (4096,) and row.dtype == torch.float32
    for place, value in golden.items():
        assert float(row[place]) == pytest.approx(value, abs=2e-6)


@pytest.mark.parametrize("dim", [6, 32, 128, 4096])
def test_absolute_positions_have_one_length_and_tell_places_apart(dim):
    t, h, w = grid(3, 4, 5)
    rows = ape_3d(t, h, w, dim)
    torch.testing.assert_close(rows.square().mean(-1).sqrt(), torch.full((60,), 0.5**0.5))
    apart = torch.cdist(rows, rows) + 9 * torch.eye(60)
    assert apart.min() > 0.1
