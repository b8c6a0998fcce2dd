"""What makes the videos of a row: Cosmos's diffusion decoder, then SeedVR, by their stand-ins."""

import dataclasses
import json
import sys

import numpy as np
import pytest

from benchmark import discover
from benchmark.api.table import Row
from benchmark.commands.rehearse.stand_ins import installations
from benchmark.methods import cosmos as method
from benchmark.runs import artifacts, chain
from benchmark.runs.plan import plan
from benchmark.runs.stages import perform
from benchmark.runs.work_item import make_item
from datasets.video.files import read_video
from model.video_tokens import seedvr
from model.video_tokens.cosmos import diffusion_decoder
from tests.benchmark.methods.mini_rows import BASELINE, Found, ignore
from tests.model.video_tokens import mini_seedvr
from tests.model.video_tokens.scripted_decoder import FAKE

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


@pytest.fixture
def decoder(tmp_path, monkeypatch):
    """An installation of cosmos-predict1, whose latents are as bright as the ids are large."""
    home = installations.build_decoder(tmp_path / "cosmos-predict1")
    script = tmp_path / "fake.py"
    full = 'os.path.exists(full := options["home"] + "/full") and not os.remove(full)'  # once
    fake = FAKE.replace("ids.max() > 90", full)
    fake = fake.replace("== 85", "< 0").replace("== 80", "< 0").replace("/ 100", "/ 4000")
    script.write_text(fake)
    monkeypatch.setattr(diffusion_decoder, "_SCRIPT", script)
    monkeypatch.setenv("COSMOS_HOME", str(home))
    monkeypatch.setenv("COSMOS_PYTHON", sys.executable)
    yield home
    method.METHOD["i2vm"].release()


@pytest.fixture
def item(cosmos, decoder, profile, data):
    diffusion = dataclasses.replace(profile, decoder="diffusion")
    item = make_item(BASELINE, "i2vm", diffusion, data, seed=0, metrics=())
    return dataclasses.replace(item, estimator=None)


def asked(home):
    return [json.loads(line) for line in (home / "log").read_text().splitlines()]


def test_the_diffusion_decoder_is_started_once_for_all_clips_of_a_row(
    item,
    decoder,
    context,
    data,
    profile,
    monkeypatch,
):
    monkeypatch.setattr(artifacts, "PART_SIZE", 1)
    perform(context, item, progress=ignore)
    # The stand-in's log begins anew with every start.
    assert len(asked(decoder)) == len(data.test_ids) == 2
    outcome = chain.lookup(context, item)
    for video in artifacts.videos(outcome.stages["predict"].folder, 2):
        frames = read_video(video)
        assert frames.shape == (17, 64, 64, 3) and frames.min() >= 120  # ids 0 are grey there
    own = make_item(BASELINE, "i2vm", profile, data, seed=0, metrics=())
    assert own.pixels == {} and item.pixels["decoder"] == "diffusion"
    assert own.identity != item.identity


def test_a_clip_at_which_it_crashes_is_no_result_and_does_not_stop_the_others(
    item,
    decoder,
    context,
):
    (decoder / "full").touch()
    with pytest.raises(RuntimeError, match=r"cosmos crashed on 1 of 2 clips.*too bright for me"):
        perform(context, item, progress=ignore)
    folder = chain.lookup(context, item).stages["predict"].folder
    left = artifacts.finished_clips(folder)
    assert left == {item.data.test_ids[1]}
    before = {path: path.read_bytes() for path in folder.glob("predictions-*.parquet")}
    method.METHOD["i2vm"].release()
    perform(context, item, progress=ignore)
    assert len(asked(decoder)) == 1
    assert all(path.read_bytes() == content for path, content in before.items())
    outcome = chain.lookup(context, item)
    assert not outcome.missing and not outcome.failed
    frames = [read_video(video) for video in artifacts.videos(folder, 2)]
    assert all(np.ptp(one.astype(int)) < 140 and one.min() >= 120 for one in frames)


@pytest.fixture
def restored(tmp_path, monkeypatch):
    tool = mini_seedvr.installation(tmp_path / "tool")
    monkeypatch.setenv(seedvr.ENV_HOME, str(tool.home))
    monkeypatch.setenv(seedvr.ENV_PYTHON, sys.executable)
    return tool


def after_seedvr(profile, data):
    row = dataclasses.replace(BASELINE, label="Baseline, after SeedVR", enhanced=True)
    item = make_item(row, "i2vm", profile, data, seed=5, metrics=())
    return dataclasses.replace(item, estimator=None)


def test_seedvr_is_loaded_once_and_its_row_stands_beside_the_row_without_it(
    cosmos,
    restored,
    profile,
    data,
    context,
):
    with_it = dataclasses.replace(profile, seedvr=True)
    rows = plan([discover.load("tables", "table9")], with_it, Found(data)).rows["table9"]
    labels = {one.row.label: one.row.enhanced for one in rows}
    assert labels["Baseline, after SeedVR"] and not labels["Baseline"]
    item = after_seedvr(profile, data)
    perform(context, item, progress=ignore)
    outcome = chain.lookup(context, item)
    loaded, *calls = mini_seedvr.said(restored)
    assert loaded.startswith("loaded") and len(calls) == 2
    assert {call.split(" [")[0] for call in calls} == {"5 64 64 1"}
    pairs = (artifacts.videos(outcome.stages[name].folder, 2) for name in ("predict", "enhance"))
    for before, after in zip(*pairs, strict=True):
        assert np.array_equal(read_video(before), read_video(after))  # the stand-in copies


def test_a_video_at_which_seedvr_crashes_is_tried_again(
    cosmos,
    restored,
    profile,
    data,
    context,
):
    program = restored.home / seedvr.PROGRAM
    text = program.read_text()
    crash = 'if sum("clip" in line for line in open("said.txt")) == 1: raise MemoryError("full")'
    program.write_text(text.replace("noise = random", f"{crash}\n        noise = random"))
    item = after_seedvr(profile, data)
    item = dataclasses.replace(item, enhancer=restored.identity())
    with pytest.raises(RuntimeError, match=r"SeedVR crashed on 1 of 2 clips.*MemoryError: full"):
        perform(context, item, progress=ignore)
    stage = chain.lookup(context, item).stages["enhance"]
    assert artifacts.finished_clips(stage.folder) == {data.test_ids[1]}
    (restored.home / "said.txt").write_text("a clip of before\n")
    perform(context, item, progress=ignore)
    assert len(mini_seedvr.said(restored)) == 3  # one line of before, loaded, one call
    assert not chain.lookup(context, item).missing


def test_a_row_without_a_codec_of_cosmos_has_no_other_decoder(tiny, data):
    item = make_item(Row("Ours", "unimo"), "i2vm", tiny, data, seed=0, metrics=())
    assert item.pixels == {}
