import contextlib
import json
import os
import random
from itertools import product

import pytest
import torch

from model import assets
from model.tokenizer import MotionTokenizer
from model.training import checkpoint
from model.training.checkpoint import load_weights, save_model
from model.training.sidecar import CheckpointError, read_sidecar, sidecar_path
from tests.damage import cut, edit_json, flip_bit, rewrite_json


@pytest.fixture
def path(tmp_path):
    torch.manual_seed(0)
    return save_model(
        tmp_path / "m.safetensors", torch.nn.Linear(3, 2), config={"a": 1}, extra={"by": "test"}
    )


def test_round_trip(path):
    torch.manual_seed(0)
    original, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    load_weights(path, other)
    assert torch.equal(original.weight, other.weight)
    sidecar = read_sidecar(path, expected_class="Linear")
    assert sidecar["config"] == {"a": 1}
    assert sidecar["extra"] == {"by": "test"}
    assert sorted(p.name for p in path.parent.iterdir()) == ["m.json", "m.safetensors"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (torch.nn.Linear(4, 2), r"weight is \(2, 3\) float32, Linear wants \(2, 4\)"),
        (torch.nn.Linear(3, 2).half(), "bias is .* float32, Linear wants .* float16"),
        (torch.nn.Linear(3, 2, bias=False), "has a tensor bias, unknown to Linear"),
        (torch.nn.Bilinear(3, 2, 2), r"tensor weight is \(2, 3\)"),
        (torch.nn.PReLU(), "has a tensor bias, unknown to PReLU"),
        (torch.nn.BatchNorm1d(2), "has no tensor num_batches_tracked"),
    ],
)
def test_first_mismatch_is_named(path, model, message):
    with pytest.raises(CheckpointError, match=message):
        load_weights(path, model)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path, number):
    broken = torch.nn.Linear(3, 2)
    broken.weight.data[1, 2] = number
    path = save_model(tmp_path / "m.safetensors", broken, config={})
    with pytest.raises(CheckpointError, match="tensor weight holds numbers that are not finite"):
        load_weights(path, torch.nn.Linear(3, 2))


def test_weights_of_another_sidecar_are_refused_and_older_sidecars_are_read(path):
    other = torch.nn.Linear(3, 2)
    sidecar = sidecar_path(path).read_text()
    save_model(path, other, config={"a": 1})
    sidecar_path(path).write_text(sidecar)
    with pytest.raises(CheckpointError, match=r"not the file that m\.json .* sha256 differs"):
        load_weights(path, other)
    old = json.loads(sidecar)
    del old["sha256"]
    rewrite_json(sidecar_path(path), old)
    load_weights(path, other)


def test_one_bit_of_the_weights_is_found(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1  # a number that stays finite
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"m\.safetensors is damaged"):
        load_weights(path, torch.nn.Linear(3, 2))


def test_another_class_is_refused(path):
    with pytest.raises(CheckpointError, match="holds a Linear, not a Conv1d"):
        read_sidecar(path, expected_class="Conv1d")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a readable sidecar"),
        ("[]", "not a readable sidecar"),
        ("[" * 200_000, "not a readable sidecar"),
        ('{"format_version": 1, "class": "Linear", "config": 5}', "not a sidecar"),
        (json.dumps({"format_version": 99, "class": "Linear", "config": {}}), "version 99"),
    ],
)
def test_foreign_sidecars_are_refused(path, text, message):
    sidecar_path(path).write_text(text)
    with pytest.raises(CheckpointError, match=message):
        read_sidecar(path)


def test_an_older_sidecar_is_never_left_beside_newer_weights(path, monkeypatch):
    """Killed between the two files: there is no checkpoint, not one that says wrong things."""
    replace = os.replace

    def killed(source, target):
        if target == sidecar_path(path):
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save_model(path, torch.nn.Linear(3, 2), config={"a": 2})
    with pytest.raises(CheckpointError, match=r"no m\.json beside it"):
        read_sidecar(path)


def test_missing_files(path):
    sidecar_path(path).unlink()
    with pytest.raises(CheckpointError, match=r"no m\.json beside it"):
        read_sidecar(path)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"no m\.json beside it"):
        load_weights(path, torch.nn.Linear(3, 2))


def without_sha256(path):
    sidecar = json.loads(sidecar_path(path).read_text())
    del sidecar["sha256"]
    rewrite_json(sidecar_path(path), sidecar)


def test_a_pickle_is_not_opened(path):
    without_sha256(path)
    torch.save({"weight": torch.zeros(2, 3)}, path)
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        load_weights(path, torch.nn.Linear(3, 2))


def test_a_truncated_file_is_refused(path):
    without_sha256(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        load_weights(path, torch.nn.Linear(3, 2))


@pytest.mark.parametrize(
    ("file", "damage"),
    [*product(["m.safetensors", "m.json"], [flip_bit, cut]), ("m.json", edit_json)],
)
def test_damage_is_refused_in_one_line_or_harmless(path, file, damage):
    """Harmless: white space of the sidecar, or the name of the member with its own hash."""
    target, rng = path.with_name(file), random.Random(0)
    whole, original = target.read_bytes(), torch.nn.Linear(3, 2)
    load_weights(path, original)
    sidecar = read_sidecar(path)
    found = 0
    for _ in range(60):
        target.write_bytes(whole)
        done, other = damage(target, rng), torch.nn.Linear(3, 2)
        try:
            load_weights(path, other)
        except CheckpointError as error:
            assert "\n" not in str(error), done
            found += 1
            continue
        assert torch.equal(original.weight, other.weight), done
        assert torch.equal(original.bias, other.bias), done
        read = read_sidecar(path)
        assert all(read[name] == sidecar[name] for name in sidecar.keys() - {"own_sha256"}), done
    assert found == 60 if file == "m.safetensors" or damage is edit_json else found >= 50


def test_odd_values_in_a_sidecar_are_one_line_too(tmp_path):
    """Behind the check of its hash, which anybody can compute: no traceback, no other class."""
    path = MotionTokenizer.load(assets.TOKENIZER).save(tmp_path / "m.safetensors")
    file, rng = sidecar_path(path), random.Random(0)
    whole, odd = file.read_text(), [None, [], {}, "x", -1, 0, 10**30, 1.5, True, [[]]]
    for name in ["class", "config", "extra", "sha256", "format_version"]:
        for value in odd:
            rewrite_json(file, {**json.loads(whole), name: value})
            with contextlib.suppress(CheckpointError):
                MotionTokenizer.load(path)
    for name in json.loads(whole)["config"]:
        sidecar = json.loads(whole)
        sidecar["config"][name] = rng.choice(odd)
        rewrite_json(file, sidecar)
        with contextlib.suppress(CheckpointError):
            MotionTokenizer.load(path)


def test_weights_that_are_replaced_while_they_are_read_are_refused(path, monkeypatch):
    read = checkpoint.load_file

    def read_and_replaced(file):
        state = read(file)
        save_model(file, torch.nn.Linear(3, 2), config={"a": 1})
        return state

    monkeypatch.setattr(checkpoint, "load_file", read_and_replaced)
    with pytest.raises(CheckpointError, match="was replaced while it was read: run the command"):
        load_weights(path, torch.nn.Linear(3, 2))


def test_a_file_that_is_overwritten_after_it_was_read_changes_no_weights(path):
    model = torch.nn.Linear(3, 2)
    load_weights(path, model)
    wanted = {name: value.clone() for name, value in model.state_dict().items()}
    with path.open("r+b") as file:  # in place: the same file
        file.write(bytes(path.stat().st_size))
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, wanted[name], rtol=0, atol=0)
