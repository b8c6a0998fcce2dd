"""The baselines of tables 2 and 9: Cosmos as released, fine-tuned, and what stands for it."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark import discover
from benchmark.api.errors import NotApplicable
from benchmark.api.table import Column
from benchmark.methods import transformers
from benchmark.profiles import paper
from benchmark.results.cells import RowOutcome, make_cell
from benchmark.runs import artifacts, chain
from benchmark.runs import plan as plan_module
from benchmark.runs.checkpoints import UserCheckpoint
from benchmark.runs.plan import plan
from benchmark.runs.stages import perform, trained_weights
from benchmark.runs.work_item import make_item
from benchmark.tables.shared import BASELINE_FINE_TUNED
from datasets.video.files import read_video
from model.generate.released_cosmos import ReleasedCosmos
from model.video_tokens.cosmos.files import ENV_COSMOS, ENV_COSMOS_TOKENIZER
from model.video_tokens.cosmos.tokenizer import CosmosDV
from tests.benchmark.methods.mini_rows import BASELINE, SIZES, Found, ignore
from tests.model.cosmos_state import make, official

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


def item_of(row, profile, data, seed=0):
    return make_item(row, "i2vm", profile, data, seed=seed, metrics=("diversity",))


def test_the_baseline_is_cosmos_as_released_and_nothing_is_trained(cosmos, profile, data, context):
    item = item_of(BASELINE, profile, data)
    assert set(item.training_spec) == {"released", "model"} and item.base is None
    perform(context, item, progress=ignore)
    outcome = chain.lookup(context, item)
    trained = outcome.stages["train"].folder
    assert {path.name for path in trained.iterdir()} == {"cosmos.json", "inputs.json", "run.json"}
    codec = CosmosDV.load(cosmos)
    released = ReleasedCosmos.load(cosmos / "model.pt", codec, config=profile.unimo)
    clips = data.clips(data.test_ids)
    pictures, _ = transformers.first_pictures(clips)
    wanted = codec.decode(released.i2v(pictures, transformers.clip_seeds(clips.ids, 0)))
    found = artifacts.videos(outcome.stages["predict"].folder, len(clips.ids))
    for video, frames in zip(found, wanted, strict=True):
        assert np.abs(read_video(video).astype(int) - frames).mean() < 4  # of the compression
    assert len({frames[8:].tobytes() for frames in wanted}) == len(wanted)
    parameters = sum(tensor.numel() for tensor in official(make(**SIZES)).values())
    assert outcome.facts["params_m"] == parameters / 1e6
    assert {score.column for score in outcome.scores["diversity"]} >= {"fid", "div"}


def test_its_work_is_that_of_the_files_of_the_seed_and_of_the_test_clips_alone(
    cosmos, profile, data, context, tmp_path, monkeypatch
):
    item = item_of(BASELINE, profile, data)
    weights = trained_weights(context, item, progress=ignore)

    def key(item, folder=context):
        path = trained_weights(folder, item, progress=ignore)
        return chain.predict_stage(folder, item, item.weights_sha256(path)).key

    before = key(item)
    longer = dataclasses.replace(profile, unimo_training=profile.unimo_training.with_steps(7))
    assert key(item_of(BASELINE, longer, data)) == before
    assert key(item_of(BASELINE, profile, dataclasses.replace(data, train_ids=[]))) == before
    assert key(item_of(BASELINE, profile, data, seed=1)) != before
    other = tmp_path / "other"
    shutil.copytree(cosmos, other)
    torch.save({"model": official(make(seed=1, **SIZES))}, other / "model.pt")
    monkeypatch.setenv(ENV_COSMOS, str(other))
    assert key(item_of(BASELINE, profile, data)) != before
    with pytest.raises(ValueError, match="were replaced meanwhile"):
        item.implementation.predict(weights, data.clips(data.test_ids), device="cpu", seed=0)


def test_nothing_is_kept_of_it_after_its_stage(cosmos, profile, data, context):
    from benchmark.methods import cosmos as method

    item = item_of(BASELINE, profile, data)
    weights = trained_weights(context, item, progress=ignore)
    clips = data.clips(data.test_ids)
    item.implementation.predict(weights, clips, device="cpu", seed=0)
    assert method._released.cache_info().currsize == 1
    item.implementation.release()
    assert method._released.cache_info().currsize == 0


def test_without_a_released_model_a_transformer_stands_for_it_and_none_is_fine_tuned(tiny, data):
    spec = item_of(BASELINE, tiny, data).training_spec
    assert spec["start"] == "random" and spec["training"]["tasks"] == ["i2v"]
    with pytest.raises(NotApplicable, match="row Baseline is trained on these clips"):
        item_of(BASELINE_FINE_TUNED, tiny, data)
    reason = "there is none"
    row = RowOutcome(row=BASELINE_FINE_TUNED, items=[], outcomes=[], absent=reason, applies=False)
    cell = make_cell(row, Column("fid", "FID"), None)
    assert (cell.status, cell.reason) == ("not_applicable", reason)


@pytest.mark.parametrize("table", ["table2", "table9"])
def test_both_tables_have_both_rows(table, cosmos, profile, data):
    planned = plan([discover.load("tables", table)], profile, Found(data)).rows[table]
    rows = {one.row.label: one for one in planned}
    assert rows["Baseline"].items and not rows["Baseline"].is_extra
    tuned = rows["Baseline, fine-tuned"]
    assert tuned.is_extra and not tuned.items and tuned.applies
    assert "torchrun" in tuned.absent and "--tasks i2v" in tuned.absent


def test_a_system_trained_on_video_alone_fills_the_row_of_its_kind(profile, tiny):
    def use(row, profile, **training):
        facts = {"tasks": ["i2v"], **training}
        sidecar = json.loads(json.dumps({"config": profile.unimo.to_dict(), "training": facts}))
        return discover.method(row.method, "i2vm").use_of(sidecar, row, profile)

    tuned = {"start": "cosmos 01", "codec": {"name": "cosmos-dv8x16x16"}}
    assert use(BASELINE_FINE_TUNED, profile, **tuned) == "weights"
    assert use(BASELINE, profile, **tuned) == ""
    own = {"start": "random", "codec": {"name": "fitted"}}
    assert use(BASELINE, tiny, **own) == "weights"
    assert use(BASELINE_FINE_TUNED, profile, **own) == ""


def test_a_user_s_system_fills_its_row_also_where_no_other_can_be_measured(
    profile, data, monkeypatch
):
    for name in (ENV_COSMOS, ENV_COSMOS_TOKENIZER):
        monkeypatch.delenv(name, raising=False)
    facts = {"tasks": ["i2v"], "start": "cosmos 01", "codec": {"name": "cosmos-dv8x16x16"}}
    sidecar = json.loads(json.dumps({"config": profile.unimo.to_dict(), "training": facts}))
    given = UserCheckpoint(
        path=Path("mine"), label="mine", methods={"i2vm": "cosmos_fine_tuned"}, sidecar=sidecar
    )
    monkeypatch.setattr(plan_module, "make_item", lambda row, *_, **__: row)
    table = discover.load("tables", "table2")
    for checkpoints, filled in (((), None), ((given,), Path("mine"))):
        planned = plan([table], profile, Found(data), checkpoints=checkpoints).rows["table2"]
        rows = {one.row.label: one for one in planned}
        assert not rows["Baseline"].items and not rows["Ours"].items
        assert rows["Baseline, fine-tuned"].row.weights == filled
        assert bool(rows["Baseline, fine-tuned"].items) == bool(filled)


def test_its_files_are_asked_for_by_name(profile, data, monkeypatch):
    for name in (ENV_COSMOS, ENV_COSMOS_TOKENIZER):
        monkeypatch.delenv(name, raising=False)
    planned = plan([discover.load("tables", "table2")], paper(), Found(data)).rows["table2"]
    (baseline,) = [one for one in planned if one.row.label == "Baseline"]
    assert f"${ENV_COSMOS_TOKENIZER}" in baseline.absent and "torchrun" not in baseline.absent
