"""Losses of the transformer and their gradients, also in half precision."""

import pytest
import torch

from model.sequence import MOTION, VISUAL
from model.transformer.train.steps import schedules
from tests.model.tiny_unimo import FACTORISED, make, tokens_of


def test_losses_are_cross_entropies_of_the_logits():
    model = make()
    for schedule in schedules(model.config).values():
        tokens = tokens_of(model, schedule)
        logits, losses = model(tokens, schedule), model.losses(tokens, schedule)
        assert set(losses) == {"visual", "motion"}
        for name, modality in (("visual", VISUAL), ("motion", MOTION)):
            places = [p for p in schedule.positions[modality] if p >= schedule.prefix]
            assert losses[name].shape == (2, len(places))
            assert (name in logits) == bool(places)
            if places:
                wanted = -logits[name].log_softmax(-1).gather(-1, tokens[:, places, None])[..., 0]
                torch.testing.assert_close(losses[name], wanted)


def test_inputs_are_seen_and_tokens_are_predicted():
    model = make()
    schedule = schedules(model.config)["i2vm"]
    tokens, inputs = (tokens_of(model, schedule, seed=seed) for seed in (0, 1))
    found = model.losses(tokens, schedule, inputs=inputs)["motion"]
    states = model(inputs, schedule)["motion"].log_softmax(-1)
    places = torch.from_numpy(schedule.targets[MOTION])
    torch.testing.assert_close(found, -states.gather(-1, tokens[:, places, None])[..., 0])


def test_unified_losses_are_of_one_softmax_over_both_vocabularies():
    model = make(unified=True)
    for schedule in schedules(model.config).values():
        tokens = tokens_of(model, schedule)
        table = torch.cat([model.output.weight, model.motion_output.weight]).double()
        logits = model.hidden(tokens, schedule).double() @ table.T
        ids = tokens[:, schedule.prefix :].clone()
        ids[:, schedule.targets[MOTION] - schedule.prefix] += model.config.visual_vocab
        wanted = -logits.log_softmax(-1).gather(-1, ids[..., None])[..., 0]
        losses = model.losses(tokens, schedule)
        for name, modality in (("visual", VISUAL), ("motion", MOTION)):
            part = wanted[:, schedule.targets[modality] - schedule.prefix]
            torch.testing.assert_close(losses[name], part.float(), atol=1e-5, rtol=1e-5)


def test_unified_and_factorised_is_one_distribution():
    model = make(unified=True, **FACTORISED)
    states = torch.randn(1, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        seen = model._visual_losses(states.expand(64000, 48), torch.arange(64000))
        moved = model._motion_losses(states.expand(32, 48), torch.arange(32))
    both = [(-losses.double()).exp().sum() for losses in (seen, moved)]
    assert float(sum(both)) == pytest.approx(1, abs=1e-5)
    assert min(both) > 0.01


@pytest.mark.parametrize("embedding", [{}, FACTORISED], ids=["table", "factorised"])
@pytest.mark.parametrize("unified", [False, True])
def test_both_tasks_give_every_head_a_gradient(embedding, unified):
    """If of zeros: processes with different tasks must agree on what is exchanged."""
    model = make(unified=unified, **embedding)
    for schedule in schedules(model.config).values():
        model.zero_grad()
        losses = model.losses(tokens_of(model, schedule), schedule)
        sum(loss.sum() for loss in losses.values()).backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("embedding", [{}, FACTORISED], ids=["table", "factorised"])
def test_activation_checkpointing_changes_no_gradient(embedding):
    gradients = []
    for checkpointing in (False, True):
        model = make(**embedding).train()
        model.activation_checkpointing = checkpointing
        for schedule in schedules(model.config).values():
            losses = model.losses(tokens_of(model, schedule), schedule)
            sum(loss.sum() for loss in losses.values()).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)


@pytest.mark.parametrize("switches", [{}, {"ape": "hidden", **FACTORISED}], ids=str)
def test_training_in_autocast_is_nearly_that_in_full_precision(switches):
    """How one GPU trains: float32 weights, products in bf16."""
    model = make(**switches)
    for schedule in schedules(model.config).values():
        tokens = tokens_of(model, schedule)
        results = []
        for enabled in (False, True):
            model.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                losses = torch.cat(list(model.losses(tokens, schedule).values()), dim=1)
            losses.mean().backward()
            gradients = torch.cat([p.grad.flatten() for p in model.parameters()])
            results.append((losses.detach(), gradients))
        for mine, theirs in zip(*results, strict=True):
            assert theirs.dtype == torch.float32
            assert (mine - theirs).norm() <= 0.05 * mine.norm()
