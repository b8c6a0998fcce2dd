"""A user's trained systems fill the paper's rows; what is missing says how to train it."""

import dataclasses
import gc
import json
import weakref
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmark import discover
from benchmark.api.errors import Unavailable, UserError
from benchmark.api.table import Row
from benchmark.methods import systems
from benchmark.profiles import paper, smoke
from benchmark.runs import chain
from benchmark.runs.checkpoints import UserCheckpoint, user_checkpoints
from benchmark.runs.data import open_data, require_apart
from benchmark.runs.plan import plan
from benchmark.runs.stages import perform, trained_weights
from benchmark.runs.work_item import RunContext, make_item
from datasets.adapters.embedded import EmbeddedDataset
from datasets.bodies.smplx_file import find_body
from datasets.prepare.prepare_store import prepare
from datasets.store.reader import ClipStore
from datasets.tools.files import sha256_of
from model.generate.pipeline import Pipeline
from model.system import TrainedSystem

TABLE7, TABLE11 = (discover.load("tables", name) for name in ("table7", "table11"))
CODEC = {"name": "fitted"}


def trained(profile, *, unified=False, **training):
    """A sidecar of a transformer of a profile's size."""
    config = dataclasses.replace(profile.unimo, unified=unified).to_dict()
    facts = {"tasks": ["v2m", "i2vm"], "start": "random", "codec": CODEC, **training}
    return json.loads(json.dumps({"config": config, "training": facts}))


def checkpoint(name, sidecar):
    methods = dict.fromkeys(("v2m", "i2vm"), "unimo")
    return UserCheckpoint(path=Path(name), label=name, methods=methods, sidecar=sidecar)


class Found:
    """Stands for `Stores`: whatever is asked for is there."""

    def __init__(self, data):
        self.data, self.asked = data, []

    def find(self, task, dataset=""):
        self.asked.append((task, dataset))
        return dataclasses.replace(self.data, dataset=dataset)


@pytest.fixture(scope="module")
def found(shots_folder):
    return Found(open_data(shots_folder, task="v2m", limit=2))


def weights_of(table, found, profile, *checkpoints):
    """Label -> the path of its weights, and of what its training starts from."""
    planned = plan([table], profile, found, checkpoints=checkpoints)
    rows = [one.row for one in planned.rows[table.id] if not one.is_extra]
    return {
        row.label: tuple(path and str(path) for path in (row.weights, row.start)) for row in rows
    }


def test_each_ablation_finds_its_row(found):
    profile = smoke()
    both = checkpoint("both", trained(profile))
    alone = checkpoint("alone", trained(profile, tasks=["v2m"]))
    unified = checkpoint("unified", trained(profile, unified=True))
    assert weights_of(TABLE7, found, profile, alone, both, unified) == {
        "Only V2M": ("alone", None),
        "Uni-Embed.": ("unified", None),
        "Our": ("both", None),
    }


@pytest.mark.parametrize(
    "training",
    [
        {"tasks": ["i2v"]},
        {"start": "cosmos 0123"},
        {"codec": {"name": "cosmos-dv8x16x16"}},
        {"init": {"start": "random"}, "dataset": "threedpw"},
    ],
)
def test_a_system_that_is_none_of_the_paper_has_a_row_of_its_own(training, found):
    profile = smoke()
    other = checkpoint("other", trained(profile, **training))
    filled = weights_of(TABLE7, found, profile, other)
    assert filled == {
        **dict.fromkeys(("Only V2M", "Uni-Embed.", "Our"), (None, None)),
        "checkpoint other": ("other", None),
    }


def test_a_wider_system_and_a_second_one_have_rows_of_their_own(found):
    profile = smoke()
    first, second = (checkpoint(name, trained(profile)) for name in "ab")
    wider = checkpoint("wider", trained(discover.load("profiles", "embedded")))
    filled = weights_of(TABLE7, found, profile, first, second, wider)
    assert filled["Our"] == ("a", None)
    assert {"checkpoint b", "checkpoint wider"} <= filled.keys()


def test_table_11_trains_on_from_the_system_of_table_3(found):
    profile = smoke()
    general = checkpoint("general", trained(profile))
    tuned = trained(profile, start="system 01", init={"start": "random"}, dataset="rich")
    filled = weights_of(TABLE11, found, profile, general, checkpoint("tuned", tuned))
    assert filled["Our, 3DPW"] == (None, "general")
    assert filled["Our, RICH"] == ("tuned", None)
    # As it is, it is measured, too.
    assert filled["checkpoint general, threedpw"] == ("general", None)
    planned = plan([TABLE11], profile, found).rows["table11"]
    reasons = {one.row.label: one.absent for one in planned}
    assert "give that model with --checkpoint" in reasons["Our, 3DPW"]


