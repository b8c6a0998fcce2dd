"""Pose protocols: which one is used, what each measures, and what is said where a file is missing.

Bodies and matrices have the official formats and random numbers. The male SMPL and SMPL-X files are
the neutral ones, so that a prediction can be exactly right.
"""

import dataclasses
import shutil
import sys

import numpy as np
import pytest
import torch

from benchmark import regressors
from benchmark.metrics.pose import METRIC, pose_errors
from benchmark.pose_protocols import choose
from benchmark.spec import TASKS, Clips, Evaluation, Setting, Unavailable
from datasets import rich, threedpw
from datasets.body import load_body
from datasets.body_file import ENV_BODY, STAND_IN, find_body
from datasets.clip_store import ClipStore
from datasets.clip_writer import ClipStoreWriter
from datasets.motion import Motion
from datasets.preparing.cut import clip_of
from datasets.sequence import SkipLog
from datasets.smpl_body import load_smpl
from datasets.smpl_file import ENV_SMPL
from tests.benchmark import mini_gvhmr_files as mini
from tests.datasets import mini_rich, mini_smpl, mini_threedpw

FRAMES = 10
MESH, JOINTS24, JOINTS14 = mini.MATRICES


@dataclasses.dataclass
class Official:
    """The user's files: folders of SMPL, SMPL-X and of GVHMR's matrices."""

    smpl: object
    smplx: object
    matrices: object
    python: object


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    root = tmp_path_factory.mktemp("official")
    for gender, seed in (("NEUTRAL", 2), ("FEMALE", 1)):
        (root / "smpl").mkdir(exist_ok=True)
        np.savez(root / "smpl" / f"SMPL_{gender}.npz", **mini_smpl.arrays(seed))
        mini.write_body(root / "smplx" / f"SMPLX_{gender}.npz", seed=seed)
    for name in ("smpl/SMPL", "smplx/SMPLX"):
        shutil.copy(root / f"{name}_NEUTRAL.npz", root / f"{name}_MALE.npz")
    matrices = mini.build_environment(root / "gvhmr")
    return Official(root / "smpl", root / "smplx", matrices, root / "gvhmr" / "bin" / "python")


def install(official, monkeypatch):
    monkeypatch.setenv(ENV_SMPL, str(official.smpl))
    monkeypatch.setenv(ENV_BODY, str(official.smplx))
    monkeypatch.setenv("GVHMR_PYTHON", str(official.python))


@pytest.fixture
def official(originals, monkeypatch):
    install(originals, monkeypatch)
    return originals


@pytest.fixture
def own(originals, tmp_path, monkeypatch):
    """A copy of the small files that a test may change; the bodies are links."""
    for name in ("smpl", "smplx"):
        folder = tmp_path / name
        folder.mkdir()
        for file in getattr(originals, name).iterdir():
            (folder / file.name).symlink_to(file)
    matrices = mini.build_environment(tmp_path / "gvhmr")
    python = tmp_path / "gvhmr" / "bin" / "python"
    own = Official(tmp_path / "smpl", tmp_path / "smplx", matrices, python)
    install(own, monkeypatch)
    return own


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


def setting(dataset="", *, task="v2m", tmp_path="."):
    return Setting(task=task, body=find_body(), seed=0, dataset=dataset, cache=tmp_path)


def evaluation(motion, truth, where, *, store=None, ids=None, fps=30.0):
    number = len(motion)
    ids = ids or [f"clip {i}" for i in range(number)]
    clips = Clips(
        ids, truth, np.full(number, fps), ["camera"] * number, ["neutral"] * number, store
    )
    return Evaluation(where, clips, motion, truth)


def scored(evaluation):
    scores = METRIC.score(evaluation, progress=lambda what, done, total: None)
    return {(score.clip_id, score.column): score for score in scores}, METRIC.notes(scores)


def random_channels(seed=0, width=79, clips=2):
    rng = np.random.default_rng(seed)
    size = [0.3] * (width - 13) + [1.0] * 10 + [0.2] * 3
    channels = rng.normal(0, size, (clips, FRAMES, width)).astype(np.float32)
    channels[..., -13:-3] = channels[:, :1, -13:-3]
    channels[..., -1] += 4
    return channels


def largest(scores):
    return max(score.sum / score.count for score in scores.values())


# --- which protocol, and what it says -------------------------------------------------------------


