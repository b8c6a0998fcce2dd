"""Files that are not Cosmos 4B's weights: what is said of them, and that none is executed."""

import os
import pickle
import warnings
import zipfile

import numpy as np
import pytest
import torch

from model.training.sidecar import CheckpointError
from model.transformer import cosmos_weights
from tests.model.cosmos_state import make, official, transformer_engine
from tests.pickle_trap import Trap


def without(name):
    return lambda state: {k: v for k, v in state.items() if k != name}


def with_tensor(name, tensor):
    return lambda state: {**state, name: tensor}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("layers.1.attention.wk.weight"), r"no tensor layers\.1\.attention\.wk\.weight"),
        (without("output.weight"), r"no tensor output\.weight"),
        (with_tensor("layers.2.ffn_norm.weight", torch.ones(128)), r"layers\.2\.ffn_norm.*unknown"),
        (with_tensor("cross.weight", torch.ones(1)), r"cross\.weight, unknown"),
        (
            with_tensor("tok_embeddings.weight", torch.ones(98, 128)),
            r"tok_embeddings\.weight is \(98, 128\) in the checkpoint, \(97, 128\) in this model",
        ),
        (
            with_tensor("layers.0.attention.q_norm.weight", torch.ones(64)),
            r"q_norm\.weight is \(64,\) in the checkpoint, \(32,\) in this model",
        ),
        (with_tensor("norm.weight", torch.tensor(1.0)), r"norm\.weight is \(\) in"),
        (with_tensor("norm.weight", torch.ones(128, dtype=torch.int8)), "int8"),
        (with_tensor("norm.weight", torch.ones(128).to_sparse()), "sparse"),
        (lambda state: {}, "no tensor"),
        (lambda state: {k: v for k, v in transformer_engine(state).items() if "fc1" not in k},
         r"no tensor layers\.0\.feed_forward\.w1\.weight"),
        (lambda state: transformer_engine(state)
         | {"layers.1.layernorm_mlp.fc1_weight": torch.ones(511, 128)},
         r"layers\.1\.feed_forward\.w1\.weight is \(255, 128\)"),
        (lambda state: transformer_engine(state)
         | {"layers.1.layernorm_mlp.fc1_weight": torch.tensor(1.0)}, r"layers\.1\..*fc1|w1"),
        (lambda state: transformer_engine(state)
         | {"layers.1.layernorm_mlp.fc1_bias": torch.ones(512)}, "fc1_bias, unknown"),
    ],
)  # fmt: skip
def test_tensors_that_do_not_fit_are_named_and_the_model_is_left_alone(change, message):
    model = make(seed=1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=message) as caught:
        cosmos_weights.load(model, change(official(make())))
    assert "\n" not in str(caught.value)
    for name, tensor in model.state_dict().items():
        assert tensor.equal(before[name])


def refused(path):
    with pytest.raises(CheckpointError) as caught:
        cosmos_weights.read(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message and len(message) < 600
    return message


def test_a_file_that_is_not_there_says_where_to_get_it(tmp_path):
    assert "Hugging Face" in refused(tmp_path / "model.pt")
    assert "Hugging Face" in refused(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99, 0.9999])
def test_truncated_files_are_refused(tmp_path, share):
    path = tmp_path / "model.pt"
    torch.save(official(make()), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "truncated or not a PyTorch archive" in refused(path)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["alone", "beside tensors", "extra state"])
def test_code_in_a_file_is_not_run(tmp_path, zipped, place):
    target, path = tmp_path / "owned", tmp_path / "model.pt"
    content = {
        "alone": Trap(os.mkdir, str(target)),
        "beside tensors": {**official(make()), "x": Trap(os.mkdir, str(target))},
        "extra state": {**official(make()), "layers.0._extra_state": Trap(os.mkdir, str(target))},
    }[place]
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert "nothing in it was executed" in refused(path)
    assert not target.exists()
    # The payload is a real one.
    torch.load(path, weights_only=False)
    assert target.is_dir()


def test_a_plain_pickle_is_not_run(tmp_path):
    target, path = tmp_path / "owned", tmp_path / "model.pt"
    path.write_bytes(pickle.dumps({"norm.weight": Trap(os.mkdir, str(target))}))
    refused(path)
    assert not target.exists()


def script_archive(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that torch.jit is on its way out
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))


def foreign_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.txt", "hello")


def damaged_pickle(data):
    def write(path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", data)
            archive.writestr("archive/version", "3\n")
            archive.writestr("archive/byteorder", "little")

    return write


@pytest.mark.filterwarnings("ignore:.*looks like a TorchScript archive")
@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\x80\x02}q\x00."),
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
        lambda path: torch.save([1, 2], path),
        lambda path: torch.save({"norm.weight": [1.0]}, path),
        lambda path: torch.save({"model": {"norm.weight": 1.0}}, path),
        lambda path: torch.save(torch.ones(3), path),
        lambda path: torch.save({3: torch.ones(3)}, path),
        lambda path: np.savez(path.open("wb"), a=np.ones(3)),
        script_archive,
        foreign_zip,
        damaged_pickle(b""),
        damaged_pickle(b"\x80\x02"),
        damaged_pickle(b"\x80\x02."),
        damaged_pickle(b"\x80\x020."),
        damaged_pickle(b"\x80\x02h\x07."),
        damaged_pickle(b"\x80\x02X\xff\xff\xff\x7fabc."),
        damaged_pickle(b"\x80\x02)Q."),
        damaged_pickle(b"\x80\x02(K\x01Q."),
        damaged_pickle(b"\x80\x02K\x01K\x02s."),
        damaged_pickle(b"\x80\x02]K\x01a}K\x01K\x02s\x86R."),
        damaged_pickle(b"\x80\x02U\x01\xff."),
        damaged_pickle(bytes(range(256))),
    ],
)  # fmt: skip
def test_other_files_are_refused_in_a_line(tmp_path, write):
    path = tmp_path / "model.pt"
    write(path)
    refused(path)
