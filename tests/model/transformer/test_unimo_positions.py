"""Embeddings and positions of a token in the network: equations 3-4 and the ablation."""

import numpy as np
import pytest
import torch

from model.sequence import MOTION, TASKS, VISUAL
from model.transformer.train.steps import schedules
from tests.model.tiny_unimo import CPU, make, tokens_of


def test_each_modality_has_its_own_embedding():
    model = make()
    schedule = schedules(model.config)["i2vm"]
    tokens = tokens_of(model, schedule)
    found = model.embed(tokens, schedule)
    tables = (model.special_embeddings, model.tok_embeddings, model.motion_embeddings)
    for position, modality in enumerate(schedule.modality):
        row = tables[modality].weight[tokens[:, position]]
        assert found[:, position].equal(row)


def test_rotary_positions_follow_the_modality():
    """Equations 3-4: a row by the token, whichever task it stands in; specials do not turn."""
    for rope in ("1d", "factorised"):
        model = make(motion_rope=rope, ape="qk")
        task = {name: schedules(model.config)[name] for name in TASKS}
        rows = {name: model.positions(schedule, CPU) for name, schedule in task.items()}
        for modality in (VISUAL, MOTION):
            places = [
                schedule.positions[modality][
                    np.argsort(schedule.index[schedule.positions[modality]])
                ]
                for schedule in task.values()
            ]
            for part in ("cos", "sin", "ape"):
                first, second = (
                    getattr(rows[name], part)[place]
                    for name, place in zip(task, places, strict=True)
                )
                assert first.equal(second)  # of the token, whichever task it stands in
        for name, schedule in task.items():
            special = schedule.positions[0]
            assert (rows[name].cos[special] == 1).all()
            assert not rows[name].sin[special].any() and not rows[name].ape[special].any()
    # The very first motion token of a 1-D embedding is not turned, that of a factorised one is.
    motion = task["v2m"].positions[MOTION]
    assert rows["v2m"].sin[motion[0]].any()
    own = make(motion_rope="1d").positions(task["v2m"], CPU)
    assert not own.sin[motion[0]].any()
    frequencies = 500_000.0 ** -(torch.arange(6) / 6)
    torch.testing.assert_close(own.sin[motion[5], :6], (5 * frequencies).sin())


def test_unified_positions_run_over_the_whole_sequence():
    model = make(unified=True, ape="off")
    schedule = schedules(model.config)["v2m"]
    rows = model.positions(schedule, CPU)
    # Position 9 is the second of the third 2 x 2 grid: (t, h, w) = (2, 0, 1); widths 4, 4, 4.
    second = 500_000.0**-0.5
    angles = torch.tensor([2, 2 * second, 0, 0, 1, second] * 2)
    torch.testing.assert_close(rows.sin[9], angles.sin())
    torch.testing.assert_close(rows.cos[9], angles.cos())


@pytest.mark.parametrize("ape", ["hidden", "qk"])
def test_closed_gates_are_no_absolute_positions(ape):
    plain = make(ape="off")
    placed = make(seed=1, ape=ape, ape_gate=0.0)
    gates = {name: tensor for name, tensor in placed.state_dict().items() if "gate" in name}
    assert len(gates) == 2 and not any(gates.values())
    placed.load_state_dict({**plain.state_dict(), **gates})
    for schedule in schedules(plain.config).values():
        tokens = tokens_of(plain, schedule)
        assert placed.hidden(tokens, schedule).equal(plain.hidden(tokens, schedule))
    tokens = tokens_of(plain, schedule)
    sum(loss.sum() for loss in placed.losses(tokens, schedule).values()).backward()
    for layer in placed.layers:
        assert layer.ape_gate.grad.abs() > 0  # they can open
        with torch.no_grad():
            layer.ape_gate.fill_(0.3)
    assert (placed.hidden(tokens, schedule) - plain.hidden(tokens, schedule)).abs().max() > 1e-3


def test_absolute_positions_on_queries_and_keys():
    """Equations 3-4: the same vector on all heads of both, after the rotation; none on values."""
    model = make(ape="qk")
    at = model.positions(schedules(model.config)["i2vm"], CPU)
    attention, gate = model.layers[0].attention, torch.tensor([0.7])
    x = torch.randn(2, 28, 48, generator=torch.Generator().manual_seed(0))
    turned, placed = attention.rotated(x, at), attention.placed(x, at, gate)
    for before, after in zip(turned[:2], placed[:2], strict=True):
        torch.testing.assert_close(after, before + 0.7 * at.ape)
    assert placed[2].equal(turned[2])
    assert at.ape.shape == (28, 12) and at.ape[20:].abs().max() > 0.5


def test_absolute_positions_on_the_residual_stream():
    """Added before every block, each by its own gate: as Cosmos's Video2World does."""
    plain, placed = make(ape="off"), make(seed=1, ape="hidden")
    gates = (0.3, -0.2)
    own = {f"layers.{i}.ape_gate": torch.tensor([gate]) for i, gate in enumerate(gates)}
    placed.load_state_dict({**plain.state_dict(), **own})
    for schedule in schedules(plain.config).values():
        tokens = tokens_of(plain, schedule)
        ape = placed.positions(schedule, CPU).ape[:-1]
        assert ape.shape == (len(schedule) - 1, 48)
        x = plain.embed(tokens[:, :-1], schedule)
        for layer, gate in zip(plain.layers, gates, strict=True):
            x = layer(x + gate * ape, plain.positions(schedule, CPU)[:-1], schedule.prefix)
        wanted = plain.norm(x)[:, schedule.prefix - 1 :]
        torch.testing.assert_close(placed.hidden(tokens, schedule), wanted)