def test_smpl24_is_used_where_the_real_body_and_the_files_are_there(official):
    assert choose(setting()).name == "smpl24"
    assert METRIC.missing(setting()) == {}


def test_other_bodies_and_missing_files_leave_smplx22_which_says_why(official, monkeypatch):
    monkeypatch.setenv("GVHMR_PYTHON", sys.executable)  # without the package
    line = METRIC.protocol(setting())
    assert line.startswith("smplx22: body smplx-neutral ")
    assert line.endswith("not smpl24: GVHMR's regressors are not installed")
    monkeypatch.setenv(ENV_BODY, str(STAND_IN))
    assert METRIC.protocol(setting()).endswith("not smpl24: the body is not SMPL-X's neutral one")
    assert METRIC.missing(setting()) == {}


def test_labels_of_a_woman_are_on_a_womans_body_and_what_is_seen_is_neutral(official):
    """A tokenizer gives back the parameters that it was given, of whatever body they are."""
    truth = random_channels()
    for task, same in (("tokenizer", True), ("v2m", False)):
        given = evaluation(truth, truth, setting(task=task))
        woman = dataclasses.replace(given.clips, genders=["female"] * len(truth))
        scores, _ = scored(dataclasses.replace(given, clips=woman))
        assert (largest(scores) < 0.02) == same
    neutral, _ = scored(evaluation(truth, truth, setting()))
    assert largest(neutral) < 0.02


def test_official_labels_are_for_what_is_seen_in_the_datasets_videos_alone(official):
    names = {task: choose(setting("threedpw", task=task)).name for task in TASKS}
    assert names == {"tokenizer": "smpl24", "v2m": "lsp14", "i2vm": "smpl24"}


def test_what_is_seen_in_a_video_is_not_compared_with_motion_in_the_world(official):
    truth = random_channels()
    given = evaluation(truth, truth, setting())
    clips = dataclasses.replace(given.clips, spaces=["camera", "world"])
    scores, notes = scored(dataclasses.replace(given, clips=clips))
    assert {clip for clip, column in scores if column == "mpjpe"} == {"clip 0"}
    assert any("world space" in note for note in notes)


def test_official_labels_have_one_protocol_each(official):
    for dataset, name in (("threedpw", "lsp14"), ("rich", "smpl24")):
        assert METRIC.missing(setting(dataset)) == {}
        line = METRIC.protocol(setting(dataset))
        assert line.startswith(f"{name}: ") and f"official labels of {dataset}" in line
    # What is in a generated video has no official labels, nor has what a tokenizer is given.
    for dataset in ("threedpw", "rich"):
        for task in ("i2vm", "tokenizer"):
            assert METRIC.protocol(setting(dataset, task=task)) == METRIC.protocol(setting())


@pytest.mark.parametrize("dataset", ["", "threedpw", "rich"])
def test_the_line_names_what_is_measured(official, dataset):
    line = METRIC.protocol(setting(dataset))
    assert "\n" not in line and str(official.python.parent) not in line
    joints, hips = ("14 joints", "2, 3") if dataset == "threedpw" else ("24 joints", "1, 2")
    for part in (joints, f"joints {hips})", "6890", "Accel", setting().body_id, "flat", "frame"):
        assert part in line
    for name in (MESH, JOINTS14 if dataset == "threedpw" else JOINTS24):
        assert f"{name} {regressors.sha256_of(official.matrices / name)[:12]}" in line


def changed(file):
    content = bytearray(file.read_bytes()) + b"\0"
    file.unlink()
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("dataset", "files"),
    [
        ("", ["matrices/" + MESH, "matrices/" + JOINTS24, "smpl/SMPL_NEUTRAL.npz"]),
        ("threedpw", ["matrices/" + MESH, "matrices/" + JOINTS14, "smpl/SMPL_NEUTRAL.npz"]),
        ("threedpw", ["smpl/SMPL_MALE.npz", "smpl/SMPL_FEMALE.npz"]),
        ("rich", ["matrices/" + JOINTS24, "smplx/SMPLX_MALE.npz", "smplx/SMPLX_FEMALE.npz"]),
    ],
)
def test_the_line_changes_with_every_file_that_is_used(own, dataset, files):
    lines = [METRIC.protocol(setting(dataset))]
    for name in files:
        folder, _, file = name.partition("/")
        changed(getattr(own, folder) / file)
        lines.append(METRIC.protocol(setting(dataset)))
    assert len(set(lines)) == len(lines)


