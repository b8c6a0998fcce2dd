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

from benchmark.commands.rehearse.stand_ins import cosmos as mini_cosmos
from benchmark.commands.rehearse.stand_ins import installations
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
from tests.model.video_tokens.scripted_decoder import FAKE

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
WORKER = Path(diffusion_decoder.__file__).with_name("diffusion_worker.py")


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """An installation with files of the right names."""
    return installations.build_decoder(tmp_path_factory.mktemp("cosmos-predict1"))


@pytest.fixture
def home(complete, tmp_path, monkeypatch):
    script = tmp_path / "fake.py"
    script.write_text(FAKE)
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
    script.write_text(FAKE.replace("> 90", "> 64000").replace("== 80", "== 64001"))
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
    script.write_text(FAKE.replace("> 90", "> -1"))
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


def worker(home):
    weights = DIFFUSION.folder(home)
    options = {
        "home": str(home),
        "weights": str(weights / "model.pt"),
        "context": str(weights / "aux_vars.pt"),
    }
    env = {"OMP_NUM_THREADS": "1"}
    return Worker(sys.executable, WORKER, env=env, options=options, timeout=60)


def test_the_worker_asks_the_package_as_its_own_pipeline_does(complete, tmp_path):
    np.save(tmp_path / "ids.npy", np.full((3, 2, 4), 3000, np.int32))
    latents = []
    with worker(complete) as running:
        assert running.hello["device"] == "cpu"
        for seed in (1, 1, 2):
            request = {"guidance": 2.0, "steps": 15, "seed": seed, "fps": 24}
            files = {name: str(tmp_path / f"{name}.npy") for name in ("ids", "latents")}
            assert running.request({**request, **files}, timeout=60) == {}
            latents.append(np.load(tmp_path / "latents.npy"))
    assert latents[0].shape == (16, 3, 4, 8) and latents[0].dtype == np.float32
    assert np.array_equal(latents[0], latents[1]) and not np.array_equal(latents[0], latents[2])
    assert latents[0].mean() == pytest.approx(0.5, abs=0.01)


def test_the_worker_does_not_start_without_a_parameter(complete, tmp_path):
    home = shutil.copytree(complete, tmp_path / "clone")
    torch.save({"net.weight": torch.eye(16)}, DIFFUSION.folder(home) / "model.pt")
    with pytest.raises(WorkerFailed, match=r"lacks 1 parameters, such as net\.bias"):
        worker(home).__enter__()
