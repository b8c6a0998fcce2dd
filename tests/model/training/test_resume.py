"""A resume state is in memory once it is read: what happens to its file later changes nothing."""

import pytest
import torch

from model.training.config import TrainingConfig
from model.training.identity import identity_of
from model.training.loop import TrainingRun
from model.transformer import UniMo
from tests.model.mini_unimo import CONFIG


def run_in(folder, optimizer):
    torch.manual_seed(0)
    model = UniMo(CONFIG)
    training = TrainingConfig.small(steps=4, batch_size=2, optimizer=optimizer)
    return TrainingRun(model, training, identity_of(model, training, {}), folder)


def state_of(run):
    """Tensors of the optimiser, in order."""
    parts = getattr(run.optimizer, "parts", [run.optimizer])
    states = (state for part in parts for state in part.state.values())
    return [value for state in states for value in state.values() if torch.is_tensor(value)]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_file_that_is_overwritten_after_it_was_read_changes_no_optimiser(tmp_path, optimizer):
    first = run_in(tmp_path, optimizer)
    for parameter in first.parameters:
        parameter.grad = torch.randn_like(parameter)
    first.optimizer.step()
    first.save()
    wanted = [value.clone() for value in state_of(first)]
    second = run_in(tmp_path, optimizer)
    second.resume()
    path = tmp_path / "resume.pt"
    with path.open("r+b") as file:  # in place: the same file, as a damaged disk would have it
        file.write(bytes(path.stat().st_size))
    found = state_of(second)
    assert len(found) == len(wanted) > 0
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
