"""UniMos of a few numbers, each of which matters, and tokens for them."""

import itertools

import numpy as np
import torch

from model.transformer import UniMo, UniMoConfig
from model.transformer.sampling import Noise

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


def make(seed=0, **changes):
    """A small model with weights that matter."""
    torch.manual_seed(seed)
    return with_weights(UniMo(UniMoConfig.tiny(**{**SMALL, **changes})), 0.15)


def with_weights(model, scale):
    """The model with parameters that all matter: no tiny weights, no norms of ones."""
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


def generated(model, tokens, schedule, seeds, **settings):
    noise = Noise(seeds, CPU)
    return torch.stack(list(model.generate(tokens, schedule, noise, **settings)), dim=1)
