"""Bytes and operations that a transformer needs, from its configuration alone.

Products of matrices and attention are counted, two operations a multiplication with addition;
normalisation, rotary positions and sampling are left out.
"""

from model.sequence import MOTION, VISUAL, Schedule
from model.transformer.config import UniMoConfig
from model.video_tokens import fsq


def matrix_parameters(config: UniMoConfig) -> int:
    """Weights of all blocks' matrices."""
    heads = config.n_heads + 2 * config.n_kv_heads
    attention = config.dim * heads * config.head_dim + config.dim * config.dim
    return config.n_layers * (attention + 3 * config.dim * config.ffn_hidden_size)


def head_parameters(config: UniMoConfig, modality: int) -> int:
    """Weights of the head that draws a `VISUAL` or `MOTION` token."""
    if modality == MOTION:
        return config.motion_vocab * config.dim
    rows = config.visual_vocab if config.visual_embedding == "table" else sum(fsq.LEVELS)
    return rows * config.dim


def streamed_parameters(config: UniMoConfig, modality: int) -> int:
    """Weights read to draw one token: blocks, normalisations and the head of its modality."""
    norms = config.n_layers * (2 * config.dim + 2 * config.head_dim) + config.dim
    return matrix_parameters(config) + norms + head_parameters(config, modality)


def cache_bytes(config: UniMoConfig, number: int = 2) -> int:
    """Keys and values of one position, `number` bytes each."""
    return 2 * config.n_layers * config.n_kv_heads * config.head_dim * number


def step_bytes(
    config: UniMoConfig,
    position: int,
    modality: int,
    *,
    batch: int = 1,
    weight: float = 2,
    number: int = 2,
) -> float:
    """Bytes that a step must read.

    Args:
        config: of the model.
        position: positions before the one that is drawn.
        modality: of the token that is drawn.
        batch: clips; each has a cache of its own, all share the weights.
        weight: bytes of a weight.
        number: bytes of a cached number.
    """
    weights = weight * streamed_parameters(config, modality)
    return weights + batch * position * cache_bytes(config, number)


def decode_bytes(config: UniMoConfig, schedule: Schedule, **sizes: float) -> float:
    """Bytes read from the second target to the last; the first comes with the condition."""
    return sum(
        step_bytes(config, position, int(schedule.modality[position]), **sizes)
        for position in range(schedule.prefix + 1, len(schedule))
    )


def block_flops(config: UniMoConfig, tokens: int) -> float:
    """Matrix products of all blocks, forward."""
    return 2.0 * matrix_parameters(config) * tokens


def head_flops(config: UniMoConfig, modality: int, tokens: int) -> float:
    """Matrix products of a head, forward."""
    return 2.0 * head_parameters(config, modality) * tokens


def attention_flops(config: UniMoConfig, prefix: int, length: int) -> float:
    """Attention of all blocks over a sequence with a condition of `prefix`, forward."""
    target = length - prefix
    pairs = prefix**2 + prefix * target + target * (target + 1) / 2
    return 4.0 * config.n_layers * config.dim * pairs


def prefill_flops(config: UniMoConfig, prefix: int) -> float:
    """Reading a condition."""
    return block_flops(config, prefix) + attention_flops(config, prefix, prefix)


def training_flops(config: UniMoConfig, schedule: Schedule) -> float:
    """Forward and backward (twice the forward) of one clip; what is recomputed is not counted.

    Each head is counted for the targets of its modality, as only there it is computed.
    """
    forward = block_flops(config, len(schedule))
    forward += attention_flops(config, schedule.bidirectional, len(schedule))
    for modality in (VISUAL, MOTION):
        forward += head_flops(config, modality, len(schedule.targets[modality]))
    return 3.0 * forward
