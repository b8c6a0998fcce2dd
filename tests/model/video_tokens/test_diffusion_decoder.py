"""The diffusion decoder's client with a scripted worker, and its worker with a scripted package."""

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datasets.tools.isolated import ToolMissing
from datasets.tools.isolated.worker import Worker, WorkerFailed
from datasets.video.probe import probe
from model.generate.__main__ import main
from model.video_tokens.cosmos import diffusion_decoder
from model.video_tokens.cosmos.diffusion_decoder import DecodeError, DiffusionDecoder
from model.video_tokens.cosmos.files import CV, DIFFUSION, cosmos_predict1
from model.video_tokens.cosmos.tokenizer import CosmosDV
from model.video_tokens.fitted.linear import LinearCodec
from model.video_tokens.pixels import open_pixels
from tests.model.mini_unimo import make_tokenizer, make_unimo
from tests.model.video_tokens import mini_cosmos

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
WORKER = Path(diffusion_decoder.__file__).with_name("diffusion_worker.py")


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """An installation with files of the right names and a CV8x8x8 that has no statistics."""
    return mini_cosmos.build_installation(tmp_path_factory.mktemp("cosmos-predict1"))


@pytest.fixture
def home(complete, tmp_path, monkeypatch):
    script = tmp_path / "fake.py"
    script.write_text(mini_cosmos.FAKE)
    monkeypatch.setattr(diffusion_decoder, "_SCRIPT", script)
    monkeypatch.setenv("COSMOS_PYTHON", sys.executable)
    monkeypatch.setenv("COSMOS_HOME", str(complete))
    monkeypatch.setenv("SECRET", "token")
    return complete


@pytest.mark.parametrize(("windows", "lengths"), [("A", [9, 9]), ("B", [8, 8, 8, 8])])
def test_every_frame_comes_from_its_latent(windows, lengths, home):
    ids = np.tile(np.arange(9)[:, None, None] * 8, (2, 1, 2, 2))
    ids[1] += 1
    decoder = DiffusionDecoder(windows=windows, guidance=1.0, seed=5)
    with decoder.start("cpu") as session:
        videos = session.decode(ids)
        assert np.array_equal(session.decode(ids[1]), videos[1])
    assert videos.shape == (2, 65, 32, 32, 3) and videos.dtype == np.uint8
    latent_of_frame = np.array([0, *np.repeat(np.arange(1, 9), 8)])
    expected = np.round((ids[:, latent_of_frame, 0, 0] / 100 + 1) * 127.5)
    assert np.abs(videos[:, :, 0, 0, 0] - expected).max() <= 1
    log = [json.loads(line) for line in (home / "log").read_text().splitlines()]
    assert [asked["shape"][0] for asked in log[: len(lengths)]] == lengths
    assert {(a["guidance"], a["steps"], a["seed"], a["fps"]) for a in log} == {(1.0, 15, 5, 24)}
    assert f"windows {windows}" in decoder.decoder and "g = 1 of c + g (c - u)" in decoder.decoder


def test_failures_are_one_line_and_the_next_video_is_decoded(home):
    with DiffusionDecoder().start("cpu") as session:
        with pytest.raises(DecodeError, match="too bright for me"):
            session.decode(np.full((1, 1, 1), 91))
        with pytest.raises(DecodeError, match="exited with code 9"):
            session.decode(np.full((1, 1, 1), 85))
        with pytest.raises(DecodeError, match=r"gives \(16, 1, 2, 2\)"):
            session.decode(np.full((2, 1, 1), 80))
        with pytest.raises(ValueError, match="63999"):
            session.decode(np.full((1, 1, 1), 64_000))
        with pytest.raises(ValueError, match="16 latent frames, not of 17"):
            whole = dataclasses.replace(session, settings=DiffusionDecoder(windows="A"))
            whole.decode(np.zeros((17, 1, 1), np.int64))
        assert session.decode(np.zeros((1, 1, 1), np.int64)).shape == (1, 16, 16, 3)


