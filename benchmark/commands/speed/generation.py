"""Prefill and decoding of the transformer, beside what reading weights and cache must take."""

import functools
from collections.abc import Iterable, Iterator

import torch

from benchmark.commands.speed import formulas
from benchmark.commands.speed.bench import Bench, Part, measured_row
from benchmark.commands.speed.machine import require_memory, seconds, typical
from model.sequence import Schedule
from model.transformer import UniMo, UniMoConfig
from model.transformer.decoding import Decoder, quantize
from model.transformer.sampling import Noise
from model.transformer.train.steps import schedules

PAPER_SECONDS = {"v2m": 30.0, "i2vm": 100.0}
_SAMPLING = {"p": 0.8, "temperature": 1.0}
_SAMPLE = 256  # positions of the condition from which a prefill is estimated


class PlainDecoder:
    """`UniMo.generate` a step at a time, at any position: the decoder without a GPU."""

    def __init__(self, model: UniMo, schedule: Schedule, batch: int):
        self.model = model
        self.schedule = schedule
        self.cache = model.new_cache(schedule, batch)
        self.token = torch.zeros(batch, dtype=torch.int64)

    @torch.no_grad()
    def start(self, tokens: torch.Tensor, noise: Noise, **sampling: float) -> torch.Tensor:
        """Read the condition and draw the first target, like `Decoder.start`."""
        hidden, _ = self.model.prefill(tokens, self.schedule, self.cache)
        modality = int(self.schedule.modality[self.schedule.prefix])
        return self.model.sample(hidden, modality, noise, **sampling)

    @torch.no_grad()
    def step(self, position: int, noise: Noise, **sampling: float) -> torch.Tensor:
        """Read a token 0 at `position` and draw the next, like `Decoder.step`."""
        hidden = self.model.decode_step(self.token, position, self.cache)
        modality = int(self.schedule.modality[position + 1])
        return self.model.sample(hidden, modality, noise, **sampling)


