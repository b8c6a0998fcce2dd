"""Fast decoding: a step of static shapes, compiled, and on a GPU recorded as a CUDA graph.

A step of one clip reads every weight once and computes little: what it takes is that reading, as
long as nothing else is waited for. So the host never asks the device for a value, a step is one
recorded graph instead of hundreds of launches, only the head is computed that the next token wants,
and weights may be kept in one byte each (`quantize`).

Legend: B clips, S positions, C width of the model, O outputs and I inputs of a linear layer.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from model.sequence import MOTION, Schedule
from model.transformer.attention import CHUNK
from model.transformer.network import UniMo
from model.transformer.sampling import Noise
from model.transformer.visual import DigitHead, TableHead
from model.video_tokens import fsq

WEIGHTS = {"int8": torch.int8, "fp8": torch.float8_e4m3fn}
_LARGEST = {"int8": 127.0, "fp8": 448.0}  # numbers that the formats hold
_STEPS_KEPT = 64  # compiled steps of all decoders together; torch would give up after 8


class Decoder(nn.Module):
    """Generates the targets of one schedule for a fixed number of clips, as `UniMo.generate` does.

    A decoder is one generation at a time. The first tokens of the first one take long, as a step is
    compiled for each pair of modalities that follow each other.

    Args:
        model: on its device, in its final dtype.
        schedule: of the task.
        batch: clips of a generation.
        compile: use `torch.compile`; without it the same steps run one operation after the other.
    """

    # What a recorded graph reads and writes in place must stay where it is: buffers of a module do.
    tokens: Tensor
    position: Tensor
    cos: Tensor
    sin: Tensor

    def __init__(self, model: UniMo, schedule: Schedule, batch: int, *, compile: bool = True):
        super().__init__()
        self.model = model
        self.schedule = schedule
        self.batch = batch
        rows = -(-len(schedule) // CHUNK) * CHUNK
        self.cache = model.new_cache(schedule, batch, rows)
        device = self.cache.at.cos.device
        fixed = {
            "tokens": torch.zeros(batch, len(schedule), dtype=torch.int64, device=device),
            "position": torch.zeros(1, dtype=torch.int64, device=device),
            "rows": torch.arange(rows, device=device),
            "cos": self.cache.at.cos,
            "sin": self.cache.at.sin,
            "ape": self.cache.at.ape,
        }
        for number, (keys, values) in enumerate(self.cache.layers):
            fixed |= {f"keys{number}": keys, f"values{number}": values}
        for name, tensor in fixed.items():
            self.register_buffer(name, tensor, persistent=False)
        self.compiled = compile
        # Not of `self`: a decoder that refers to itself lives on until memory is tidied up, and a
        # GPU may have no room for the next one.
        self._run: Callable[..., None] = Decoder._advance
        if compile:
            config = torch._dynamo.config
            config.recompile_limit = max(config.recompile_limit, _STEPS_KEPT)
            # The second option turns products with a single row into reductions, into which the
            # conversion of quantised weights is fused: no converted copy is ever written.
            options = {
                **torch._inductor.list_mode_options("reduce-overhead"),
                "coordinate_descent_tuning": True,
            }
            self._run = torch.compile(
                Decoder._advance, fullgraph=True, dynamic=False, options=options
            )

    @torch.no_grad()
    def generate(
        self, tokens: Tensor, noise: Noise, *, p: float = 0.8, temperature: float = 1.0
    ) -> Iterator[Tensor]:
        """Yield the targets (B,) one after the other: those of `UniMo.generate`, up to rounding.

        The arguments are those of `UniMo.generate`.

        Raises:
            ValueError: another number of clips, or as `UniMo.prefill`.
        """
        yield self.start(tokens, noise, p=p, temperature=temperature)
        for position in range(self.schedule.prefix, len(self.schedule) - 1):
            yield self.step(position, noise, p=p, temperature=temperature)

    @torch.no_grad()
    def start(self, tokens: Tensor, noise: Noise, *, p: float, temperature: float) -> Tensor:
        """Read the condition and draw the first target (B,); arguments as for `generate`."""
        if len(tokens) != self.batch:
            raise ValueError(f"{len(tokens)} clips for a decoder of {self.batch}")
        hidden, _ = self.model.prefill(tokens, self.schedule, self.cache)
        first = self.schedule.prefix
        modality = int(self.schedule.modality[first])
        token = self.model.sample(hidden, modality, noise, p=p, temperature=temperature)
        self.tokens[:, first] = token
        return token

    @torch.no_grad()
    def step(self, position: int, noise: Noise, *, p: float, temperature: float) -> Tensor:
        """Read the token at `position`, which the step before drew, and draw the next one (B,)."""
        read, wanted = (int(m) for m in self.schedule.modality[position : position + 2])
        self.position.fill_(position)
        drawn = [noise(size) for size in noise_sizes(self.model, wanted)]
        if self.compiled:
            torch.compiler.cudagraph_mark_step_begin()
        self._run(self, read, wanted, drawn, p, temperature)
        return self.tokens[:, position + 1].clone()

    def _advance(
        self, read: int, wanted: int, drawn: list[Tensor], p: float, temperature: float
    ) -> None:
        """A step that reads a token of modality `read` and draws one of `wanted`.

        It has no result: what a recorded graph returns is overwritten when it runs again.
        """
        token = self.tokens.index_select(1, self.position)[:, 0]
        seen = self.rows <= self.position
        hidden = self.model.read(token, self.position, read, self.cache, seen)
        noise = _Drawn(drawn)
        token = self.model.sample(hidden, wanted, noise, p=p, temperature=temperature)
        self.tokens.index_copy_(1, self.position + 1, token[:, None])


class _Drawn:
    """Noise that was drawn before: a random generator of one's own cannot be recorded."""

    def __init__(self, drawn: list[Tensor]):
        self.drawn = drawn
        self.used = 0

    def __call__(self, size: int) -> Tensor:
        self.used += 1
        return self.drawn[self.used - 1]


