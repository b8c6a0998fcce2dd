"""Cosmos's tokenizers on stand-ins of the same signatures: what goes through, what is refused."""

import hashlib
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark.commands.rehearse.stand_ins import cosmos as mini_cosmos
from model.training.sidecar import CheckpointError
from model.video_tokens.cosmos import files
from model.video_tokens.cosmos.tokenizer import CosmosCV, CosmosDV
from tests.pickle_trap import Trap

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


class PairEncoder(torch.nn.Module):
    """DV8x16x16's encoder without the loss."""

    def __init__(self):
        super().__init__()
        self.whole = mini_cosmos.DVEncoder()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        ids, codes, _ = self.whole(x)
        return ids, codes


@pytest.fixture(scope="module")
def dv_folder(tmp_path_factory):
    return mini_cosmos.build_dv(tmp_path_factory.mktemp("dv"))


@pytest.fixture(scope="module")
def cv_folder(tmp_path_factory):
    return mini_cosmos.build_cv(tmp_path_factory.mktemp("cv"))


@pytest.fixture(scope="module")
def dv(dv_folder):
    return CosmosDV.load(dv_folder)


def grey_blocks(rng, shape, side=16):
    """Videos (*shape, T, H, W, 3) of constant blocks of 1 or 8 frames."""
    *batch, t, h, w = shape
    blocks = rng.integers(0, 256, (*batch, t, h, w), np.uint8)
    blocks = blocks.repeat(side, -1).repeat(side, -2)
    blocks = blocks.repeat([1] + [8] * (t - 1), axis=-3)
    return np.repeat(blocks[..., None], 3, axis=-1)


def test_round_trip_of_one_video_and_of_several(dv):
    videos = grey_blocks(np.random.default_rng(0), (3, 2, 4, 6))
    ids = dv.encode(videos)
    assert ids.shape == (3, 2, 4, 6) and ids.dtype == np.int64
    assert ids.min() >= 0 and ids.max() < 64_000
    # The stand-in's shades go beyond -1 .. 1: clamped, not wrapped round.
    off = dv.decode(ids).astype(int) - videos
    assert np.abs(off).max() <= 2
    assert np.array_equal(dv.encode(videos[1]), ids[1])
    assert np.array_equal(dv.decode(ids[1]), dv.decode(ids)[1])
    assert dv.decode(np.full((1, 1, 1), mini_cosmos.WORDS - 1)).max() == 255
    mirrored = videos[0, :, :, ::-1]
    mirrored.flags.writeable = False
    assert np.array_equal(dv.encode(mirrored), ids[0, :, :, ::-1])
    assert dv.encode(videos[:0]).shape == (0, 2, 4, 6)


def test_values_go_in_from_minus_one_to_one(dv):
    ends = np.zeros((1, 16, 32, 3), np.uint8)
    ends[:, :, 16:] = 255
    assert dv.encode(ends).tolist() == [[[0, mini_cosmos.WORDS - 1]]]


def test_a_clip_of_the_paper_is_one_window(dv):
    assert dv.encode(np.zeros((65, 512, 512, 3), np.uint8)).shape == (9, 32, 32)
    assert dv.decode(np.zeros((9, 2, 2), np.int64)).shape == (65, 32, 32, 3)


def test_encoders_that_leave_out_the_loss(tmp_path, dv_folder, dv):
    mini_cosmos.save(PairEncoder(), tmp_path / "encoder.jit")
    (tmp_path / "decoder.jit").symlink_to(dv_folder / "decoder.jit")
    video = grey_blocks(np.random.default_rng(1), (2, 2, 2))
    assert np.array_equal(CosmosDV.load(tmp_path).encode(video), dv.encode(video))


def test_what_is_no_video_and_no_ids(dv):
    with pytest.raises(ValueError, match=r"1 \+ 8 n"):
        dv.encode(np.zeros((8, 16, 16, 3), np.uint8))
    with pytest.raises(ValueError, match="uint8"):
        dv.encode(np.zeros((9, 16, 16, 3)))
    with pytest.raises(ValueError, match="63999"):
        dv.decode(np.full((1, 1, 1), 64_000))