def measure(bench: Bench, model: UniMo, task: str, batch: int) -> dict:
    """Return the numbers of one task with a number of clips at once."""
    device, schedule = bench.device, schedules(bench.config)[task]
    _require_room(bench, schedule, batch)
    make = Decoder if device == "cuda" else PlainDecoder
    decoder: Decoder | PlainDecoder = make(model, schedule, batch)
    noise = Noise(list(range(batch)), torch.device(device))
    first, last = schedule.prefix, len(schedule) - 2
    if bench.estimates:
        prefill = _estimated_prefill(bench, model, decoder)
    else:
        tokens = torch.zeros(batch, len(schedule), dtype=torch.int64, device=device)
        prefill = typical(lambda: decoder.start(tokens, noise, **_SAMPLING))

    def decode(positions: Iterable[int]) -> None:
        for position in positions:
            decoder.step(position, noise, **_SAMPLING)

    # The first steps of a pair of modalities compile it and record its graph.
    modality = schedule.modality
    pairs = {(modality[p], modality[p + 1]): p for p in range(last, first - 1, -1)}
    for position in pairs.values():
        decode([position] * (1 if bench.estimates else 3))
    count = 2 if bench.estimates else min(20, last - first + 1)

    @functools.cache
    def step_from(start: int) -> float:
        return seconds(lambda: decode(range(start, start + count)), device) / count

    def step(position: int) -> float:
        """Seconds of a step about there."""
        return step_from(min(max(first, position), last + 1 - count))

    ends = {"first": first, "middle": (first + last) // 2, "last": last}
    rates = {name: batch / step(position) for name, position in ends.items()}
    if bench.estimates:
        # The seconds of a step grow evenly from position to position.
        reads = [own[own > first] - 1 for own in schedule.targets.values()]
        taken = sum(len(at) * (step(int(at[0])) + step(int(at[-1]))) / 2 for at in reads if len(at))
        timed = count * step_from.cache_info().currsize
        how = f"estimated from {timed} steps and one block"
    else:
        taken, how = seconds(lambda: decode(range(first, last + 1)), device), "measured"
    sizes = {"batch": batch, "weight": bench.weight_bytes, "number": bench.dtype.itemsize}
    read = formulas.decode_bytes(bench.config, schedule, **sizes)
    floor = read / bench.bandwidth if bench.bandwidth else None
    return {
        "prefix": first,
        "prefill_seconds": prefill,
        "prefill_rate": batch * first / prefill,
        **rates,
        "average": batch * (last - first + 1) / taken,
        "targets": last - first + 2,
        "seconds": prefill + taken,
        "floor_seconds": floor,
        "floor_share": floor / taken if floor else None,
        "how": how,
    }


def _require_room(bench: Bench, schedule: Schedule, batch: int) -> None:
    """Check that cache and activations fit.

    Raises:
        Unavailable: they do not.
    """
    number, config = bench.dtype.itemsize, bench.config
    read = _SAMPLE if bench.estimates else schedule.prefix
    widest = 4 * read * config.ffn_hidden_size * number  # gate, value, their product
    cached = len(schedule) * formulas.cache_bytes(config, number)
    require_memory(bench.device, batch * (cached + widest), f"{batch} clips at once")


@torch.no_grad()
def _estimated_prefill(bench: Bench, model: UniMo, decoder: Decoder | PlainDecoder) -> float:
    """Seconds of a prefill, from one block over a part of the condition."""
    config, block, cache = bench.config, model.layers[0], decoder.cache
    x = torch.ones(len(cache.layers[0][0]), _SAMPLE, config.dim, dtype=bench.dtype)
    taken = typical(lambda: block.prefill(x, cache.at[:_SAMPLE], cache.layers[0]))
    share = formulas.prefill_flops(config, _SAMPLE) / config.n_layers
    return taken * formulas.prefill_flops(config, decoder.schedule.prefix) / share


def _rows(bench: Bench) -> Iterator[dict]:
    """Yield both tasks, each with every number of clips."""
    built = functools.cache(lambda: build(bench))  # a failure is a row's, not the report's

    for task, paper in PAPER_SECONDS.items():
        for batch in bench.batches:
            labels = {"task": task, "batch": batch, "paper_seconds": paper}
            yield measured_row(
                labels, lambda task=task, batch=batch: measure(bench, built(), task, batch)
            )


def build(bench: Bench) -> UniMo:
    """Return a model with random weights, made without ever holding it in another dtype.

    Raises:
        Unavailable: it does not fit in memory.
    """
    if bench.size != "paper":
        model = UniMo(bench.config).to(bench.device, bench.dtype).eval()
    else:
        model = empty(bench.config, bench.dtype)
        size = sum(p.numel() for p in model.parameters()) * bench.dtype.itemsize
        require_memory(bench.device, 1.05 * size, f"weights in {bench.dtype}")
        model = model.to_empty(device=bench.device).eval()
        fill(model)
    if bench.weights in ("int8", "fp8"):
        quantize(model, bench.weights)
    return model


def empty(config: UniMoConfig, dtype: torch.dtype) -> UniMo:
    """Return a model that takes no memory."""
    with torch.device("meta"):
        return UniMo(config).to(dtype)


@torch.no_grad()
def fill(model: UniMo) -> None:
    """Fill in random weights, one piece again and again: four billion draws take a CPU minutes."""
    like = next(model.parameters())
    piece = 0.02 * torch.randn(1 << 20, device=like.device).to(like.dtype)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.fill_(1.0)
            continue
        for part in parameter.view(-1).split(len(piece)):
            part.copy_(piece[: len(part)])


PART = Part(
    title="Generation",
    columns={
        "task": "task",
        "batch": "clips",
        "prefix": "condition",
        "prefill_seconds": "prefill s",
        "prefill_rate": "prefill tokens/s",
        "targets": "targets",
        "first": "decode tokens/s: first",
        "middle": "middle",
        "last": "last",
        "average": "average",
        "seconds": "total s",
        "paper_seconds": "paper s",
        "floor_seconds": "floor s",
        "floor_share": "floor / decode",
        "how": "how",
    },
    rows=_rows,
    notes=(
        "The model has random weights: they do not change how fast it is.",
        "Total: the condition and all targets, without encoding or decoding pictures. The paper's "
        "are of its own size on a GPU it does not name, and may include more.",
        "Floor: bytes of weights (of the head that the token wants alone) and of the cache before "
        "the token, over the bandwidth of copying above. A model that fits the processor's caches "
        "can be faster. On a GPU a step reads the whole cache, filled or not.",
    ),
)
