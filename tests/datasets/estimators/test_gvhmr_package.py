"""GVHMR: the real package in its environment, with random weights."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.commands.rehearse.stand_ins import gvhmr as mini_gvhmr
from datasets.bodies.smplx import load_body
from datasets.estimators import EstimateError, EstimatorUnavailable, gvhmr_session
from datasets.estimators.gvhmr import BODY, WEIGHTS, GvhmrEstimator
from datasets.estimators.gvhmr_session import retimed
from datasets.tools import isolated
from tests.datasets.estimators.gvhmr_clips import SIZE, clip

WORKER = Path(gvhmr_session.__file__).with_name("gvhmr_worker.py")


def preprocess(folder: Path, num_pictures: int, size: int) -> None:
    """Write the package's caches of a person who walks across pictures of `size` x `size`."""
    generator = torch.Generator().manual_seed(num_pictures)
    time = torch.linspace(0, 1, num_pictures)
    centre = torch.stack([size * (0.4 + 0.2 * time), torch.full_like(time, size / 2)], 1)
    height = size * 0.7
    boxes = torch.cat([centre, torch.full((num_pictures, 1), height)], 1)
    half = torch.tensor([height * 0.375, height / 2])
    spread = (torch.rand(1, 17, 2, generator=generator) - 0.5) * half * 1.5
    jitter = torch.rand(num_pictures, 17, 2, generator=generator)
    confidence = torch.full((num_pictures, 17, 1), 0.75)
    folder.mkdir(parents=True)
    corners = torch.cat([centre - half, centre + half], 1)
    torch.save({"bbx_xyxy": corners, "bbx_xys": boxes}, folder / "bbx.pt")
    points = torch.cat([centre[:, None] + spread + jitter, confidence], 2)
    torch.save(points, folder / "vitpose.pt")
    features = torch.randn(1, 1024, generator=generator).repeat(num_pictures, 1)
    torch.save(features, folder / "vit_features.pt")


@pytest.fixture(scope="module")
def contract(tmp_path_factory):
    """The real package in its real environment, with random weights and the stand-in body."""
    folder = tmp_path_factory.mktemp("gvhmr")
    root = mini_gvhmr.build_files(folder / "weights")
    denoiser = folder / "random.ckpt"
    mini_gvhmr.random_denoiser(isolated.build("gvhmr"), root, denoiser)
    clips = {fps: clip(folder, fps=fps, num_frames=round(1.4 * fps)) for fps in (15, 25, 30, 60)}
    clips["moving"] = dataclasses.replace(clips[30], static_camera=None)
    for one in (clips[15], clips[25], clips[30], clips[60]):
        pictures = len(retimed(len(one.K), one.fps)[0])
        preprocess(folder / "pre" / one.clip_id, pictures, SIZE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GVHMR_CHECKPOINTS", str(root))
        patch.delenv("GVHMR_BODY_MODELS", raising=False)
        patch.delenv("GVHMR_PYTHON", raising=False)
        yield GvhmrEstimator(checkpoint=denoiser, preprocess=folder / "pre"), clips


@pytest.mark.tools
@pytest.mark.slow
def test_contract_with_the_real_package(contract, tmp_path):
    estimator, clips = contract
    body = load_body()
    with estimator.start("cpu") as session:
        assert session._worker.hello()["gvhmr"] == "1.6.1"
        first = {name: session.estimate(one) for name, one in clips.items()}
        again = {name: session.estimate(one) for name, one in reversed(clips.items())}
        K = clips[30].K.copy()
        K[:, :2, :2] *= 2
        far = session.estimate(dataclasses.replace(clips[30], K=K)).camera_motion.transl
        damaged = dataclasses.replace(clips[30], video=tmp_path / "damaged.mp4")
        damaged.video.write_bytes(clips[30].video.read_bytes()[:200])
        with pytest.raises(EstimateError, match="decode_error"):
            session.estimate(damaged)
        with pytest.raises(EstimateError, match="error"):  # the detector's weights are empty
            session.estimate(dataclasses.replace(clips[30], clip_id="without preprocess"))
    for name, one in clips.items():
        camera, world = first[name].camera_motion, first[name].world_motion
        assert len(camera) == len(world) == len(one.K) and camera.fps == world.fps == one.fps
        assert (camera.space, world.space, camera.body) == ("camera", "world", "smplx")
        assert np.array_equal(camera.body_pose, world.body_pose)
        assert camera.betas.shape == (10,) and np.array_equal(camera.betas, world.betas)
        # tz = 2 f / (s b): with s of an untrained network and a box of 90 pixels, metres it is.
        assert camera.transl[:, 2].min() > 0.5 and camera.transl[:, 2].max() < 30
        floor = body.joints(world.to_channels())[
            :, :22, 1
        ].min()  # the package's foot IK moves it a little
        assert abs(floor) < 0.1
        assert first[name].diagnostics["keypoint_confidence"] == pytest.approx(0.75)
        for space in ("camera_motion", "world_motion"):
            one_, two = getattr(first[name], space), getattr(again[name], space)
            for part in ("body_pose", "global_orient", "betas", "transl"):
                assert np.array_equal(getattr(one_, part), getattr(two, part)), (name, part)
    # A frame has the focal length of its own time, tz = 2 f / (s b), and the pictures of the 15 fps
    # clip are those of the 30 fps one, each shown twice.
    scaled = {
        fps: first[fps].camera_motion.transl[:, 2] / clips[fps].K[:, 0, 0] for fps in (15, 30)
    }
    np.testing.assert_allclose(scaled[15], scaled[30][::2], rtol=0.02)
    # The intrinsics are used: depth is proportional to the focal length.
    near = first[30].camera_motion.transl
    assert np.median(far[:, 2] / near[:, 2]) == pytest.approx(2, rel=0.2)
    # The camera was tracked where nobody says that it stands still.
    assert not np.array_equal(first[30].world_motion.transl, first["moving"].world_motion.transl)


@pytest.mark.tools
@pytest.mark.slow
def test_contract_identity_and_other_checkpoints(contract, tmp_path):
    estimator, _ = contract
    identity = estimator.identity()
    assert identity["gvhmr"] == "1.6.1" and len(identity["checkpoint"]) == 64
    assert identity["world_from_incam"] == "False" and next(iter(WEIGHTS)) not in identity
    assert all(len(identity[name]) == 64 for name in [*list(WEIGHTS)[1:], BODY])
    state = torch.load(estimator.checkpoint, weights_only=True)["state_dict"]
    assert len(state) == 247
    state["pipeline.denoiser3d.more"] = state.pop(next(iter(state)))
    torch.save({"state_dict": state}, tmp_path / "other.ckpt")
    other = dataclasses.replace(estimator, checkpoint=tmp_path / "other.ckpt")
    with (
        pytest.raises(EstimatorUnavailable, match=r"Missing key.*Unexpected key"),
        other.start("cpu"),
    ):
        pass
