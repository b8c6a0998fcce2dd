"""The rehearsal's files are what the real readers take for the real ones."""

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmark.commands.doctor import weights
from benchmark.commands.rehearse.assets import build_assets
from benchmark.commands.rehearse.stand_ins import environments
from benchmark.metrics.vbench import METRIC
from benchmark.metrics.vbench_tool import weights as vbench_weights
from datasets.bodies.smpl import load_smpl
from datasets.bodies.smplx import load_body
from datasets.bodies.smplx_file import find_body
from datasets.estimators import ClipVideo
from datasets.estimators.gvhmr import GvhmrEstimator
from datasets.tools import isolated
from datasets.video.files import read_video, write_video
from model.generate.released_cosmos import ReleasedCosmos
from model.transformer import UniMo, UniMoConfig, cosmos_weights
from model.video_tokens.cosmos.files import cosmos_file, cosmos_tokenizer
from model.video_tokens.cosmos.tokenizer import CosmosDV
from model.video_tokens.pixels import open_pixels
from model.video_tokens.seedvr import SeedVR
from tests.benchmark.metrics.vbench_clips import evaluation, quiet

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
SIZE = UniMoConfig.tiny(
    dim=48, n_heads=2, n_kv_heads=1, ffn_hidden_size=32, visual_vocab=64000, latent_shape=(3, 4, 4)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("assets")


@pytest.fixture
def assets(folder, monkeypatch, tmp_path):
    """The variables, set; no tool is installed."""
    monkeypatch.setenv("UNIMO_TOOLS", str(tmp_path))
    for name in ("GVHMR_PYTHON", "VBENCH_PYTHON"):
        monkeypatch.delenv(name, raising=False)
    variables = build_assets(folder, SIZE)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


def test_a_second_call_changes_nothing(assets, folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert build_assets(folder, SIZE) == assets
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 300e6


def test_doctor_finds_every_file_of_those_that_need_no_tool(assets):
    groups = (weights._cosmos, weights._diffusion, weights._seedvr, weights._smplx, weights._smpl)
    rows = [row for group in groups for row in group().rows]
    assert len(rows) > 10 and {state for state, *_ in rows} == {"found"}, rows


@pytest.mark.slow
def test_transformer_is_read_strictly_and_codes_pictures(assets):
    model = UniMo(SIZE)
    cosmos_weights.load(model, cosmos_weights.read(cosmos_file()))
    codec = CosmosDV.load(cosmos_tokenizer())
    cosmos = ReleasedCosmos.load(cosmos_file(), codec, config=SIZE)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    ids = cosmos.i2v(pictures, [0, 1])
    assert ids.shape == (2, *SIZE.latent_shape) and ids.max() > 4000
    assert np.ptp(codec.decode(ids[0])) > 100  # tokens beyond the stand-in's shades are shades, too


@pytest.mark.slow
def test_pixels_of_the_diffusion_decoder_are_those_of_its_tokens(assets):
    codec = CosmosDV.load(cosmos_tokenizer())
    ids = np.random.default_rng(0).integers(0, 64000, (3, 2, 2))
    with open_pixels("diffusion", codec, device="cpu") as pixels:
        difference = pixels.decode(ids).astype(int) - codec.decode(ids)
    assert np.abs(difference).max() < 6


@pytest.mark.slow
def test_enhanced_videos_have_the_size_that_is_asked_for(assets, tmp_path):
    frames = np.full((5, 64, 48, 3), 90, np.uint8)
    write_video(tmp_path / "a.mp4", frames, fps=25)
    tool = SeedVR.installed()
    with tool.start("cpu") as session:
        session.enhance(tmp_path / "a.mp4", tmp_path / "b.mp4", size=(128, 96), seed=1)
    enhanced = read_video(tmp_path / "b.mp4")
    assert enhanced.shape == (5, 128, 96, 3) and abs(np.median(enhanced) - 90) < 4


def test_bodies_are_the_users_own(assets):
    genders = ("neutral", "female", "male")
    assert [find_body(gender=gender).name for gender in genders] == [
        f"smplx-{gender}" for gender in genders
    ]
    rests = [load_body(gender=gender).rest_joints(np.zeros(10)) for gender in genders]
    assert len({rest.tobytes() for rest in rests}) == 3
    assert all(
        load_smpl(gender).vertices(np.zeros((1, 85))).shape == (1, 6890, 3) for gender in genders
    )


def test_a_tool_that_does_not_start_says_why(tmp_path):
    words = ("-c", "raise SystemExit('no torch')")
    with pytest.raises(isolated.BuildError, match=r"failed: no torch$"):
        environments.run(Path(sys.executable), words, tmp_path)


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    """The variables of the assets, set, where both tools are installed."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("gvhmr", "vbench"):
            patch.delenv(f"{name.upper()}_PYTHON", raising=False)
            isolated.build(name)
        for name, value in build_assets(tmp_path_factory.mktemp("assets"), SIZE).items():
            patch.setenv(name, value)
        yield


@pytest.mark.tools
@pytest.mark.slow
def test_doctor_finds_every_file_of_the_tools(tools):
    groups = (weights._gvhmr, weights._regressors, weights._vbench)
    rows = [row for group in groups for row in group().rows]
    assert len(rows) > 15 and {state for state, *_ in rows} == {"found"}, rows


@pytest.mark.tools
@pytest.mark.slow
def test_gvhmr_sees_somebody_in_every_picture(tools, tmp_path):
    write_video(tmp_path / "a.mp4", np.zeros((9, 64, 64, 3), np.uint8), fps=30)
    K = np.tile(np.array([[70, 0, 32], [0, 70, 32], [0, 0, 1]], np.float32), (9, 1, 1))
    video = ClipVideo("d/test/a/none/0/0", tmp_path / "a.mp4", K, "dataset", 30.0, True)
    estimator = GvhmrEstimator()
    assert "random weights of a rehearsal" in estimator.note and estimator.identity()
    with estimator.start("cpu") as session:
        first, again = session.estimate(video), session.estimate(video)
    assert np.isfinite(first.camera_motion.transl).all() and len(first.camera_motion) == 9
    assert np.array_equal(first.camera_motion.body_pose, again.camera_motion.body_pose)


@pytest.mark.tools
@pytest.mark.slow
def test_vbench_measures_all_dimensions(tools, tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (2, 9, 256, 256, 3), np.uint8)
    videos = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for video, pictures in zip(videos, frames, strict=True):
        write_video(video, pictures, fps=30)
    assert not vbench_weights.missing()
    scores = METRIC.score(evaluation(tmp_path, videos), progress=quiet)
    assert {score.column for score in scores} == {*METRIC.columns}
    assert len(scores) == 2 * len(METRIC.columns)
    assert "random weights of a rehearsal" in METRIC.protocol(evaluation(tmp_path, videos).context)