@pytest.mark.parametrize(
    ("dataset", "gone"),
    [
        ("threedpw", "smpl/SMPL_FEMALE.npz"),
        ("threedpw", "matrices/" + MESH),
        ("threedpw", "matrices/" + JOINTS14),
        ("rich", "smplx/SMPLX_MALE.npz"),
        ("rich", "matrices/" + JOINTS24),
    ],
)
def test_a_missing_file_is_named_with_how_to_get_it(own, dataset, gone):
    folder, _, name = gone.partition("/")
    (getattr(own, folder) / name).unlink()
    missing = METRIC.missing(setting(dataset))
    assert set(missing) == set(METRIC.columns)
    (reason,) = set(missing.values())
    assert name.removesuffix(".npz") in reason and "\n" not in reason
    cure = "python -m benchmark.run setup gvhmr" if folder == "matrices" else "https://smpl"
    assert cure in reason
    motion = random_channels()
    assert scored(evaluation(motion, motion, setting(dataset))) == ({}, [])


def test_everything_that_is_missing_is_named_at_once(monkeypatch, tmp_path):
    monkeypatch.delenv(ENV_BODY, raising=False)
    monkeypatch.delenv(ENV_SMPL, raising=False)
    monkeypatch.delenv("GVHMR_PYTHON", raising=False)
    monkeypatch.setenv("UNIMO_TOOLS", str(tmp_path))
    reason = METRIC.missing(setting("threedpw"))["pve"]
    for part in ("SMPLX_NEUTRAL", "setup gvhmr", "SMPL_FEMALE", "SMPL_MALE", ENV_SMPL):
        assert part in reason
    assert reason.count("setup gvhmr") == 1
    assert "SMPLX_FEMALE" not in METRIC.missing(setting("rich"))["pve"]  # comes with the body
    assert "(not here)" in METRIC.protocol(setting("threedpw"))


def test_nothing_to_compare_gives_no_scores(official):
    motion = random_channels()
    for pair in ((None, motion), (motion, None), (None, None)):
        evaluated = dataclasses.replace(
            evaluation(motion, motion, setting()), motion=pair[0], truth=pair[1]
        )
        assert scored(evaluated) == ({}, [])


# --- GVHMR's files --------------------------------------------------------------------------------


def test_rows_that_nearly_sum_to_one_are_scaled_and_others_refused(own):
    file = own.matrices / JOINTS14
    whole = regressors.LSP14.load()
    torch.save(mini.tensor(JOINTS14) * (1 - 4e-4), file)
    assert abs(regressors.LSP14.load() - whole).max() < 1e-7
    np.testing.assert_allclose(regressors.LSP14.load().sum(axis=1), 1, atol=1e-12)
    for spoilt in (mini.tensor(JOINTS14) * 0.9, mini.tensor(JOINTS14) * float("nan")):
        torch.save(spoilt, file)
        with pytest.raises(ValueError, match="do not sum to 1"):
            regressors.LSP14.load()


def test_other_contents_are_refused_and_never_run(own, tmp_path):
    class Attack:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    outside = torch.sparse_coo_tensor(
        torch.tensor([[0, 10**9], [0, 10**9]]), torch.ones(2), (24, 6890), check_invariants=False
    )
    file = own.matrices / JOINTS24
    for content, message in (
        (torch.zeros(24, 100), r"holds \(24, 100\), expected \(24, 6890\)"),
        ({"matrix": 1}, "holds dict"),
        (Attack(), "install gvhmr again"),
        (outside, "install gvhmr again"),
    ):
        torch.save(content, file)
        with pytest.raises(ValueError, match=message) as error:
            regressors.SMPL24.load()
        assert "\n" not in str(error.value)
    file.write_bytes(b"damaged")
    with pytest.raises(ValueError, match="install gvhmr again"):
        regressors.SMPL24.load()
    assert not (tmp_path / "ran").exists()


def test_an_interpreter_that_cannot_run_has_no_files(tmp_path, monkeypatch):
    broken = tmp_path / "python"
    broken.write_text("#!/no/such/program\n")
    broken.chmod(0o755)
    monkeypatch.setenv("GVHMR_PYTHON", str(broken))
    with pytest.raises(Unavailable, match="has no package gvhmr"):
        regressors.SMPL24.path()


