"""Prefill and decoding of the transformer, beside what reading weights and cache must take."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch

from benchmark.api.errors import Unavailable
from benchmark.commands.speed import formulas
from benchmark.commands.speed.bench import Bench, Case, Part
from benchmark.commands.speed.machine import require_memory, seconds, typical
from model.sequence import Schedule
from model.transformer import UniMo
from model.transformer.decoding import Decoder, quantize
from model.transformer.sampling import Noise
from model.transformer.train.steps import schedules

PAPER_SECONDS = {"v2m": 30.0, "i2vm": 100.0}
_CHOSEN = {"p": 0.8, "temperature": 1.0}
_SAMPLE = 256  # positions of the condition from which a prefill is estimated


class PlainDecoder:
    """`UniMo.generate` a step at a time, at any position: what runs without a GPU."""

    def __init__(self, model: UniMo, schedule: Schedule, batch: int):
        self.model = model
        self.schedule = schedule
        self.cache = model.new_cache(schedule, batch)
        self.token = torch.zeros(batch, dtype=torch.int64)

    @torch.no_grad()
    def start(self, tokens: torch.Tensor, noise: Noise, **chosen: float) -> torch.Tensor:
        """As `Decoder.start`."""
        hidden, _ = self.model.prefill(tokens, self.schedule, self.cache)
        modality = int(self.schedule.modality[self.schedule.prefix])
        return self.model.sample(hidden, modality, noise, **chosen)

    @torch.no_grad()
    def step(self, position: int, noise: Noise, **chosen: float) -> torch.Tensor:
        """As `Decoder.step`, of a token 0."""
        hidden = self.model.decode_step(self.token, position, self.cache)
        modality = int(self.schedule.modality[position + 1])
        return self.model.sample(hidden, modality, noise, **chosen)


class Generation:
    """One task with a number of clips."""

    def __init__(self, bench: Bench, model: UniMo, task: str, batch: int):
        self.bench = bench
        self.model = model
        self.schedule = schedules(bench.config)[task]
        self.batch = batch
        number = bench.dtype.itemsize
        read = _SAMPLE if bench.estimates else self.schedule.prefix
        cached = len(self.schedule) * formulas.cache_bytes(bench.config, number)
        widest = 4 * read * bench.config.ffn_hidden_size * number  # gate, value, their product
        needed = batch * (cached + widest)
        require_memory(bench.device, needed, f"{batch} clips at once")
        self.decoder: Decoder | PlainDecoder
        if bench.device == "cuda":
            self.decoder = Decoder(model, self.schedule, batch)
        else:
            self.decoder = PlainDecoder(model, self.schedule, batch)
        self.noise = Noise(list(range(batch)), torch.device(bench.device))
        self.tokens = torch.zeros(batch, len(self.schedule), dtype=torch.int64, device=bench.device)
        self.steps_timed = 0

    def prefill(self) -> float:
        """Seconds to read the condition and draw the first token."""
        if self.bench.estimates:
            return self._estimated_prefill()
        return typical(
            lambda: self.decoder.start(self.tokens, self.noise, **_CHOSEN), self.bench.device
        )

    @torch.no_grad()
    def _estimated_prefill(self) -> float:
        config, block = self.bench.config, self.model.layers[0]
        x = torch.ones(self.batch, _SAMPLE, config.dim, dtype=self.bench.dtype)
        at, kept = self.decoder.cache.at[:_SAMPLE], self.decoder.cache.layers[0]
        taken = typical(lambda: block.prefill(x, at, kept), self.bench.device, repeats=1)
        share = formulas.prefill_flops(config, _SAMPLE) / config.n_layers
        return taken * formulas.prefill_flops(config, self.schedule.prefix) / share

    def warm_up(self) -> None:
        """Compile a step for each pair of modalities, and record its graph: the second call."""
        modality = self.schedule.modality
        seen: dict[tuple, int] = {}
        for position in range(self.schedule.prefix, len(self.schedule) - 1):
            seen.setdefault((modality[position], modality[position + 1]), position)
        for position in seen.values():
            for _ in range(1 if self.bench.estimates else 3):
                self._step(position)

    def _step(self, position: int) -> None:
        self.decoder.step(position, self.noise, **_CHOSEN)

    def steps(self, positions: Sequence[int]) -> float:
        """Seconds a step, over some positions."""

        def work() -> None:
            for position in positions:
                self._step(position)

        self.steps_timed += len(positions)
        return seconds(work, self.bench.device) / len(positions)

    def decoding(self) -> float:
        """Seconds from the first token to the last."""
        first, last = self.schedule.prefix, len(self.schedule) - 1
        return seconds(lambda: [self._step(p) for p in range(first, last)], self.bench.device)

    def estimated_decoding(self, step: Callable[[int], float]) -> float:
        """The same of steps at the ends: what they take grows evenly from position to position."""
        total = 0.0
        for targets in self.schedule.targets.values():
            reads = targets[targets > self.schedule.prefix] - 1
            if len(reads):
                total += len(reads) * (step(int(reads[0])) + step(int(reads[-1]))) / 2
        return total


def measure(bench: Bench, model: UniMo, task: str, batch: int) -> dict:
    """A row."""
    work = Generation(bench, model, task, batch)
    schedule = work.schedule
    first, last = schedule.prefix, len(schedule) - 2
    prefill = work.prefill()
    work.warm_up()
    taken: dict[int, float] = {}
    count = 2 if bench.estimates else min(20, last - first + 1)

    def step(position: int) -> float:
        start = min(max(first, position), last + 1 - count)
        if start not in taken:
            taken[start] = work.steps(range(start, start + count))
        return taken[start]

    rates = {
        name: batch / step(position)
        for name, position in (("first", first), ("middle", (first + last) // 2), ("last", last))
    }
    decode = work.estimated_decoding(step) if bench.estimates else work.decoding()
    how = (
        f"estimated from {work.steps_timed} steps and one block" if bench.estimates else "measured"
    )
    steps = last - first + 1
    read = formulas.decode_bytes(
        bench.config,
        schedule,
        batch=batch,
        weight=bench.weight_bytes,
        number=bench.dtype.itemsize,
    )
    floor = read / bench.bandwidth if bench.bandwidth else None
    return {
        "prefix": schedule.prefix,
        "prefill_seconds": prefill,
        "prefill_rate": batch * schedule.prefix / prefill,
        **rates,
        "average": batch * steps / decode,
        "targets": steps + 1,
        "seconds": prefill + decode,
        "floor_seconds": floor,
        "floor_share": floor / decode if floor else None,
        "how": how,
    }


def cases(bench: Bench) -> Iterator[Case]:
    """Both tasks, each with every number of clips."""
    model: UniMo | None = None
    problem = "it could not be built"
    try:
        model = build(bench)
    except Exception as error:
        problem = f"the model: {error}"

    def row(task: str, batch: int) -> dict:
        if model is None:
            raise Unavailable(problem)
        return measure(bench, model, task, batch)

    for task in PAPER_SECONDS:
        for batch in bench.batches:
            labels = {"task": task, "batch": batch, "paper_seconds": PAPER_SECONDS[task]}
            yield Case(labels, partial(row, task, batch))


def build(bench: Bench) -> UniMo:
    """A model with random weights, made without ever holding it in another dtype.

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


def empty(config, dtype: torch.dtype) -> UniMo:
    """A model without memory."""
    with torch.device("meta"):
        return UniMo(config).to(dtype)


@torch.no_grad()
def fill(model: UniMo) -> None:
    """Random weights; a piece again and again, as four billion draws take a CPU minutes."""
    like = next(model.parameters())
    piece = 0.02 * torch.randn(1 << 20, device=like.device).to(like.dtype)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.fill_(1.0)
            continue
        for part in parameter.view(-1).split(len(piece)):
            part.copy_(piece[: len(part)])


PART = Part(
    name="generation",
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
    cases=cases,
    notes=(
        "The model has random weights: they do not change how fast it is.",
        "Total: the condition and all targets, without encoding or decoding pictures. The paper's "
        "are of its own size on a GPU it does not name, and may include more.",
        "Floor: bytes of weights (of the head that the token wants alone) and of the cache before "
        "the token, over the bandwidth of copying above. A model that fits the processor's caches "
        "can be faster. On a GPU a step reads the whole cache, filled or not.",
    ),
)