def test_generation_starts_the_network_once_for_all_pictures(home, tmp_path, capsys):
    """The log of the fake begins anew with every start."""
    script = diffusion_decoder._SCRIPT
    script.write_text(mini_cosmos.FAKE.replace("> 90", "> 64000").replace("== 80", "== 64001"))
    codec = mini_cosmos.build_dv(tmp_path / "dv")
    tokenizer = make_tokenizer(tmp_path)
    model = make_unimo(tmp_path, tokenizer, CosmosDV.load(codec))
    for name in ("a", "b"):
        Image.new("RGB", (40, 64)).save(tmp_path / f"{name}.png")
    words = f"i2vm {tmp_path / 'a.png'} {tmp_path / 'b.png'} --out {tmp_path / 'out'}"
    words += " --samples 2 --quiet"
    words += f" --decoder diffusion --codec {codec} --tokenizer {tokenizer} --checkpoint {model}"
    assert main(words.split()) == 0
    assert len((home / "log").read_text().splitlines()) == 4
    assert probe(tmp_path / "out" / "b-seed1.mp4").num_frames == 17
    assert "7B diffusion decoder" in capsys.readouterr().err
    script.write_text(mini_cosmos.FAKE.replace("> 90", "> -1"))
    assert main([*words.split(), "--overwrite"]) == 1
    line = "error: cosmos-predict1: RuntimeError: too bright for me\n"
    assert capsys.readouterr().err == 2 * line


def test_pixels_are_of_the_codec_or_of_the_diffusion_decoder(home, tmp_path):
    codec = CosmosDV.load(mini_cosmos.build_dv(tmp_path / "dv"))
    ids = np.full((2, 2, 2), 50)
    with open_pixels("codec", codec, device="cpu") as pixels:
        assert np.array_equal(pixels.decode(ids), codec.decode(ids))
        assert pixels.note == codec.decoder and pixels.identity() == codec.identity()
    with open_pixels("diffusion", codec, device="cpu") as pixels:
        brightness = (50 / 100 + 1) * 127.5
        assert np.abs(pixels.decode(ids) - brightness).max() <= 1
        assert "7B diffusion decoder" in pixels.note
        assert pixels.identity() == DiffusionDecoder().identity()
    for decoder, other in (("diffusion", LinearCodec()), ("dv", codec)):
        with (
            pytest.raises(ValueError, match=r"linear codec|unknown decoder 'dv'"),
            open_pixels(decoder, other, device="cpu"),
        ):
            pass


def test_what_is_missing_is_listed_before_anything_starts(complete, tmp_path, monkeypatch):
    monkeypatch.delenv("COSMOS_PYTHON", raising=False)
    with pytest.raises(ToolMissing, match=r"\$COSMOS_PYTHON .* \$COSMOS_HOME"):
        cosmos_predict1()
    monkeypatch.setenv("COSMOS_PYTHON", sys.executable)
    shutil.copytree(complete, tmp_path / "clone")
    monkeypatch.setenv("COSMOS_HOME", str(tmp_path / "clone"))
    cosmos_predict1()
    (tmp_path / "clone/checkpoints" / DIFFUSION.repo / "model.pt").unlink()
    shutil.rmtree(tmp_path / "clone/checkpoints" / CV.repo)
    with pytest.raises(ToolMissing) as error, DiffusionDecoder().start("cpu"):
        pass
    said = str(error.value)
    assert "\n" not in said
    for text in (f"{DIFFUSION.repo} lacks model.pt", "encoder.jit, decoder.jit, mean_std.pt"):
        assert text in said