def test_the_package_is_found_whatever_lies_in_the_current_folder(official, tmp_path, monkeypatch):
    (tmp_path / "gvhmr").mkdir()
    (tmp_path / "gvhmr" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    regressors._package.cache_clear()
    assert regressors.SMPL24.path() == official.matrices / JOINTS24


# --- what is measured -----------------------------------------------------------------------------


def direct_points(vertices, joints_file):
    """Joints and SMPL vertices of SMPL-X ones, by plain numpy."""
    where, weights = mini.sparse_rows(*mini.MATRICES[MESH])
    mesh = (vertices[:, where] * weights[..., None]).sum(axis=2)
    where, weights = mini.sparse_rows(*mini.MATRICES[joints_file])
    return (mesh[:, where] * weights[..., None]).sum(axis=2), mesh


def test_smpl24_equals_a_direct_computation(official):
    pred, true = random_channels(0), random_channels(1)
    scores, notes = scored(evaluation(pred, true, setting(), fps=25.0))
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
    scores, notes = scored(evaluation(pred, true, setting()))
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
    assert choose(setting()).name == protocol
    scores, _ = scored(evaluation(truth, truth, setting()))
    assert len(scores) == 8 and largest(scores) < 1e-9
    scores, _ = scored(evaluation(moved, truth, setting()))
    assert largest(scores) < 0.01
    other = random_channels(4)
    shifted = other.copy()
    shifted[..., 76:] += np.random.default_rng(5).normal(size=(2, FRAMES, 3))
    first, second = (scored(evaluation(each, truth, setting()))[0] for each in (other, shifted))
    for key, score in first.items():
        assert score.sum > 1
        np.testing.assert_allclose(second[key].sum, score.sum, rtol=1e-4)


def rest_pelvis(betas):
    """(3,) J0 of the male SMPL file."""
    arrays = mini_smpl.arrays(2)
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
    arguments = {"where": setting("threedpw"), "store": threedpw_store, "ids": ids}
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
    arguments = {"where": setting("threedpw"), "store": threedpw_store, "ids": ids}
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
    scores, _ = scored(evaluation(pred, pred, setting("threedpw"), store=store, ids=[name]))
    assert scores[name, "pve"].sum / scores[name, "pve"].count > 10


def test_rich_is_measured_against_its_own_labels_in_the_camera(official, rich_store):
    opened = ClipStore.open(rich_store)
    ids = opened.clip_ids
    pred = opened.channels(ids)  # the labels, which are of the male body: here also the neutral one
    arguments = {"where": setting("rich"), "store": rich_store, "ids": ids}
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
    scores, _ = scored(evaluation(pred, pred, setting("threedpw"), store=store, ids=ids))
    assert largest(scores) < 0.02

    ids = ClipStore.open(rich_store).clip_ids
    pred = ClipStore.open(rich_store).channels(ids)
    store = estimated(rich_store)
    scores, _ = scored(evaluation(pred, pred, setting("rich"), store=store, ids=ids))
    assert largest(scores) < 0.02
    shutil.rmtree(store)
    store = estimated(rich_store, without=["gender"])
    with pytest.raises(Unavailable, match=r"no 'gender'.*prepare that dataset again"):
        scored(evaluation(pred, pred, setting("rich"), store=store, ids=ids))


# --- clips that cannot be measured ----------------------------------------------------------------


def test_smpl_motion_cannot_be_measured_on_another_body(official, monkeypatch):
    monkeypatch.setenv(ENV_BODY, str(STAND_IN))
    with pytest.raises(Unavailable, match=r"motion is SMPL.*the body is not SMPL-X's neutral one"):
        scored(evaluation(random_channels(0, 85), random_channels(), setting()))


def test_smpl_motion_needs_the_smpl_body(own):
    (own.smpl / "SMPL_NEUTRAL.npz").unlink()
    with pytest.raises(Unavailable, match=r"no SMPL_NEUTRAL.*https://smpl\.is\.tue\.mpg\.de"):
        scored(evaluation(random_channels(0, 85), random_channels(), setting()))
    assert len(scored(evaluation(random_channels(), random_channels(), setting()))[0]) == 8


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
    arguments = {"where": setting("threedpw"), "store": store, "ids": ids}
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