def test_the_paper_profile_trains_nothing_and_says_how(found):
    found.asked.clear()
    planned = plan([TABLE7], paper(), found).rows["table7"]
    reasons = {one.row.label: one.absent for one in planned}
    assert "torchrun --nproc-per-node 8 -m model.transformer.train" in reasons["Only V2M"]
    assert (
        "--tasks v2m --data" in reasons["Only V2M"]
        and "GB on each of 8 GPUs; 97 hours" in reasons["Only V2M"]
    )
    assert "--unified" in reasons["Uni-Embed."]
    assert not found.asked  # nothing is rendered for floors that stand alone
    # With --train what is missing comes next: Cosmos's files.
    able = dataclasses.replace(paper(), trains=True)
    assert "UNIMO_COSMOS" in plan([TABLE7], able, found).rows["table7"][0].absent


def test_all_transformers_of_cosmos_build_on_the_tokenizer_of_table_1():
    task, row = systems.builds_on(Row("Our", "unimo"), paper())
    spec = discover.method("unimo", task).training_spec
    (ours,) = (row for row in discover.load("tables", "table1").rows if row.label == "Our")
    assert spec(row.params, paper(), seed=0) == spec(ours.params, paper(), seed=0)
    assert systems.builds_on(Row("Our", "unimo"), smoke()) is None


def test_a_system_trained_here_fills_its_row_and_is_freed(found, tiny, tmp_path, monkeypatch):
    context = RunContext(cache=tmp_path, body=find_body(), device="cpu")
    (ours,) = [one for one in plan([TABLE7], tiny, found).rows["table7"] if one.row.label == "Our"]
    (trained_here,) = ours.items
    weights = trained_weights(context, trained_here, progress=lambda *_: None)
    (given,) = user_checkpoints([weights.parent])
    rows = plan([TABLE7], tiny, found, checkpoints=[given]).rows["table7"]
    (item,) = next(one.items for one in rows if one.row.label == "Our")
    assert item.weights == weights and not [one for one in rows if "checkpoint" in one.row.label]
    # The same prediction, and so the same numbers.
    loaded = []
    load = Pipeline.load.__func__

    def remembered(cls, *args, **kwargs):
        pipeline = load(cls, *args, **kwargs)
        loaded.append(weakref.ref(pipeline.model))
        return pipeline

    monkeypatch.setattr(Pipeline, "load", classmethod(remembered))
    gc.disable()
    try:
        perform(context, item, progress=lambda *_: None)
        assert loaded and not any(model() for model in loaded)  # the next row has the memory
    finally:
        gc.enable()
    before, after = (chain.lookup(context, one).stages["predict"] for one in (trained_here, item))
    assert before.key == after.key
    system = TrainedSystem.open(weights.parent)
    assert system.tokenizer.parent == weights.parent == Path(system.codec).parent


def test_a_fine_tuned_row_goes_on_from_the_system_given(found, tiny, tmp_path):
    context = RunContext(cache=tmp_path / "runs", body=find_body(), device="cpu")

    def item_of(row):
        return make_item(row, "v2m", tiny, found.data, seed=0, metrics=())

    given = trained_weights(context, item_of(Row("Our", "unimo")), progress=lambda *_: None)
    before = TrainedSystem.open(given)
    row = Row("Our, 3DPW", "unimo", {"fine_tuned": True}, dataset="threedpw")
    weights = trained_weights(
        context, item_of(dataclasses.replace(row, start=given)), progress=lambda *_: None
    )
    after = TrainedSystem.open(weights)
    assert after.facts["init"]["sha256"] == before.sha256 != after.sha256
    assert after.facts["steps"] == tiny.fine_tuning.steps
    files = [sha256_of(system.tokenizer) for system in (before, after)]
    assert files[0] == files[1]
    # What it ends as depends on what it began as.
    keys = [
        chain.train_stage(context, item_of(dataclasses.replace(row, start=given)), one).key
        for one in ("0" * 64, "1" * 64)
    ]
    assert keys[0] != keys[1]
    with pytest.raises(Unavailable, match="--checkpoint"):
        item_of(row)


def test_training_and_test_stores_are_two_things(tmp_path, clips_folder):
    many = tmp_path / "many"
    prepare(EmbeddedDataset(2, 1), None, many, video_size=None, progress=False)
    data = open_data(clips_folder, train=[many])
    stores = [ClipStore.open(path) for path in (many, clips_folder)]
    assert data.train_ids == tuple(stores[0].ids("train"))
    assert data.test_ids == tuple(stores[1].ids("test"))
    assert data.inputs["data"] == stores[0].sha256 and data.test_inputs["data"] == stores[1].sha256
    for store, ids in zip(stores, (data.train_ids, data.test_ids), strict=True):
        np.testing.assert_array_equal(data.clips(ids).channels, store.channels(list(ids)))


def store_of(name, split, *groups):
    """Stands for a store with a clip of each group."""
    facts = {"split": split, "dataset": "d"}
    rows = [{"clip_id": f"{name}-{one}", "group": one, **facts} for one in groups]
    manifest = {"num_frames": 65}
    return ClipStore(Path(name), manifest, pa.Table.from_pylist(rows))


def test_a_take_that_is_tested_on_must_not_be_trained_on():
    test = store_of("test", "test", "a", "b")
    require_apart([store_of("more", "train", "c"), store_of("most", "test", "a")], test)
    with pytest.raises(UserError, match=r"1 takes are in the training clips of more .*first: d/b"):
        require_apart([store_of("more", "train", "b", "c")], test)
