"""The transformer: who sees whom, cache, switches, heads, losses, generation, files."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from model.checkpoint import CheckpointError, sidecar_path
from model.sequence import LAYOUTS, MOTION, TASKS, VIDEO_ALONE, VISUAL, i2vm, v2m
from model.transformer import UniMo, UniMoConfig, visual
from model.transformer.sampling import Noise
from model.transformer.training import schedules
from model.transformer.visual import DigitEmbedding, DigitHead, TableHead
from model.video_tokens import fsq

CPU = torch.device("cpu")
SMALL = {
    "dim": 48,
    "n_heads": 4,
    "n_kv_heads": 2,
    "ffn_hidden_size": 40,
    "latent_shape": (2, 2, 2),
    "tokens_per_frame": 2,
    "ape_gate": 0.5,
}
FACTORISED = {"visual_embedding": "factorised", "visual_vocab": 64000}
SWITCHES = [
    {"ape": ape, "motion_rope": rope, "unified": unified, **embedding}
    for ape, rope, unified, embedding in itertools.product(
        ("off", "hidden", "qk"), ("1d", "factorised"), (False, True), ({}, FACTORISED)
    )
]


def name_of(switches):
    return "-".join(str(value) for value in switches.values())


def make(seed=0, scale=0.15, **changes):
    """A model whose every parameter matters: no tiny weights, no norms of ones."""
    torch.manual_seed(seed)
    model = UniMo(UniMoConfig.tiny(**{**SMALL, **changes}))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("norm.weight"):
                parameter.copy_(1 + 0.3 * torch.randn(parameter.shape))
            elif parameter.ndim > 1:
                parameter.normal_(0.0, scale)
    return model.eval()


def tokens_of(model, schedule, count=2, seed=0):
    rng = np.random.default_rng(seed)
    visual_ids = rng.integers(model.config.visual_vocab, size=(count, schedule.num_visual))
    motion_ids = rng.integers(model.config.motion_vocab, size=(count, schedule.num_motion))
    return torch.from_numpy(schedule.assemble(visual_ids, motion_ids))


def changed(model, schedule, tokens, position):
    """Tokens with another one at a position."""
    other = tokens.clone()
    sizes = (3, model.config.visual_vocab, model.config.motion_vocab)
    other[:, position] = (other[:, position] + 1) % sizes[schedule.modality[position]]
    return other


def cached_states(model, tokens, schedule):
    """As `UniMo.hidden`, token by token."""
    state, cache = model.prefill(tokens, schedule)
    states = [state]
    for position in range(schedule.prefix, len(schedule) - 1):
        states.append(model.decode_step(tokens[:, position], position, cache))
    return torch.stack(states, dim=1)


def assert_same_states(found, wanted):
    assert (found - wanted).norm() <= 1e-5 * wanted.norm()


# --- the cache ---


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


def test_the_condition_alone_is_read():
    model = make()
    schedule = schedules(model.config)["i2vm"]
    tokens = tokens_of(model, schedule)
    state, _ = model.prefill(tokens[:, : schedule.prefix], schedule)
    tokens[:, schedule.prefix :] = 10**9
    assert model.prefill(tokens, schedule)[0].equal(state)


# --- who sees whom ---


@pytest.mark.parametrize("layout", ["video-first", "alternating"])
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


# --- absolute positions and the ablation ---


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


# --- heads and losses ---


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


def test_unified_and_factorised_is_one_distribution():
    model = make(unified=True, **FACTORISED)
    states = torch.randn(1, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        seen = model._visual_losses(states.expand(64000, 48), torch.arange(64000))
        moved = model._motion_losses(states.expand(32, 48), torch.arange(32))
    both = [(-losses.double()).exp().sum() for losses in (seen, moved)]
    assert float(sum(both)) == pytest.approx(1, abs=1e-5)
    assert min(both) > 0.01


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
    monkeypatch.setattr(visual, "_CHUNK", 5)
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


# --- half precision ---


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


# --- generation ---


def generated(model, tokens, schedule, seeds, **settings):
    noise = Noise(seeds, CPU)
    return torch.stack(list(model.generate(tokens, schedule, noise, **settings)), dim=1)


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


# --- hostile input ---


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (1, 97, "visual ids must be from 0 to 96"),
        (1, -1, "visual ids must be from 0 to 96, got -1"),
        (-1, 32, "motion ids must be from 0 to 31"),
        (-2, -5, "motion ids must be from 0 to 31, got -5"),
        (0, 3, "special ids must be from 0 to 2"),
    ],
)
def test_ids_outside_their_vocabulary_are_refused(place, value, message):
    model = make()
    schedule = schedules(model.config)["v2m"]
    tokens = tokens_of(model, schedule)
    tokens[1, place] = value
    for use in (model, model.losses, model.hidden):
        with pytest.raises(ValueError, match=message):
            use(tokens, schedule)


def test_tokens_of_another_shape_are_refused():
    model = make()
    schedule = schedules(model.config)["v2m"]
    tokens = tokens_of(model, schedule)
    for wrong in (tokens[:, :-1], tokens[0], torch.cat([tokens, tokens[:, :1]], dim=1)):
        with pytest.raises(ValueError, match=r"expected \(B, 28\)"):
            model(wrong, schedule)
    with pytest.raises(ValueError, match=r"expected \(B, 10\)"):
        model.prefill(tokens[:, :9], schedule)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": 50}, "dim 50 must be n_heads 4 times"),
        ({"dim": 20}, "even number of at least 6"),
        ({"dim": 16}, "even number of at least 6"),
        ({"n_kv_heads": 3}, "multiple of n_kv_heads"),
        ({"n_layers": 0}, "n_layers"),
        ({"n_heads": 0}, "n_heads"),
        ({"n_heads": 4.0}, "n_heads"),
        ({"motion_vocab": 1}, "motion_vocab"),
        ({"latent_shape": (2, 2)}, r"\(t, h, w\)"),
        ({"latent_shape": (2, 0, 2)}, "latent_shape"),
        ({"ape": "both"}, "ape must be one of"),
        ({"ape_gate": math.nan}, "ape_gate"),
        ({"rope_theta": 0.5}, "rope_theta"),
        ({"motion_rope": "2d"}, "motion_rope"),
        ({"visual_embedding": "factorised"}, "64000 FSQ tokens"),
    ],
)
def test_configurations_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        UniMoConfig.tiny(**changes)


def test_configurations_survive_json_and_unknown_settings_are_named():
    for config in (UniMoConfig.paper(), UniMoConfig.embedded(), UniMoConfig.tiny(ape="off")):
        assert UniMoConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ValueError, match="wings"):
        UniMoConfig.from_dict({"wings": 2})


def test_the_presets_have_the_lengths_they_promise():
    for config, length in ((UniMoConfig.paper(), 11558), (UniMoConfig.embedded(), 118)):
        assert {len(schedules(config)[task]) for task in TASKS} == {length}
        alone = schedules(config)[VIDEO_ALONE]
        assert len(alone) == 2 + math.prod(config.latent_shape)
    config = UniMoConfig.paper()
    assert (config.num_frames, config.height, config.width, config.head_dim) == (65, 512, 512, 128)


# --- files ---


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("switches", [{}, {"ape": "off"}, FACTORISED], ids=str)
def test_models_survive_their_files(tmp_path, switches, half):
    model = make(**switches)
    path = model.save(tmp_path / "m.safetensors", extra={"training": {"steps": 1}}, half=half)
    again = UniMo.load(path)
    assert again.config == model.config and not again.training
    state, wanted = again.state_dict(), model.state_dict()
    assert state.keys() == wanted.keys()
    for name, tensor in wanted.items():
        if half and tensor.is_floating_point():
            tensor = tensor.half().float()
        assert state[name].equal(tensor) and state[name].dtype == tensor.dtype
    assert not any(t.is_meta for t in (*again.parameters(), *again.buffers()))
    model.load_state_dict(state)
    for schedule in schedules(model.config).values():
        tokens = tokens_of(model, schedule)
        assert again.hidden(tokens, schedule).equal(model.hidden(tokens, schedule))
        assert generated(again, tokens, schedule, [0, 1]).equal(
            generated(model, tokens, schedule, [0, 1])
        )
        sum(loss.sum() for loss in again.losses(tokens, schedule).values()).backward()


def test_files_that_do_not_fit_are_refused(tmp_path):
    path = make().save(tmp_path / "m.safetensors")
    sidecar = json.loads(sidecar_path(path).read_text())
    for changes, message in (
        ({"motion_vocab": 33}, "tensor motion_embeddings.weight is"),
        ({"n_layers": 3}, "has no tensor layers.2"),
        ({"n_layers": 1}, "tensor layers.1.* unknown to UniMo"),
        ({"ape": "off"}, "tensor layers.0.ape_gate, unknown"),
        ({"dim": 49}, "dim 49"),
        ({"dim": 10**12, "n_heads": 10**6}, "m.json|tensor"),
        ({"wings": 2}, "wings"),
    ):
        config = {**sidecar["config"], **changes}
        sidecar_path(path).write_text(json.dumps({**sidecar, "config": config}))
        with pytest.raises(CheckpointError, match=message):
            UniMo.load(path)


def test_construction_is_reproducible_and_scaled():
    torch.manual_seed(3)
    first = UniMo(UniMoConfig.tiny(ape_gate=0.1))
    torch.manual_seed(3)
    second = UniMo(UniMoConfig.tiny(ape_gate=0.1))
    for name, tensor in first.state_dict().items():
        assert tensor.equal(second.state_dict()[name])
        if name.endswith("norm.weight"):
            assert (tensor == 1).all()
        elif name.endswith("ape_gate"):
            assert tensor.tolist() == pytest.approx([0.1])
        else:
            scale = 0.01 if name.endswith(("wo.weight", "w2.weight")) else 0.02
            assert float(tensor.std()) == pytest.approx(scale, rel=0.1)


def test_one_model_serves_other_lengths():
    """Nothing in a model has the length of its clips."""
    model = make(ape="hidden")
    for schedule in (v2m(17, 32, 48, 2), i2vm(17, 32, 48, 2)):
        tokens = tokens_of(model, schedule)
        with torch.no_grad():
            states = model.hidden(tokens, schedule)
        assert_same_states(cached_states(model, tokens, schedule), states)
