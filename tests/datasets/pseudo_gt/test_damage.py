"""Shards and other files that `datasets.pseudo_gt` keeps, damaged: nothing is silently used."""

import random

import pytest

from datasets.pseudo_gt.input import tasks
from datasets.pseudo_gt.shards import TRIES, plan, read_rows
from datasets.pseudo_gt.worker import run_shard
from tests.damage import cut, flip_bit
from tests.datasets.pseudo_gt.pseudo_estimators import build_store, contents, estimate, scripted

COUNT = 4  # clips


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return build_store(tmp_path_factory.mktemp("source") / "in", COUNT)


def shard_run(source, estimator, work):
    task = next(tasks(source, plan(source.clip_ids, {}), work))
    with estimator.start("cpu") as session:
        return task.shard, run_shard(task, session=session, timeout=60)


@pytest.mark.parametrize("damage", [flip_bit, cut])
def test_every_damaged_shard_or_clip_counts_as_not_there(source, tmp_path, damage):
    shard, _ = shard_run(source, scripted(tmp_path / "log"), tmp_path)
    clip = shard.clip_file(tmp_path, 1, "ok")
    rng = random.Random(0)
    for file in (shard.file(tmp_path), clip):
        whole = file.read_bytes()
        assert read_rows(file, shard.key) is not None
        for _ in range(60):
            done = damage(file, rng)
            assert read_rows(file, shard.key) is None, done
            file.write_bytes(whole)
        assert read_rows(file, "of another job") is None


def test_a_damaged_clip_of_an_unfinished_shard_is_estimated_again_and_said(source, tmp_path, capfd):
    estimator = scripted(tmp_path / "log")
    shard, _ = shard_run(source, estimator, tmp_path)
    file = shard.file(tmp_path)
    before = file.read_bytes()
    file.unlink()
    damaged = shard.clip_file(tmp_path, 2, "ok")
    flip_bit(damaged, random.Random(1))
    shard_run(source, estimator, tmp_path)
    assert file.read_bytes() == before
    assert f"{damaged} is damaged: it is made again\n" in capfd.readouterr().err
    assert estimator.estimates() == {0: 1, 1: 1, 2: 2, 3: 1}


@pytest.mark.slow
def test_a_damaged_shard_is_made_again_by_the_same_command_and_said(source, tmp_path, capsys):
    estimator, out = scripted(tmp_path / "log", {1: "no_person"}), tmp_path / "out"
    estimate(source, estimator, out)
    whole = contents(out)
    (shard,) = (out / ".work" / "shards").iterdir()
    flip_bit(shard, random.Random(0))
    (out / "manifest.json").unlink()  # as if it had been killed at the end
    estimate(source, estimator, out)
    assert f"{shard} is damaged: it is made again\n" in capsys.readouterr().err
    assert contents(out) == whole
    # The status file of a finished store, too: its shards are whole.
    (out / "pseudo_gt.parquet").write_bytes(b"PAR1")
    estimate(source, estimator, out)
    line = f"{out / 'pseudo_gt.parquet'} is damaged: it is made again\n"
    assert line in capsys.readouterr().err
    assert contents(out) == whole
    assert estimator.estimates() == dict.fromkeys(range(COUNT), 2)


@pytest.mark.slow
@pytest.mark.parametrize("damage", [flip_bit, cut])
def test_damage_to_the_list_of_tries_blames_no_clip(source, tmp_path, damage):
    """Each clip was begun once: no damaged line may make it two deaths of one clip."""
    shard, _ = shard_run(source, scripted(tmp_path / "log"), tmp_path)
    tries, file = shard.scratch(tmp_path) / TRIES, shard.file(tmp_path)
    listed, before, rng = tries.read_bytes(), file.read_bytes(), random.Random(0)
    for _ in range(60):
        tries.write_bytes(listed)
        done = damage(tries, rng)
        for clip in shard.scratch(tmp_path).glob("*.ok"):
            clip.unlink()
        shard_run(source, scripted(tmp_path / "log"), tmp_path)
        assert file.read_bytes() == before, done
