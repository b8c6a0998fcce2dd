"""Optimisers that trainings can ask for."""

import torch
from torch import nn

from model.training.config import TrainingConfig, TrainingError


def make_optimizer(model: nn.Module, training: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW over all parameters, or Muon over the matrices of the blocks and AdamW over the rest.

    Args:
        model: on its device; with Muon, its blocks are `model.layers`.
        training: the settings.

    Raises:
        TrainingError: Muon for a model without blocks.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if training.optimizer == "adamw":
        return _adamw(parameters, training)
    if not hasattr(model, "layers"):
        raise TrainingError("muon is for transformers: choose the optimizer adamw")
    matrices = [p for p in model.layers.parameters() if p.ndim == 2]
    inside = {id(p) for p in matrices}
    return MuonAdamW(matrices, [p for p in parameters if id(p) not in inside], training)


class MuonAdamW(torch.optim.Optimizer):
    """Muon for matrices, AdamW for the rest, behind one interface.

    Muon (Jordan et al. 2024) steps along the orthogonalised momentum, scaled here to AdamW's usual
    size of a step, so that one learning rate serves both.
    """

    def __init__(
        self, matrices: list[nn.Parameter], rest: list[nn.Parameter], training: TrainingConfig
    ):
        self.parts = [
            torch.optim.Muon(
                matrices,
                lr=training.learning_rate,
                weight_decay=training.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            ),
            _adamw(rest, training),
        ]
        super().__init__([*matrices, *rest], {})
        # The groups that a schedule changes are those that step.
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none)

    def step(self, closure: None = None) -> None:
        """One step of both."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict:
        """Return the states of both."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict) -> None:
        """Inverse of `state_dict`."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def _adamw(parameters: list[nn.Parameter], training: TrainingConfig) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        parameters,
        lr=training.learning_rate,
        betas=training.betas,
        weight_decay=training.weight_decay,
        fused=True,
    )