def noise_sizes(model: UniMo, modality: int) -> tuple[int, ...]:
    """Sizes of the noise that drawing one token of a modality takes, in order."""
    if modality == MOTION:
        return (model.config.motion_vocab,)
    if isinstance(model.output, DigitHead):
        return tuple(fsq.LEVELS)
    return (model.config.visual_vocab,)


class QuantizedLinear(nn.Module):
    """A linear layer of weights (O, I) in one byte each, and a scale for each output.

    The weights are converted as they are read, which a compiler fuses with the product.
    """

    def __init__(self, layer: nn.Linear, kind: str):
        super().__init__()
        weight = layer.weight.detach().float()
        scale = weight.abs().amax(dim=1).clamp_min(1e-12) / _LARGEST[kind]
        scaled = weight / scale[:, None]
        self.register_buffer(
            "weight", (scaled.round() if kind == "int8" else scaled).to(WEIGHTS[kind])
        )
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) to (..., O)."""
        return (linear(x, self.weight.to(x.dtype)) * self.scale).to(x.dtype)


class QuantizedHead(QuantizedLinear):
    """A quantised `TableHead`."""

    sample = TableHead.sample


@torch.no_grad()
def quantize(model: UniMo, kind: str) -> UniMo:
    """Keep the weights of blocks and heads in one byte each; in place, for generation only.

    Good for one clip at a time: with more, converted weights are written and read again.

    Args:
        model: in its final dtype, which later may not change.
        kind: ``int8`` or ``fp8`` (e4m3; on a GPU of compute capability 8.9 or above).

    Raises:
        ValueError: another kind.
    """
    if kind not in WEIGHTS:
        raise ValueError(f"unknown kind of weights {kind!r}: choose {' or '.join(WEIGHTS)}")
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                quantized = QuantizedHead if isinstance(child, TableHead) else QuantizedLinear
                setattr(module, name, quantized(child, kind))
    return model
