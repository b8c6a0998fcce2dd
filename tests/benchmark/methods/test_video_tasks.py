"""V2M and I2VM through the stages: what methods see, what stands for truth, what is cached."""

import dataclasses
import shutil

import numpy as np
import pytest

from benchmark.api.clips import Prediction
from benchmark.api.errors import Unavailable, UserError
from benchmark.api.table import Row
from benchmark.methods import first_frame, transformers
from benchmark.methods.unimo import VideoToMotion
from benchmark.profiles import paper, smoke
from benchmark.results.cells import RowOutcome
from benchmark.results.table import row_notes
from benchmark.runs import artifacts, chain
from benchmark.runs.checkpoints import weights_sha256
from benchmark.runs.data import open_data
from benchmark.runs.stages import _evaluation as evaluation_of
from benchmark.runs.stages import perform, trained_weights
from benchmark.runs.stores import Stores
from benchmark.runs.work_item import make_item
from benchmark.runs.workers import _Queue
from datasets.store.reader import ClipStore
from datasets.video.files import read_video
from model.regressor import examples as regressor_examples
from tests.benchmark.work import Killed, context_in, ignore, killer

OURS = Row("Ours", "unimo")


@pytest.fixture
def data(shots_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("model.transformer.train.token_set.CACHE", tmp_path / "tokens")
    return open_data(shots_folder, task="v2m", limit=3)


@pytest.fixture(scope="module")
def performed(shots_folder, tmp_path_factory):
    """A cache in which the work of our row is done for both tasks, first for I2VM."""
    context = context_in(tmp_path_factory.mktemp("performed"))
    data = open_data(shots_folder, task="v2m", limit=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("model.transformer.train.token_set.CACHE", context.cache.parent / "tokens")
        for task, metrics in (("i2vm", ("pose", "diversity")), ("v2m", ("pose",))):
            item = make_item(OURS, task, smoke().with_steps(3), data, seed=0, metrics=metrics)
            perform(context, item, progress=ignore)
    return context.cache


@pytest.fixture
def warm(context, performed):
    """A context with a copy of that cache."""
    shutil.copytree(performed, context.cache)
    return context


@pytest.fixture
def item_of(data, tiny):
    def make(task, row=OURS, seed=0, metrics=("pose",)):
        return make_item(row, task, tiny, data, seed=seed, metrics=metrics)

    return make


def keys(context, item):
    return {stage: run.key for stage, run in chain.lookup(context, item).stages.items()}


def test_both_tasks_share_one_training(warm, item_of):
    v2m, i2vm = item_of("v2m"), item_of("i2vm", metrics=("pose", "diversity"))
    assert keys(warm, v2m)["train"] == keys(warm, i2vm)["train"]
    outcome = chain.lookup(warm, i2vm)
    assert not outcome.missing and not chain.lookup(warm, v2m).missing
    # What was trained for I2VM was left alone when V2M was done.
    trained, predicted = (
        (outcome.stages[stage].folder / "run.json").stat().st_mtime_ns
        for stage in ("train", "predict")
    )
    assert trained < predicted
    assert list(outcome.stages) == [
        "train",
        "predict",
        "train estimator",
        "estimate",
        "score pose",
        "score diversity",
    ]
    assert {score.clip_id for score in outcome.scores["pose"]} == set(i2vm.data.test_ids)
    assert {"fid", "div_g"} <= {score.column for score in outcome.scores["diversity"]}


def test_consistency_is_against_what_the_estimator_sees_in_the_generated_video(warm, item_of):
    item = item_of("i2vm")
    runs = chain.lookup(warm, item).stages
    ids = item.data.test_ids
    made = artifacts.read_predictions(runs["predict"].folder, ids)
    seen = artifacts.read_predictions(runs["estimate"].folder, ids)
    evaluation = evaluation_of(warm, item, runs["predict"], runs["estimate"])
    np.testing.assert_array_equal(evaluation.motion, made.channels)
    np.testing.assert_array_equal(evaluation.truth, seen.channels)
    # The first picture is the clip's own, through the codec; the video is of its length and rate.
    frames = [read_video(path) for path in evaluation.videos]
    clips = item.data.clips(ids)
    assert {video.shape for video in frames} == {(17, 64, 64, 3)}
    pictures = transformers.first_pictures(clips)[0].astype(int)
    own = [
        np.abs(video[0] - picture).mean() for video, picture in zip(frames, pictures, strict=True)
    ]
    other = [
        np.abs(video[0] - picture).mean()
        for video, picture in zip(frames, np.roll(pictures, 1, axis=0), strict=True)
    ]
    assert np.mean(own) < 0.5 * np.mean(other)


def test_a_system_that_makes_videos_alone_has_the_motion_seen_in_them(context, item_of):
    for row in (Row("Baseline", "cosmos"), Row("still", "first_frame")):
        item = item_of("i2vm", row, metrics=("diversity", "pose"))
        perform(context, item, progress=ignore)
        outcome = chain.lookup(context, item)
        evaluation = evaluation_of(
            context, item, outcome.stages["predict"], outcome.stages["estimate"]
        )
        assert evaluation.truth is None and evaluation.motion.shape == (3, 17, 79)
        assert outcome.scores["pose"] == []
        assert {score.column for score in outcome.scores["diversity"]} >= {"fid", "div"}


def test_a_chain_killed_anywhere_ends_in_the_same_scores(warm, item_of):
    item = item_of("i2vm", metrics=("pose", "diversity"))
    killed, missing = dataclasses.replace(warm, cache=warm.cache / "killed"), []
    # Calls: tokens, 3 training steps, prediction, pictures, 3 steps, estimate, clips while scoring.
    # One chain is killed again and again, later by later: what is whole is not made again.
    for at in (3, 4, 4, 3, 2):
        with pytest.raises(Killed):
            perform(killed, item, progress=killer(at))
        missing.append(chain.lookup(killed, item).missing)
    assert all(missing), missing
    perform(killed, item, progress=ignore)
    assert chain.lookup(killed, item).scores == chain.lookup(warm, item).scores
    assert keys(killed, item) == keys(warm, item)


def test_a_clip_alone_gives_what_it_gives_among_others(warm, item_of, data):
    item = item_of("v2m")
    weights = trained_weights(warm, item, progress=ignore)
    clips = data.clips(data.test_ids)
    method = VideoToMotion()
    together = method.predict(weights, clips, device="cpu", seed=0).channels
    alone = method.predict(weights, clips[1:2], device="cpu", seed=0).channels
    # The same tokens; a batch of another size sums in another order.
    np.testing.assert_allclose(alone[0], together[1], atol=1e-4)
    reseeded = method.predict(weights, clips, device="cpu", seed=1).channels
    assert np.abs(reseeded - together).max() > 1e-2


def test_what_is_estimated_depends_on_the_estimators_training(warm, item_of, tiny, data):
    item = item_of("i2vm")
    longer = dataclasses.replace(tiny, regressor_training=tiny.regressor_training.with_steps(4))
    other = make_item(OURS, "i2vm", longer, data, seed=0, metrics=("pose",))
    before = keys(warm, item)
    perform(warm, other, progress=ignore)
    after = keys(warm, other)
    changed = {stage for stage in after if after[stage] != before[stage]}
    assert changed == {"train estimator", "estimate", "score pose"}


def test_a_checkpoint_trained_again_under_its_path_is_measured_anew(warm, item_of, tmp_path):
    item = item_of("v2m")
    folder = chain.lookup(warm, item).stages["train"].folder
    mine = tmp_path / "mine"
    shutil.copytree(folder, mine)
    given = item_of("v2m", Row("mine", "unimo", weights=mine / "model.safetensors"))
    first = keys(warm, given)
    assert first["predict"] == keys(warm, item)["predict"]
    again = item_of("v2m", seed=1)
    perform(warm, again, progress=ignore)
    shutil.copytree(chain.lookup(warm, again).stages["train"].folder, mine, dirs_exist_ok=True)
    assert keys(warm, given)["predict"] != first["predict"]


def test_the_sequence_of_a_transformer_is_part_of_its_weights_identity(warm, item_of, tmp_path):
    item = item_of("v2m")
    weights = trained_weights(warm, item, progress=ignore)
    copy = tmp_path / "copy.safetensors"
    shutil.copyfile(weights, copy)
    text = weights.with_suffix(".json").read_text()
    copy.with_suffix(".json").write_text(text)
    assert weights_sha256(copy) == weights_sha256(weights)
    copy.with_suffix(".json").write_text(
        text.replace('"tokenizer_sha256": "', '"tokenizer_sha256": "0')
    )
    assert weights_sha256(copy) != weights_sha256(weights)


def test_a_damaged_video_fails_alone(context, item_of, data, shots_folder, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(shots_folder, broken)
    worst = data.test_ids[1]
    (path,) = [clip.video for clip in ClipStore.open(broken).some([worst])]
    path.write_bytes(path.read_bytes()[:300])
    damaged = dataclasses.replace(data, path=broken)
    for task, row in (("v2m", OURS), ("i2vm", OURS), ("i2vm", Row("still", "first_frame"))):
        item = dataclasses.replace(item_of(task, row), data=damaged)
        if task == "i2vm":
            item = dataclasses.replace(item, estimator=item_of("v2m", Row("e", "regressor")))
        perform(context, item, progress=ignore)
        outcome = chain.lookup(context, item)
        assert list(outcome.failed) == [worst]
        measured = {score.clip_id for score in outcome.scores["pose"]}
        assert measured == (set(data.test_ids) - {worst} if row is OURS else set())
    ids = data.train_ids[:3]
    (path,) = [clip.video for clip in ClipStore.open(broken).some([ids[0]])]
    path.write_bytes(b"")
    examples = regressor_examples.examples_of(ClipStore.open(broken), ids, 16)
    assert len(examples.pictures) == 2 and examples.identity["examples"].startswith("2 of 3 ")


def test_training_clips_that_cannot_be_used_are_counted(
    context, item_of, data, shots_folder, tmp_path
):
    broken = tmp_path / "broken"
    shutil.copytree(shots_folder, broken)
    (path,) = [clip.video for clip in ClipStore.open(broken).some(data.train_ids[4:5])]
    path.write_bytes(b"")
    item = dataclasses.replace(item_of("v2m"), data=dataclasses.replace(data, path=broken))
    perform(context, item, progress=ignore)
    row = RowOutcome(row=OURS, items=[item], outcomes=[chain.lookup(context, item)])
    assert [note for note in row_notes([row]) if "training clips" in note] == [
        "Ours: 1 of 21 training clips could not be used, such as those with a damaged video."
    ]


def test_a_part_of_which_all_clips_failed_does_not_hide_the_others(tmp_path):
    made = {
        ("a", "b"): Prediction(np.ones((2, 4, 85), np.float32), failed={"b": "nobody"}),
        ("c",): Prediction(None, failed={"c": "nobody"}),
    }
    for folder, order in ((tmp_path / "x1", 1), (tmp_path / "x2", -1)):
        folder.mkdir()
        for number, (ids, part) in enumerate(list(made.items())[::order]):
            artifacts.write_predictions(artifacts.part_path(folder, number), ids, part)
        found = artifacts.read_predictions(folder, ["a", "b", "c"])
        assert found.failed == {"b": "nobody", "c": "nobody"}
        np.testing.assert_array_equal(found.channels[0], np.ones((4, 85)))
        assert found.channels.shape == (3, 4, 85)


def test_the_floor_knows_the_first_frame_and_nothing_else(data):
    clips = data.clips(data.test_ids)
    still = first_frame.StillMotion().predict(None, clips, device="cpu", seed=0).channels
    np.testing.assert_array_equal(still, clips.channels[:, :1].repeat(17, axis=1))
    made = first_frame.StillVideo().predict(None, clips, device="cpu", seed=0)
    videos = np.stack(list(made.videos))
    np.testing.assert_array_equal(videos[:, 5], transformers.first_pictures(clips)[0])
    assert made.channels is None


def test_the_regressor_learns_from_the_clips_of_the_store(data):
    ids = data.train_ids[2:4]
    store = ClipStore.open(data.path)
    examples = regressor_examples.examples_of(store, ids, 32)
    assert examples.pictures.shape == (2, 17, 32, 32, 3)
    assert examples.features.shape == (2, 17, 145)
    assert np.isfinite(examples.features).all()
    other = regressor_examples.examples_of(store, ids[::-1], 32)
    np.testing.assert_array_equal(other.pictures[::-1], examples.pictures)
    assert other.identity != examples.identity


def test_workers_do_not_wait_for_each_others_training(context, item_of):
    ours, twin = item_of("v2m"), item_of("i2vm")
    other = item_of("v2m", Row("alone", "unimo", {"tasks": ("v2m",)}))
    queue = _Queue([other, ours, twin], context)
    assert next(queue) == (twin, twin)
    assert next(queue) == (other, other)  # `ours` waits for the training of its twin
    assert next(queue) == (ours, ours)  # nothing else is left
    assert next(queue, None) is None


@pytest.mark.parametrize(
    ("method", "task", "variable"),
    [
        ("unimo", "v2m", "UNIMO_COSMOS"),
        ("cosmos", "i2vm", "UNIMO_COSMOS"),
        ("gvhmr", "v2m", "GVHMR"),
        ("phalp", "v2m", "PHALP"),
    ],
)
def test_what_needs_foreign_weights_says_which(method, task, variable, data, monkeypatch):
    for name in ("UNIMO_COSMOS", "UNIMO_COSMOS_TOKENIZER", "GVHMR_PYTHON", "PHALP_PYTHON"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Unavailable, match=variable) as refusal:
        make_item(Row("x", method), task, paper(), data, seed=0, metrics=())
    assert len(str(refusal.value).splitlines()) == 1


def test_a_store_without_videos_is_refused_for_a_video_task(clips_folder, tiny):
    with pytest.raises(UserError, match=r"have no video .*v2m needs"):
        Stores(tiny, data=[clips_folder]).find("v2m")


def test_a_store_of_another_size_is_refused(shots_folder, tiny):
    model = dataclasses.replace(tiny.unimo, latent_shape=(3, 8, 8))
    wide = dataclasses.replace(tiny, unimo=model)
    with pytest.raises(UserError, match=r"17 frames of 64x64 pixels.* take 17 of 128x128"):
        Stores(wide, data=[shots_folder]).find("i2vm")


def test_a_row_about_a_dataset_wants_its_own_store(shots_folder, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("benchmark.runs.data.FOLDER", tmp_path)
    stores = Stores(tiny, data=[shots_folder])
    with pytest.raises(Unavailable, match=r"datasets\.prepare threedpw"):
        stores.find("v2m", "threedpw")
    assert stores.find("v2m", "embedded_shots").path == shots_folder
    assert stores.find("v2m").path == shots_folder
