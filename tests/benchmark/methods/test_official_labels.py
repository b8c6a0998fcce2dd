"""What pose protocols measure: meshes by GVHMR's matrices, and the official labels of datasets.

The files are those of `tests.benchmark.official_files`.
"""

import dataclasses
import shutil

import numpy as np
import pytest

from benchmark.api.errors import Unavailable
from benchmark.commands.rehearse.miniatures import rich as mini_rich
from benchmark.commands.rehearse.miniatures import threedpw as mini_threedpw
from benchmark.commands.rehearse.stand_ins import bodies
from benchmark.metrics.bodies.protocols import choose
from benchmark.metrics.pose import METRIC, pose_errors
from datasets.adapters import rich, threedpw
from datasets.bodies.smpl import load_smpl
from datasets.bodies.smplx import load_body
from datasets.bodies.smplx_file import ENV_BODY, STAND_IN
from datasets.motion import Motion
from datasets.prepare.cut import clip_of
from datasets.sequence import SkipLog
from datasets.store.reader import ClipStore
from datasets.store.writer import ClipStoreWriter
from tests.benchmark.methods import mini_gvhmr_files as mini
from tests.benchmark.methods.official_files import (
    FRAMES,
    JOINTS24,
    MESH,
    context,
    evaluation,
    install,
    largest,
    random_channels,
    scored,
)


def cut(sequence, start):
    clip = clip_of(sequence, "test", slice(start, start + FRAMES))
    return dataclasses.replace(clip, clip_id=f"{clip.clip_id} {start}")


def write_store(path, clips):
    with ClipStoreWriter(path, num_frames=FRAMES) as writer:
        writer.add(*clips)
        writer.close({})
    return path