def test_another_device_and_settings_out_of_range(home):
    with pytest.raises(DecodeError, match="does not start"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(diffusion_decoder, "_SCRIPT", home / "none.py")
        DiffusionDecoder().start("cpu").__enter__()
    for settings in ({"windows": "C"}, {"steps": 0}, {"guidance": float("nan")}, {"seed": -1}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            DiffusionDecoder(**settings)


def test_identity_pins_settings_and_weights(home):
    one, two = DiffusionDecoder().identity(), DiffusionDecoder(guidance=1.0).identity()
    assert one.pop("guidance") == "2" and two.pop("guidance") == "1" and one == two
    assert {f"{DIFFUSION.repo}/model.pt", f"{CV.repo}/mean_std.pt", "sampler"} <= one.keys()


# cosmos-predict1 as far as the worker sees it, on the CPU.
MODEL = """
import torch
def refuse_extra_state(load):
    def checked(state, *args):
        assert not [name for name in state if name.endswith("_extra_state")]
        return load(state, *args)
    return checked
class LatentDiffusionDecoderModel(torch.nn.Module):
    tensor_kwargs = {"device": "cpu", "dtype": torch.bfloat16}
    def __init__(self):
        super().__init__()
        self.tokenizer_corruptor = torch.nn.Identity()
    def set_up_model(self):
        net = torch.nn.Linear(2, 2, **self.tensor_kwargs)
        net.register_buffer("positions", torch.zeros(3))
        net._load_from_state_dict = refuse_extra_state(net._load_from_state_dict)
        self.model = torch.nn.ModuleDict({"net": net})
        self.net = net
    def generate_samples_from_batch(self, batch, guidance, state_shape, num_steps,
                                    apply_corruptor, preencode_condition):
        assert preencode_condition and not apply_corruptor
        ids = batch["video"]
        assert ids.dtype == torch.int32 and ids.shape[:2] == (1, 1)
        self.tokenizer_corruptor.decode(ids[:, 0])
        shapes = {name: tuple(value.shape) for name, value in batch.items()}
        assert shapes["t5_text_embeddings"] == (1, 512, 1024)
        assert shapes["t5_text_mask"] == (1, 512) and shapes["image_size"] == (1, 4)
        assert batch["num_frames"].tolist() == [1 + 8 * (ids.shape[2] - 1)]
        assert shapes["padding_mask"] == (1, 1, 16 * ids.shape[3], 16 * ids.shape[4])
        noise = torch.randn((1, *state_shape))
        return (noise + guidance * num_steps + self.net.weight.float().sum()).bfloat16()
"""
UTILS = """
import contextlib, os
def load_model_by_config(config_job_name, config_file, model_class):
    assert os.path.isfile(config_file)
    return model_class()
@contextlib.contextmanager
def skip_init_linear():
    yield
"""


@pytest.fixture
def package(tmp_path):
    decoder = tmp_path / "cosmos_predict1/autoregressive/diffusion_decoder"
    inference = tmp_path / "cosmos_predict1/diffusion/inference"
    (decoder / "config").mkdir(parents=True)
    inference.mkdir(parents=True)
    (decoder / "config/config_latent_diffusion_decoder.py").touch()
    (decoder / "model.py").write_text(MODEL)
    (inference / "inference_utils.py").write_text(UTILS)
    # What TransformerEngine would unpickle must not reach it.
    harm = torch.frombuffer(bytearray(b"harm"), dtype=torch.uint8)
    state = {"net.weight": torch.ones(2, 2), "net.bias": torch.zeros(2), "net._extra_state": harm}
    torch.save(state, tmp_path / "model.pt")
    torch.save({"context": torch.zeros(1, 512, 1024)}, tmp_path / "aux_vars.pt")
    return tmp_path


def worker(package):
    options = {
        "home": str(package),
        "weights": str(package / "model.pt"),
        "context": str(package / "aux_vars.pt"),
    }
    env = {"OMP_NUM_THREADS": "1"}
    return Worker(sys.executable, WORKER, env=env, options=options, timeout=60)


def test_the_worker_asks_the_package_as_its_own_pipeline_does(package):
    np.save(package / "ids.npy", np.zeros((3, 2, 4), np.int32))
    latents = []
    with worker(package) as running:
        assert running.hello["device"] == "cpu"
        for seed in (1, 1, 2):
            request = {"guidance": 2.0, "steps": 15, "seed": seed, "fps": 24}
            files = {name: str(package / f"{name}.npy") for name in ("ids", "latents")}
            assert running.request({**request, **files}, timeout=60) == {}
            latents.append(np.load(package / "latents.npy"))
    assert latents[0].shape == (16, 3, 4, 8) and latents[0].dtype == np.float32
    assert np.array_equal(latents[0], latents[1]) and not np.array_equal(latents[0], latents[2])
    assert latents[0].mean() == pytest.approx(34, abs=1)


def test_the_worker_does_not_start_without_a_parameter(package):
    torch.save({"net.weight": torch.ones(2, 2)}, package / "model.pt")
    with pytest.raises(WorkerFailed, match=r"lacks 1 parameters, such as net\.bias"):
        worker(package).__enter__()