def test_identity_pins_the_files(dv, dv_folder, tmp_path, monkeypatch):
    identity = dv.identity()
    assert identity["name"] == "cosmos-dv8x16x16" and identity["dtype"] == "float32"
    assert identity["published"] == "not known to be"
    for name in ("encoder.jit", "decoder.jit"):
        content = (dv_folder / name).read_bytes()
        assert identity[name] == hashlib.sha256(content).hexdigest()
        monkeypatch.setitem(files.DV.md5, name, hashlib.md5(content).hexdigest())
    assert dv.identity()["published"] == "Cosmos-Tokenize1-DV8x16x16-720p"
    own = mini_cosmos.build_dv(tmp_path)
    (own / "encoder.jit.sha256").write_text("0" * 64)
    with pytest.raises(CheckpointError, match=r"encoder\.jit has sha256"):
        CosmosDV.load(own).identity()


def one_line(error):
    assert "\n" not in str(error.value) and len(str(error.value)) < 600
    return str(error.value)


def test_missing_files_are_named_with_their_source(dv_folder, cv_folder, tmp_path):
    with pytest.raises(CheckpointError) as error:
        CosmosDV.load(tmp_path)
    said = one_line(error)
    assert "encoder.jit, decoder.jit" in said and str(tmp_path) in said
    assert "Cosmos-Tokenize1-DV8x16x16-720p" in said and "Cosmos-1.0-Tokenizer-DV8x16x16" in said
    with pytest.raises(CheckpointError, match=r"lacks mean_std\.pt"):
        CosmosCV.load(dv_folder)


def test_the_payload_is_one(tmp_path):
    pickle.loads(pickle.dumps(Trap(os.mkdir, str(tmp_path / "mark"))))
    assert (tmp_path / "mark").exists()


def python_pickle(file, mark, genuine):
    file.write_bytes(pickle.dumps(Trap(os.mkdir, str(mark)), protocol=2))


def torch_checkpoint(file, mark, genuine):
    torch.save({"state": Trap(os.mkdir, str(mark))}, file)


def legacy_checkpoint(file, mark, genuine):
    torch.save({"state": Trap(os.mkdir, str(mark))}, file, _use_new_zipfile_serialization=False)