@pytest.fixture(scope="module")
def threedpw_sequences(originals, tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        install(originals, monkeypatch)
        root = tmp_path_factory.mktemp("3dpw")
        mini_threedpw.build(root)
        return {(s.sequence, s.person): s for s in threedpw.DATASET.sequences(root)}


@pytest.fixture(scope="module")
def threedpw_store(threedpw_sequences, tmp_path_factory):
    """Two clips of a man, of which the first begins with two frames that are not valid."""
    man = threedpw_sequences["courtyard_fake_00", "0"]
    assert man.valid[:3].tolist() == [False, False, True]
    return write_store(tmp_path_factory.mktemp("store") / "w", [cut(man, 0), cut(man, 20)])


@pytest.fixture(scope="module")
def rich_store(originals, tmp_path_factory):
    """Two clips of a man: one has three frames without a label or a picture."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        install(originals, monkeypatch)
        root = tmp_path_factory.mktemp("rich")
        mini_rich.build(root)
        sequences = rich.DATASET.sequences(root, "test", skipped=SkipLog())
        (man,) = (s for s in sequences if s.camera == "cam_03")
        assert (~man.valid).sum() == 3
        return write_store(tmp_path_factory.mktemp("store") / "r", [cut(man, 0), cut(man, 20)])


def direct_points(vertices, joints_file):
    """Joints and SMPL vertices of SMPL-X ones, by plain numpy."""
    where, weights = mini.sparse_rows(*mini.MATRICES[MESH])
    mesh = (vertices[:, where] * weights[..., None]).sum(axis=2)
    where, weights = mini.sparse_rows(*mini.MATRICES[joints_file])
    return (mesh[:, where] * weights[..., None]).sum(axis=2), mesh


def test_smpl24_equals_a_direct_computation(official):
    pred, true = random_channels(0), random_channels(1)
    scores, notes = scored(evaluation(pred, true, context(), fps=25.0))
    assert notes == [] and len(scores) == 8
    body = load_body()
    for clip in (0, 1):
        sides = [direct_points(body.vertices(each[clip]), JOINTS24) for each in (pred, true)]
        (joints, mesh), (true_joints, true_mesh) = sides
        wanted = pose_errors(joints, true_joints, mesh, true_mesh, pelvis=(1, 2), fps=25.0)
        for column, values in wanted.items():
            score = scores[f"clip {clip}", column]
            assert score.count == len(values)
            np.testing.assert_allclose(score.sum, values.sum(), rtol=1e-4)


def test_an_smpl_motion_is_measured_on_its_own_mesh(official):
    pred, true = random_channels(0, 85), random_channels(1)
    scores, notes = scored(evaluation(pred, true, context()))
    assert notes == []
    mesh = load_smpl().vertices(pred[0])
    where, weights = mini.sparse_rows(*mini.MATRICES[JOINTS24])
    joints = (mesh[:, where] * weights[..., None]).sum(axis=2)
    true_joints, true_mesh = direct_points(load_body().vertices(true[0]), JOINTS24)
    wanted = pose_errors(joints, true_joints, mesh, true_mesh, pelvis=(1, 2))
    for column, values in wanted.items():
        np.testing.assert_allclose(scores["clip 0", column].sum, values.sum(), rtol=1e-4)


@pytest.mark.parametrize("protocol", ["smplx22", "smpl24"])
def test_the_truth_has_no_error_wherever_it_is_moved(official, monkeypatch, protocol):
    if protocol == "smplx22":
        monkeypatch.setenv(ENV_BODY, str(STAND_IN))
    truth = random_channels()
    moved = truth.copy()
    moved[..., 76:] += np.random.default_rng(3).normal(size=(2, FRAMES, 3))
    assert choose(context()).name == protocol
    scores, _ = scored(evaluation(truth, truth, context()))
    assert len(scores) == 8 and largest(scores) < 1e-9
    scores, _ = scored(evaluation(moved, truth, context()))
    assert largest(scores) < 0.01
    other = random_channels(4)
    shifted = other.copy()
    shifted[..., 76:] += np.random.default_rng(5).normal(size=(2, FRAMES, 3))
    first, second = (scored(evaluation(each, truth, context()))[0] for each in (other, shifted))
    for key, score in first.items():
        assert score.sum > 1
        np.testing.assert_allclose(second[key].sum, score.sum, rtol=1e-4)


def rest_pelvis(betas):
    """(3,) J0 of the male SMPL file."""
    arrays = bodies.smpl_arrays(2)
    shaped = arrays["v_template"] + arrays["shapedirs"] @ betas.astype(np.float32)
    return arrays["J_regressor"][0] @ shaped


def exact_threedpw(store, clip_id):
    """The official motion of a clip in the camera, as an SMPL motion of the neutral body."""
    motion = ClipStore.open(store)[clip_id].world_motion
    view = ClipStore.open(store)[clip_id].view
    seen = motion.transformed(view.T_w2c, rest_pelvis(motion.betas), space="camera")
    parts = (seen.global_orient, seen.body_pose, np.tile(seen.betas, (FRAMES, 1)), seen.transl)
    return np.concatenate(parts, axis=1)


def test_3dpw_is_measured_against_its_own_labels_in_the_camera(official, threedpw_store):
    ids = ClipStore.open(threedpw_store).clip_ids
    pred = np.stack([exact_threedpw(threedpw_store, name) for name in ids])
    unlike = random_channels()  # not what counts as true here
    arguments = {"where": context("threedpw"), "store": threedpw_store, "ids": ids}
    scores, notes = scored(evaluation(pred, unlike, **arguments))
    assert notes == [] and largest(scores) < 0.02
    counts = {key: score.count for key, score in scores.items()}
    assert [counts[name, "mpjpe"] for name in ids] == [8, 10]  # two frames are not valid
    assert [counts[name, "accel"] for name in ids] == [6, 8]
    shifted = pred.copy()
    shifted[..., 82:] += np.random.default_rng(0).normal(size=(2, FRAMES, 3))
    assert largest(scored(evaluation(shifted, unlike, **arguments))[0]) < 0.02
    turned = pred.copy()
    turned[..., :3] = 0
    scores, _ = scored(evaluation(turned, unlike, **arguments))
    assert min(scores[name, "mpjpe"].sum for name in ids) > 100
    assert max(scores[name, "pa_mpjpe"].sum for name in ids) < 0.2


def test_frames_that_are_not_valid_change_nothing(official, threedpw_store):
    ids = ClipStore.open(threedpw_store).clip_ids[:1]
    motion = random_channels(2)[:1]
    arguments = {"where": context("threedpw"), "store": threedpw_store, "ids": ids}
    before, _ = scored(evaluation(motion, motion, **arguments))
    other = motion.copy()
    other[:, :2] = np.nan
    assert scored(evaluation(other, motion, **arguments))[0] == before
    other = motion.copy()
    other[:, 2] += 0.1
    assert scored(evaluation(other, motion, **arguments))[0] != before


def test_the_gender_of_a_label_decides_its_body(official, threedpw_sequences, tmp_path):
    woman = threedpw_sequences["downtown_fake_00", "1"]
    store = write_store(tmp_path / "store", [cut(woman, 5)])
    (name,) = ClipStore.open(store).clip_ids
    pred = exact_threedpw(store, name)[None]  # right only for the male body
    scores, _ = scored(evaluation(pred, pred, context("threedpw"), store=store, ids=[name]))
    assert scores[name, "pve"].sum / scores[name, "pve"].count > 10


def test_rich_is_measured_against_its_own_labels_in_the_camera(official, rich_store):
    opened = ClipStore.open(rich_store)
    ids = opened.clip_ids
    pred = opened.channels(ids)  # the labels, which are of the male body: here also the neutral one
    arguments = {"where": context("rich"), "store": rich_store, "ids": ids}
    scores, notes = scored(evaluation(pred, random_channels(), **arguments))
    assert notes == [] and largest(scores) < 0.02
    assert [scores[name, "pve"].count for name in ids] == [7, 10]
    turned = pred.copy()
    turned[..., :3] = 0
    scores, _ = scored(evaluation(turned, random_channels(), **arguments))
    assert min(scores[name, "mpjpe"].sum for name in ids) > 100


def test_labels_survive_a_store_of_estimated_motion(official, threedpw_store, rich_store, tmp_path):
    """There the clip's own motion, gender and camera pose are the estimator's, or gone."""

    def estimated(path, without=()):
        clips = []
        for clip in ClipStore.open(path):
            view = dataclasses.replace(clip.view, T_w2c=None)
            native = ClipStore.open(path).native(clip.clip_id)
            native = {name: native[name] for name in native if name not in without}
            motion = Motion.from_channels(random_channels()[0], fps=30, space="camera")
            clips.append(
                dataclasses.replace(
                    clip,
                    view=view,
                    camera_motion=motion,
                    world_motion=None,
                    motion_source="gvhmr",
                    native=native,
                )
            )
        return write_store(tmp_path / path.name, clips)

    ids = ClipStore.open(threedpw_store).clip_ids
    pred = np.stack([exact_threedpw(threedpw_store, name) for name in ids])
    store = estimated(threedpw_store)
    scores, _ = scored(evaluation(pred, pred, context("threedpw"), store=store, ids=ids))
    assert largest(scores) < 0.02

    ids = ClipStore.open(rich_store).clip_ids
    pred = ClipStore.open(rich_store).channels(ids)
    store = estimated(rich_store)
    scores, _ = scored(evaluation(pred, pred, context("rich"), store=store, ids=ids))
    assert largest(scores) < 0.02
    shutil.rmtree(store)
    store = estimated(rich_store, without=["gender"])
    with pytest.raises(Unavailable, match=r"no 'gender'.*prepare that dataset again"):
        scored(evaluation(pred, pred, context("rich"), store=store, ids=ids))


# --- clips that cannot be measured ----------------------------------------------------------------


def test_smpl_motion_cannot_be_measured_on_another_body(official, monkeypatch):
    monkeypatch.setenv(ENV_BODY, str(STAND_IN))
    with pytest.raises(Unavailable, match=r"motion is SMPL.*the body is not SMPL-X's neutral one"):
        scored(evaluation(random_channels(0, 85), random_channels(), context()))


def test_smpl_motion_needs_the_smpl_body(own):
    (own.smpl / "SMPL_NEUTRAL.npz").unlink()
    with pytest.raises(Unavailable, match=r"no SMPL_NEUTRAL.*https://smpl\.is\.tue\.mpg\.de"):
        scored(evaluation(random_channels(0, 85), random_channels(), context()))
    assert len(scored(evaluation(random_channels(), random_channels(), context()))[0]) == 8


def test_clips_without_labels_are_left_out_and_the_others_measured(
    official, threedpw_store, tmp_path
):
    opened = ClipStore.open(threedpw_store)
    whole, bare = list(opened)
    whole = dataclasses.replace(whole, native=opened.native(whole.clip_id))
    none = dataclasses.replace(whole, valid=np.zeros(FRAMES, bool), clip_id="none valid")
    store = write_store(tmp_path / "store", [whole, bare, none])
    ids = ClipStore.open(store).clip_ids
    motion = random_channels(clips=3)
    arguments = {"where": context("threedpw"), "store": store, "ids": ids}
    scores, notes = scored(evaluation(motion, motion, **arguments))
    assert {name for name, column in scores if column in METRIC.columns} == {whole.clip_id}
    assert [note.split(": ")[1] for note in notes] == ["1 clip left out"] * 2
    assert "prepare that dataset again" in notes[0] and "valid label" in notes[1]
    world = evaluation(motion, motion, **arguments)
    world = dataclasses.replace(
        world, clips=dataclasses.replace(world.clips, spaces=["world", "camera", "camera"])
    )
    with pytest.raises(Unavailable, match="world space"):
        scored(world)
