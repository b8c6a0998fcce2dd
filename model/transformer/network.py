"""The UniMo transformer: Cosmos's decoder over a sequence of two modalities (paper section 3.2).

Legend: B clips, S positions, P of the condition, L of the target, C width of the model, K key
heads, D width of a head, V visual tokens, M motion tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from model.sequence import MODALITIES, MOTION, SPECIAL, SPECIAL_TOKENS, VISUAL, Schedule
from model.token_ids import require_ids
from model.training.saved_model import SavedModel
from model.transformer.block import Block, RMSNorm
from model.transformer.config import UniMoConfig
from model.transformer.position import Order, Positions, make_positions
from model.transformer.sampling import Noise, draw, top_p
from model.transformer.visual import DigitEmbedding, DigitHead, TableHead


@dataclass(frozen=True, eq=False)
class Cache:
    """Keys and values of one generation.

    Attributes:
        schedule: the sequence.
        at: its positions.
        layers: keys and values (B, K, S, D) of each block.
    """

    schedule: Schedule
    at: Positions
    layers: list[tuple[Tensor, Tensor]]


class UniMo(SavedModel):
    """Predicts visual and motion tokens from those before them.

    Token ids count within their modality; the schedule says which modality stands where, so each
    has its own embedding, its own rotary positions and its own head.

    Parameters named as in Cosmos 4B are its own (`cosmos_weights`); added are the motion's
    embedding and head, three special rows, and one gate a block for absolute positions.
    """

    config_class = UniMoConfig

    def __init__(self, config: UniMoConfig):
        super().__init__()
        self.config = config
        if config.visual_embedding == "table":
            self.tok_embeddings = nn.Embedding(config.visual_vocab, config.dim)
            self.output = TableHead(config.dim, config.visual_vocab)
        else:
            self.tok_embeddings = DigitEmbedding(config.dim)
            self.output = DigitHead(config.dim)
        self.motion_embeddings = nn.Embedding(config.motion_vocab, config.dim)
        self.special_embeddings = nn.Embedding(len(SPECIAL_TOKENS), config.dim)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        self.motion_output = nn.Linear(config.dim, config.motion_vocab, bias=False)
        self.activation_checkpointing = False
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Random weights: normal with sd 0.02, outputs of blocks divided by sqrt(2 layers)."""
        for name, parameter in self.named_parameters():
            if name.endswith("ape_gate"):
                parameter.fill_(self.config.ape_gate)
            elif parameter.ndim == 1:
                parameter.fill_(1.0)
            else:
                scale = 0.02
                if name.endswith(("wo.weight", "w2.weight")):
                    scale /= (2 * self.config.n_layers) ** 0.5
                parameter.normal_(0.0, scale)
        if isinstance(self.tok_embeddings, DigitEmbedding):
            self.tok_embeddings.initialise()

    @torch.no_grad()
    def start_from_codes(self, codes: Tensor) -> None:
        """Start the motion head from the codes that motion tokens stand for.

        Codes that are near each other then begin with like logits, and what is learned of one is
        learned of its neighbours. The embedding is left alone: with the same start, a small model
        learns to continue the motion long before it learns to look at the video.

        Args:
            codes: (M, c) of the motion tokenizer.
        """
        normal = (codes - codes.mean(0)) / codes.std(0).clamp(min=1e-6)
        directions = torch.randn(codes.shape[1], self.config.dim) / codes.shape[1] ** 0.5
        head = self.motion_output.weight
        head.copy_(0.1 * normal.to(head.device) @ directions.to(head.device) + head)

    # --- all positions at once ---

    def forward(self, tokens: Tensor, schedule: Schedule) -> dict[str, Tensor]:
        """Logits of every target.

        Args:
            tokens: (B, S) int64, see `Schedule.assemble`.
            schedule: of this task.

        Returns:
            ``visual``: (B, n, V) and ``motion``: (B, n, M) for the n targets of each modality, in
            the order of the sequence, each from the tokens before it. With a factorised visual
            embedding ``visual`` is left out: see `losses`. A modality without targets is, too.

        Raises:
            ValueError: tokens of another shape, or outside their vocabulary.
        """
        hidden = self.hidden(tokens, schedule)
        heads = {"motion": self.motion_output}
        if self.config.visual_embedding == "table":
            heads["visual"] = self.output
        targets = Order.of(schedule, len(schedule) - 1, tokens.device).targets
        return {
            name: head(hidden[:, targets[MODALITIES[name]]])
            for name, head in heads.items()
            if len(targets[MODALITIES[name]])
        }

    def losses(
        self, tokens: Tensor, schedule: Schedule, *, inputs: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Cross-entropies of the targets (equation 6), nats.

        Args:
            tokens: (B, S) int64.
            schedule: of this task.
            inputs: (B, S) what the model sees instead of `tokens`.

        Returns:
            ``visual`` and ``motion``: (B, n) for the n targets of each modality, n may be 0.

        Raises:
            ValueError: tokens of another shape, or outside their vocabulary.
        """
        hidden = self.hidden(tokens if inputs is None else inputs, schedule)
        targets = Order.of(schedule, len(schedule) - 1, tokens.device).targets
        losses = {}
        for name, find in (("visual", self._visual_losses), ("motion", self._motion_losses)):
            places = targets[MODALITIES[name]]
            wanted = tokens[:, schedule.prefix :][:, places].flatten()
            # Also where there is none: processes that share parameters must agree on which have a
            # gradient, whatever their tasks.
            found = find(hidden[:, places].flatten(0, 1), wanted)
            # A copy: FSDP hangs its hooks on what is returned, and warns of views.
            losses[name] = found.view(len(tokens), -1).clone()
        return losses

    def _visual_losses(self, states: Tensor, wanted: Tensor) -> Tensor:
        rivals = self.motion_output(states) if self.config.unified else None
        return self.output.losses(states, wanted, rivals)

    def _motion_losses(self, states: Tensor, wanted: Tensor) -> Tensor:
        logits = self.motion_output(states)
        if self.config.unified:
            logits = torch.cat([logits, self.output.first_logits(states)], dim=-1)
        return cross_entropy(logits.float(), wanted, reduction="none")

    def hidden(self, tokens: Tensor, schedule: Schedule) -> Tensor:
        """States (B, L, C) from which the targets are predicted, normalised.

        Raises:
            ValueError: tokens of another shape, or outside their vocabulary.
        """
        self._check(tokens, schedule, len(schedule))
        x = self.embed(tokens[:, :-1], schedule)  # the last token predicts nothing
        at = self.positions(schedule, tokens.device)[: len(schedule) - 1]
        for layer in self.layers:
            if self.activation_checkpointing and self.training:
                x = checkpoint(layer, x, at, schedule.bidirectional, use_reentrant=False)
            else:
                x = layer(x, at, schedule.bidirectional)
        return self.norm(x[:, schedule.prefix - 1 :])

    def embed(self, tokens: Tensor, schedule: Schedule) -> Tensor:
        """Embeddings (B, n, C) of the sequence's first n tokens (B, n)."""
        order = Order.of(schedule, tokens.shape[1], tokens.device)
        parts = [
            table(tokens[:, order.positions[modality]])
            for modality, table in self._tables().items()
        ]
        return torch.cat(parts, dim=1)[:, order.back]

    def positions(self, schedule: Schedule, device: torch.device) -> Positions:
        """Return the positions (S, ...) of a sequence."""
        return make_positions(self.config, schedule, device)

    # --- token by token ---

    def new_cache(self, schedule: Schedule, batch: int, rows: int | None = None) -> Cache:
        """Return an empty cache of `rows` positions, by default as many as the sequence has."""
        weight = self.special_embeddings.weight
        rows = len(schedule) if rows is None else rows
        shape = (batch, self.config.n_kv_heads, rows, self.config.head_dim)
        layers = [(weight.new_zeros(shape), weight.new_zeros(shape)) for _ in self.layers]
        return Cache(schedule, self.positions(schedule, weight.device), layers)

    @torch.no_grad()
    def prefill(
        self, tokens: Tensor, schedule: Schedule, cache: Cache | None = None
    ) -> tuple[Tensor, Cache]:
        """Read the condition.

        Args:
            tokens: (B, S) or (B, P) int64; only the first P are read.
            schedule: of the task.
            cache: written from its first position on; by default a new one.

        Returns:
            The state (B, C) that predicts the first target, and the cache for `decode_step`.

        Raises:
            ValueError: too few tokens, or some outside their vocabulary.
        """
        tokens = tokens[:, : schedule.prefix]
        self._check(tokens, schedule, schedule.prefix)
        cache = self.new_cache(schedule, len(tokens)) if cache is None else cache
        x = self.embed(tokens, schedule)
        for layer, kept in zip(self.layers, cache.layers, strict=True):
            x = layer.prefill(x, cache.at[: schedule.prefix], kept, schedule.bidirectional)
        return self.norm(x[:, -1]), cache

    @torch.no_grad()
    def decode_step(self, token: Tensor, position: int, cache: Cache) -> Tensor:
        """Read one more token.

        Args:
            token: (B,) ids of the modality that stands at `position`.
            position: of the token, from the prefix on, each once and in order.
            cache: of the tokens before it.

        Returns:
            The state (B, C) that predicts the token at ``position + 1``.
        """
        modality = int(cache.schedule.modality[position])
        where = torch.tensor([position], device=token.device)
        filled = [(k[:, :, : position + 1], v[:, :, : position + 1]) for k, v in cache.layers]
        return self.read(token, where, modality, Cache(cache.schedule, cache.at, filled), None)

    def read(
        self, token: Tensor, position: Tensor, modality: int, cache: Cache, seen: Tensor | None
    ) -> Tensor:
        """Like `decode_step`, with tensor `position` (1,) and `cached_attention`'s mask `seen`."""
        x = self._tables()[modality](token)[:, None]
        at = cache.at[position]
        for layer, kept in zip(self.layers, cache.layers, strict=True):
            x = layer.step(x, at, position, kept, seen)
        return self.norm(x[:, 0])

    def sample(
        self, hidden: Tensor, modality: int, noise: Noise, *, p: float, temperature: float
    ) -> Tensor:
        """Tokens (B,) of `VISUAL` or `MOTION` from states (B, C)."""
        if modality == VISUAL:
            return self.output.sample(hidden, noise, p=p, temperature=temperature)
        probabilities = top_p(self.motion_output(hidden), p, temperature)
        return draw(probabilities, noise(probabilities.shape[-1]))

    @torch.no_grad()
    def generate(
        self,
        tokens: Tensor,
        schedule: Schedule,
        noise: Noise,
        *,
        p: float = 0.8,
        temperature: float = 1.0,
    ) -> Iterator[Tensor]:
        """Yield the targets (B,) one after the other, sampled after the condition.

        Args:
            tokens: (B, S) or (B, P) int64; only the first P are read.
            schedule: of the task.
            noise: of B clips.
            p: top-p.
            temperature: 0 takes the most likely token.

        Raises:
            ValueError: as `prefill`.
        """
        hidden, cache = self.prefill(tokens, schedule)
        for position in range(schedule.prefix, len(schedule)):
            modality = int(schedule.modality[position])
            token = self.sample(hidden, modality, noise, p=p, temperature=temperature)
            yield token
            if position + 1 < len(schedule):
                hidden = self.decode_step(token, position, cache)

    # --- parts ---

    def _tables(self) -> dict[int, nn.Module]:
        return {
            SPECIAL: self.special_embeddings,
            VISUAL: self.tok_embeddings,
            MOTION: self.motion_embeddings,
        }

    def _check(self, tokens: Tensor, schedule: Schedule, length: int) -> None:
        """On the CPU also that every id is in its vocabulary: a GPU would have to be waited for."""
        if tokens.ndim != 2 or tokens.shape[1] != length:
            raise ValueError(f"tokens have shape {tuple(tokens.shape)}, expected (B, {length})")
        if tokens.is_cuda or tokens.is_meta:
            return
        sizes = {
            SPECIAL: len(SPECIAL_TOKENS),
            VISUAL: self.config.visual_vocab,
            MOTION: self.config.motion_vocab,
        }
        for name, modality in MODALITIES.items():
            positions = schedule.positions[modality]
            ids = tokens[:, positions[positions < length]]
            require_ids(f"{name} ids", ids, sizes[modality])