def dressed_up_checkpoint(file, mark, genuine):
    """A genuine archive whose own pickles were exchanged."""
    with zipfile.ZipFile(genuine) as source, zipfile.ZipFile(file, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("/data.pkl"):
                content = pickle.dumps(Trap(os.mkdir, str(mark)), protocol=2)
            target.writestr(name, content)


def truncated(file, mark, genuine):
    content = genuine.read_bytes()
    file.write_bytes(content[: len(content) * 2 // 3])


def empty(file, mark, genuine):
    file.touch()


def program_without_weights(file, mark, genuine):
    """The directory of the archive is whole, the content is not."""
    with zipfile.ZipFile(genuine) as source, zipfile.ZipFile(file, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name)[:5])


@pytest.mark.parametrize(
    "write",
    [
        python_pickle,
        torch_checkpoint,
        legacy_checkpoint,
        dressed_up_checkpoint,
        truncated,
        empty,
        program_without_weights,
    ],
)
def test_what_is_no_torchscript_is_refused_and_not_unpickled(write, dv_folder, tmp_path):
    mark = tmp_path / "mark"
    for name in ("encoder.jit", "decoder.jit"):
        folder = tmp_path / f"bad {name}"
        folder.mkdir()
        for other in {"encoder.jit", "decoder.jit"} - {name}:
            (folder / other).symlink_to(dv_folder / other)
        write(folder / name, mark, dv_folder / name)
        with pytest.raises(CheckpointError) as error:
            CosmosDV.load(folder)
        assert name in one_line(error)
        assert not mark.exists()


def damaged_pickle(file, mark, genuine):
    """One that pops from an empty stack: an IndexError of torch's own unpickler."""
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")


@pytest.mark.parametrize(
    "write", [python_pickle, torch_checkpoint, legacy_checkpoint, empty, damaged_pickle]
)
def test_statistics_are_not_unpickled_either(write, cv_folder, tmp_path):
    for name in ("encoder.jit", "decoder.jit"):
        (tmp_path / name).symlink_to(cv_folder / name)
    write(tmp_path / "mean_std.pt", tmp_path / "mark", None)
    with pytest.raises(CheckpointError) as error:
        CosmosCV.load(tmp_path)
    assert "mean_std.pt" in one_line(error) and not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    ("statistics", "why"),
    [
        ({"mean": 0}, "a mean and a std"),
        ((torch.zeros(16), torch.zeros(16)), "not positive"),
        ((torch.zeros(16), torch.full((16,), torch.nan)), "not finite"),
        ((torch.zeros(32), torch.ones(16)), "do not fit"),
        ((torch.zeros(17), torch.ones(17)), "do not fit"),
    ],
)
def test_statistics_that_are_none(statistics, why, cv_folder, tmp_path):
    for name in ("encoder.jit", "decoder.jit"):
        (tmp_path / name).symlink_to(cv_folder / name)
    torch.save(statistics, tmp_path / "mean_std.pt")
    with pytest.raises(CheckpointError, match=why):
        CosmosCV.load(tmp_path)


class TooLarge(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        ids = torch.full([1, 1 + (x.shape[2] - 1) // 8, x.shape[3] // 16, x.shape[4] // 16], 64000)
        return ids, x


class OtherShape(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros([1, 1, 1, 1], dtype=torch.int32), x


class Failing(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.view(7, 11).int(), x


class Same(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.float()


class NotFinite(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.full([1, 3, 1, 16, 16], float("nan"))


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (TooLarge(), "64000 instead of 0 to 63999"),
        (OtherShape(), r"\(1, 1, 1, 1\) instead of \(1, 2, 2, 2\) ids"),
        (Failing(), "fails for"),
        (Same(), "not DV8x16x16"),
    ],
)
def test_an_encoder_of_another_kind_is_named(module, why, dv_folder, tmp_path):
    mini_cosmos.save(module, tmp_path / "encoder.jit")
    (tmp_path / "decoder.jit").symlink_to(dv_folder / "decoder.jit")
    with pytest.raises(CheckpointError, match=why) as error:
        CosmosDV.load(tmp_path).encode(np.zeros((9, 32, 32, 3), np.uint8))
    assert "encoder.jit" in one_line(error)


@pytest.mark.parametrize(("module", "why"), [(Same(), "gives"), (NotFinite(), "not finite")])
def test_a_decoder_of_another_kind_is_named(module, why, dv_folder, tmp_path):
    mini_cosmos.save(module, tmp_path / "decoder.jit")
    (tmp_path / "encoder.jit").symlink_to(dv_folder / "encoder.jit")
    with pytest.raises(CheckpointError, match=why) as error:
        CosmosDV.load(tmp_path).decode(np.zeros((1, 1, 1), np.int64))
    assert "decoder.jit" in one_line(error)


def test_latents_have_the_statistics_of_their_place_in_time(cv_folder):
    cv = CosmosCV.load(cv_folder)
    rng = np.random.default_rng(2)
    video = grey_blocks(rng, (3, 4, 4), side=8)
    latents = cv.encode(video)
    assert latents.shape == (16, 3, 4, 4) and latents.dtype == np.float32
    mean, std = (part.numpy()[:, :3, None, None] for part in mini_cosmos.statistics())
    raw = latents / 0.5 * std + mean
    np.testing.assert_allclose(raw[3:], 0.25, atol=1e-6)
    colours = video[[0, 1, 9], ::8, ::8, 0] / 127.5 - 1
    np.testing.assert_allclose(raw[0], colours, atol=1e-5)
    assert np.array_equal(cv.decode(latents), video)
    both = np.stack([video, video[::-1]])
    assert cv.encode(both).shape == (2, 16, 3, 4, 4)
    assert np.array_equal(cv.decode(cv.encode(both))[0], video)


def test_latents_beyond_the_statistics(cv_folder, tmp_path):
    cv = CosmosCV.load(mini_cosmos.build_cv(tmp_path, places=8))
    with pytest.raises(ValueError, match="of 8 latent frames, not of 9"):
        cv.decode(np.zeros((16, 9, 2, 2), np.float32))
    with pytest.raises(ValueError, match="finite"):
        cv.decode(np.full((16, 1, 2, 2), np.nan))
