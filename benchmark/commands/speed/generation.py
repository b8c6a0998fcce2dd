"""Prefill and decoding of the transformer, beside what reading weights and cache must take."""

import functools
from collections.abc import Callable, Iterator

import torch

from benchmark.commands.speed.bench import Bench, Part, Row
from benchmark.commands.speed.machine import require_memory, seconds, typical
from model.transformer import UniMo, UniMoConfig
from model.transformer import cost as formulas
from model.transformer.decoding import Decoder, quantize
from model.transformer.network import Cache
from model.transformer.sampling import Noise
from model.transformer.train.steps import schedules

PAPER_SECONDS = {"v2m": 30.0, "i2vm": 100.0}
_SAMPLING = {"p": 0.8, "temperature": 1.0}
_SAMPLE = 256  # positions of the condition from which a prefill is estimated


@torch.no_grad()
def _measure(bench: Bench, built: Callable[[], UniMo], task: str, batch: int) -> dict:
    """Return the numbers of one task with a number of clips at once."""
    device, schedule, model = bench.device, schedules(bench.config)[task], built()
    number, modality, first = bench.dtype.itemsize, schedule.modality, schedule.prefix
    read = _SAMPLE if bench.estimates else first
    needed = formulas.generation_bytes(  # beside the weights, which are there
        bench.config, schedule, clips=batch, weight=0, number=number, read=read
    )
    require_memory(device, needed, f"{batch} clips at once")
    noise = Noise(list(range(batch)), torch.device(device))
    tokens = torch.zeros(batch, len(schedule), dtype=torch.int64, device=device)
    if device == "cuda":
        decoder = Decoder(model, schedule, batch)
        cache = decoder.cache
    else:
        decoder, cache = None, model.new_cache(schedule, batch)

    def start() -> None:
        if decoder is not None:
            decoder.start(tokens, noise, **_SAMPLING)
        else:
            hidden, _ = model.prefill(tokens, schedule, cache)
            model.sample(hidden, int(modality[first]), noise, **_SAMPLING)

    def decode(positions: range | list[int]) -> None:
        for position in positions:
            if decoder is not None:
                decoder.step(position, noise, **_SAMPLING)
            else:
                hidden = model.decode_step(tokens[:, 0], position, cache)
                model.sample(hidden, int(modality[position + 1]), noise, **_SAMPLING)

    prefill = _estimated_prefill(bench, model, cache, first) if bench.estimates else typical(start)
    last = len(schedule) - 2
    # The first steps of a pair of modalities compile it and record its graph.
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
    sizes = {"batch": batch, "weight": bench.weight_bytes, "number": number}
    bytes_read = formulas.decode_bytes(bench.config, schedule, **sizes)
    floor = bytes_read / bench.bandwidth if bench.bandwidth else None
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


def _estimated_prefill(bench: Bench, model: UniMo, cache: Cache, prefix: int) -> float:
    """Seconds of a prefill, from one block over a part of the condition."""
    config, block = bench.config, model.layers[0]
    x = torch.ones(len(cache.layers[0][0]), _SAMPLE, config.dim, dtype=bench.dtype)
    taken = typical(lambda: block.prefill(x, cache.at[:_SAMPLE], cache.layers[0], _SAMPLE))
    share = formulas.prefill_flops(config, _SAMPLE) / config.n_layers
    return taken * formulas.prefill_flops(config, prefix) / share


def _rows(bench: Bench) -> Iterator[Row]:
    """Yield both tasks, each with every number of clips."""

    @functools.cache
    def built() -> UniMo:  # by the first row: where it fails, that is a row's, not the report's
        model = build(bench, bench.dtype).eval()
        if bench.weights in ("int8", "fp8"):
            quantize(model, bench.weights)
        return model

    for task, paper in PAPER_SECONDS.items():
        for batch in bench.batches:
            labels = {"task": task, "batch": batch, "paper_seconds": paper}
            yield labels, functools.partial(_measure, bench, built, task, batch)


@torch.no_grad()
def build(bench: Bench, dtype: torch.dtype) -> UniMo:
    """Return a model with random weights, made without ever holding it in another dtype.

    Raises:
        Unavailable: it does not fit in memory.
    """
    if bench.size != "paper":
        return UniMo(bench.config).to(bench.device, dtype)
    model = empty(bench.config, dtype)
    size = sum(p.numel() for p in model.parameters()) * dtype.itemsize
    require_memory(bench.device, 1.05 * size, f"weights in {dtype}")
    model = model.to_empty(device=bench.device)
    # One piece again and again: four billion draws take a CPU minutes.
    piece = 0.02 * torch.randn(1 << 20, device=bench.device).to(dtype)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.fill_(1.0)
            continue
        for part in parameter.view(-1).split(len(piece)):
            part.copy_(piece[: len(part)])
    return model


def empty(config: UniMoConfig, dtype: torch.dtype) -> UniMo:
    """Return a model that takes no memory."""
    with torch.device("meta"):
        return UniMo(config).to(dtype)


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
