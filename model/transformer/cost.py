"""Bytes and operations that a transformer needs, from its configuration alone.

Products of matrices and attention are counted, two operations a multiplication with addition;
normalisation, rotary positions and sampling are left out.
"""

from model.sequence import MOTION, SPECIAL_TOKENS, VISUAL, Schedule
from model.transformer.config import UniMoConfig
from model.video_tokens import fsq

LOGITS_AT_ONCE = 1024  # tokens whose logits over the whole vocabulary are held at a time


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


def num_parameters(config: UniMoConfig) -> int:
    """All weights of a model."""
    norms = config.n_layers * (2 * config.dim + 2 * config.head_dim) + config.dim
    gates = config.n_layers * (config.ape != "off")
    heads = head_parameters(config, VISUAL) + head_parameters(config, MOTION)
    rows = len(SPECIAL_TOKENS) + config.motion_vocab
    if config.visual_embedding == "table":
        rows += config.visual_vocab
    else:  # a digit's head sees the digits before it
        rows += sum(fsq.LEVELS) + sum(fsq.LEVELS[:-1])
    return matrix_parameters(config) + norms + gates + heads + rows * config.dim


def training_bytes(
    config: UniMoConfig,
    longest: int,
    *,
    clips: int,
    recompute: bool,
    average: bool = False,
    processes: int = 1,
    number: int = 2,
) -> float:
    """Bytes that one process of a training holds on its device at most, about.

    Counted are float32 weights, gradients and AdamW's two averages (16 bytes a weight, split over
    the processes); the weights in the dtype of computing (all of them for autocast, else those of
    the embeddings, the heads and two blocks, with their gradients); what blocks keep for the
    gradient; and a piece of the logits.

    Args:
        config: of the model.
        longest: positions of a sequence.
        clips: of a pass of one process.
        recompute: blocks are computed again for the gradient, so that only their inputs are kept.
        average: an average of the weights is kept, too.
        processes: that share the weights.
        number: bytes of a number that is computed with; 4 on a CPU.
    """
    weights, matrices = num_parameters(config), matrix_parameters(config)
    state = (20 if average else 16) * weights / processes
    if processes > 1:
        state += 2 * number * (weights - matrices + 2 * matrices / config.n_layers)
    elif number < 4:
        state += number * weights
    positions = clips * longest
    stream = 4 if processes == 1 else number  # bytes of a number between the blocks
    block = _block_bytes(config, positions, number)
    kept = config.n_layers * (positions * config.dim * stream if recompute else block)
    rows = config.visual_vocab if config.visual_embedding == "table" else config.motion_vocab
    logits = 3 * 4 * min(positions, LOGITS_AT_ONCE) * rows  # with softmax and gradient, float32
    return state + kept + 2 * block + logits


def generation_bytes(
    config: UniMoConfig,
    schedule: Schedule,
    *,
    clips: int,
    weight: float = 2,
    number: int = 2,
    read: int | None = None,
) -> float:
    """Bytes of weights, caches and the reading of a condition, about; codecs come on top.

    Args:
        config: of the model.
        schedule: of the task.
        clips: at once.
        weight: bytes of a weight.
        number: bytes of a number that is computed with.
        read: positions of the condition that are read at once; all by default.
    """
    cached = len(schedule) * cache_bytes(config, number)
    positions = schedule.prefix if read is None else read
    widest = 4 * positions * config.ffn_hidden_size * number  # gate, value, their product
    return weight * num_parameters(config) + clips * (cached + widest)


def _block_bytes(config: UniMoConfig, positions: int, number: int) -> float:
    """The bytes that a block makes of its input and keeps for the gradient, about.

    As wide as the model: sums, normalised and scaled states of the stream and of the queries, those
    before, while and after they are turned, attention and what is merged of it. As wide as the
    feed-forward: gate, value, the gate's curve, and the product.
    """
    keys = config.n_kv_heads * config.head_dim
    numbers = 16 * config.dim + 6 * keys + 4 * config.ffn_hidden_size
    return positions * (numbers * number + 2 * config.dim * 4)  # statistics are float32


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
