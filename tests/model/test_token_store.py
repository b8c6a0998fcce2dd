import random
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from datasets.adapters.embedded_shots import EmbeddedShots
from datasets.bodies.smplx import load_body
from datasets.motion import OTHER_SIDE, mirrored_channels
from datasets.prepare.prepare_store import prepare
from datasets.store.reader import ClipStore
from datasets.video.files import read_video, write_video
from model import token_store
from model.token_store import TokenStoreError, join, tokenise
from model.tokenizer import MotionTokenizer, TokenizerConfig
from model.video_tokens.fitted.linear import LinearCodec
from tests.damage import cut as cut_bytes
from tests.damage import flip_bit

PART = 4  # clips of a part, for more than one


class Counting(LinearCodec):
    """Counts the clips that it is given, and may be killed at one."""

    def __init__(self, killed_at: int = 10**9):
        self.clips, self.killed_at = 0, killed_at

    def encode(self, frames):
        self.clips += len(frames)
        if self.clips >= self.killed_at:
            raise KeyboardInterrupt
        return super().encode(frames)


class OtherVersion(LinearCodec):
    def identity(self):
        return {**super().identity(), "version": "2"}


def make_tokenizer(channels: np.ndarray, seed: int = 0) -> MotionTokenizer:
    """One with codes and statistics, which a fresh one has not."""
    torch.manual_seed(seed)
    config = TokenizerConfig(
        tokens_per_frame=4, strides=(4,), width=8, code_dim=4, depth=1, codebook_size=16
    )
    model = MotionTokenizer(config).train()
    prepared = model.prepare(channels)
    model.fit_statistics(prepared, prepared.shape[1])
    model(model.representation(prepared), generator=torch.Generator().manual_seed(seed))
    return model.eval()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "shots"
    shots = EmbeddedShots(num_train=1, num_test=1)
    prepare(shots, None, path, num_frames=17, video_size=64, progress=False)
    return ClipStore.open(path)


@pytest.fixture(scope="module")
def tokenizer(store):
    return make_tokenizer(store.channels(store.clip_ids))


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(token_store, "PART_SIZE", PART)


@pytest.fixture
def own_store(store, tmp_path):
    """A copy whose videos a test may break."""
    return ClipStore.open(shutil.copytree(store.path, tmp_path / "own"))


def run(store, tokenizer, cache, codec=None, ids=None):
    ids = store.clip_ids if ids is None else ids
    return tokenise(store, ids, codec or LinearCodec(), tokenizer, cache, progress=False)


def content(cache) -> dict[str, bytes]:
    return {str(p.relative_to(cache)): p.read_bytes() for p in cache.rglob("*") if p.is_file()}


def video_of(store, name):
    return store[name].video


def test_tokens_are_those_of_codec_and_tokenizer(store, tokenizer, tmp_path):
    ids = store.clip_ids[::-1]
    tokens = run(store, tokenizer, tmp_path, ids=ids)
    assert tokens.ids == tuple(ids) and tokens.skipped == ()
    assert tokens.visual.shape == (len(ids), 3, 4, 4) and tokens.visual.dtype == np.int32
    assert tokens.motion.shape == (len(ids), 17 * 4) and tokens.motion.dtype == np.int32
    videos = np.stack([read_video(video_of(store, name)) for name in ids])
    np.testing.assert_array_equal(tokens.visual, LinearCodec().encode(videos))
    np.testing.assert_array_equal(
        tokens.motion, tokenizer.encode_channels(store.channels(list(ids)))
    )
    assert len(np.unique(tokens.visual)) > 16 and len(np.unique(tokens.motion)) > 4


def test_what_is_in_the_cache_is_not_encoded_again(store, tokenizer, tmp_path, monkeypatch):
    codec = Counting()
    first = run(store, tokenizer, tmp_path, codec)
    assert codec.clips == len(store)
    files = content(tmp_path)
    monkeypatch.setattr(token_store, "read_frames", None)
    again = run(store, tokenizer, tmp_path, codec)
    assert codec.clips == len(store) and content(tmp_path) == files
    assert (again.ids, again.skipped, again.sha256) == (first.ids, first.skipped, first.sha256)
    np.testing.assert_array_equal(again.visual, first.visual)
    np.testing.assert_array_equal(again.motion, first.motion)


def test_the_cache_knows_clips_codec_and_weights_by_content(store, tokenizer, own_store, tmp_path):
    cache = tmp_path / "cache"
    ids = store.clip_ids
    other_weights = make_tokenizer(store.channels(ids), seed=1)
    found = [
        run(store, tokenizer, cache),
        run(store, tokenizer, cache, ids=ids[:-1]),
        run(store, tokenizer, cache, ids=ids[::-1]),
        run(store, other_weights, cache),
        run(store, tokenizer, cache, OtherVersion()),
    ]
    assert len({tokens.sha256 for tokens in found}) == len(found)
    assert len(list(cache.iterdir())) == len(found)
    # The same content elsewhere is the same.
    assert run(own_store, tokenizer, cache).sha256 == found[0].sha256
    assert len(list(cache.iterdir())) == len(found)


def test_another_store_has_other_tokens(store, tokenizer, tmp_path):
    shots = EmbeddedShots(num_train=0, num_test=1)
    prepare(shots, None, tmp_path / "test", num_frames=17, video_size=64, progress=False)
    test_only = ClipStore.open(tmp_path / "test")
    ids = test_only.clip_ids
    cache = tmp_path / "cache"
    alone, among_others = (run(s, tokenizer, cache, ids=ids) for s in (test_only, store))
    assert alone.sha256 != among_others.sha256 and len(list(cache.iterdir())) == 2
    np.testing.assert_array_equal(alone.motion, among_others.motion)


def test_who_is_killed_goes_on_and_ends_in_the_same_bytes(store, tokenizer, tmp_path):
    whole = run(store, tokenizer, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(store, tokenizer, tmp_path / "cut", Counting(killed_at=2 * PART + 1))
    (folder,) = (tmp_path / "cut").iterdir()
    parts = sorted(file.name for file in folder.iterdir())
    assert parts == ["lock", "tokens-00000.parquet", "tokens-00001.parquet"]
    (folder / "tokens-00002.parquet.tmp").write_bytes(b"what a kill in the middle of it leaves")
    codec = Counting()
    assert run(store, tokenizer, tmp_path / "cut", codec).sha256 == whole.sha256
    assert codec.clips == len(store) - 2 * PART
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def damage_middle(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 0xFF
    file.write_bytes(data)


def cut(file):
    file.write_bytes(file.read_bytes()[:-40])


def foreign(file):
    table = pq.read_table(file)
    pq.write_table(table.replace_schema_metadata({b"key": b"of others"}), file)


def other_clips(file):
    shutil.copy(file.with_name("tokens-00000.parquet"), file)


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("spoil", [damage_middle, cut, foreign, other_clips])
def test_a_part_that_is_damaged_or_foreign_is_made_again(
    store, tokenizer, tmp_path, spoil, finished
):
    first = run(store, tokenizer, tmp_path)
    files = content(tmp_path)
    (folder,) = tmp_path.iterdir()
    spoil(folder / "tokens-00001.parquet")
    if not finished:
        (folder / "tokens.json").unlink()
    codec = Counting()
    assert run(store, tokenizer, tmp_path, codec).sha256 == first.sha256
    assert codec.clips == PART and content(tmp_path) == files


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tokens-00001.parquet", "tokens.json"])
@pytest.mark.parametrize("damage", [flip_bit, cut_bytes])
def test_damage_never_changes_tokens(store, tokenizer, tmp_path, capsys, name, damage):
    first = run(store, tokenizer, tmp_path)
    files, rng = content(tmp_path), random.Random(0)
    (folder,) = tmp_path.iterdir()
    whole = (folder / name).read_bytes()
    for _ in range(60):
        (folder / name).write_bytes(whole)
        done = damage(folder / name, rng)
        assert run(store, tokenizer, tmp_path).sha256 == first.sha256, done
        said = f"{folder / name} is damaged or not of these clips: made again" in (
            capsys.readouterr().err
        )
        if name.endswith(".parquet"):
            assert said and content(tmp_path) == files, done


def test_clips_that_cannot_be_used_are_skipped_with_the_reason(own_store, tokenizer, tmp_path):
    ids = own_store.clip_ids
    broken, missing, short, large, changed = ids[1:6]
    intact = video_of(own_store, broken).read_bytes()
    video_of(own_store, broken).write_bytes(intact[: len(intact) // 3])
    video_of(own_store, missing).unlink()
    frames = read_video(video_of(own_store, short))
    write_video(video_of(own_store, short), frames[:9], fps=30)
    write_video(video_of(own_store, large), frames.repeat(2, axis=1), fps=30)
    shutil.copy(video_of(own_store, ids[0]), video_of(own_store, changed))
    tokens = run(own_store, tokenizer, tmp_path / "cache")
    reasons = dict(tokens.skipped)
    assert list(reasons) == [broken, missing, short, large, changed]
    assert "cut short" in reasons[broken]
    assert "no such file" in reasons[missing]
    assert "(9, 64, 64), not (17, 64, 64)" in reasons[short]
    assert "(17, 128, 64), not (17, 64, 64)" in reasons[large]
    assert "not the one" in reasons[changed]
    assert str(tmp_path) not in "".join(reasons.values())
    assert tokens.ids == (ids[0], *ids[6:])
    kept = run(own_store, tokenizer, tmp_path / "kept", ids=list(tokens.ids))
    np.testing.assert_array_equal(tokens.visual, kept.visual)
    np.testing.assert_array_equal(tokens.motion, kept.motion)
    # Nothing is made again for those that still cannot be used, and those that can are taken.
    codec = Counting()
    assert run(own_store, tokenizer, tmp_path / "cache", codec).sha256 == tokens.sha256
    assert codec.clips == 0
    video_of(own_store, broken).write_bytes(intact)
    repaired = run(own_store, tokenizer, tmp_path / "cache", codec)
    assert broken in repaired.ids and len(repaired.skipped) == 4


def test_where_no_clip_can_be_used_the_error_says_why(own_store, tokenizer, tmp_path):
    ids = own_store.clip_ids[:2]
    for name in ids:
        video_of(own_store, name).unlink()
    with pytest.raises(TokenStoreError, match=r"none of 2 clips .*: its video: no such file$"):
        run(own_store, tokenizer, tmp_path / "cache", ids=ids)
    with pytest.raises(KeyError):
        run(own_store, tokenizer, tmp_path / "cache", ids=["unknown"])


def test_clips_need_videos_and_a_length_that_the_codec_takes(tokenizer, tmp_path):
    shots = EmbeddedShots(num_train=1, num_test=1)
    prepare(shots, None, tmp_path / "blind", num_frames=17, video_size=None, progress=False)
    with pytest.raises(TokenStoreError, match="has a video"):
        run(ClipStore.open(tmp_path / "blind"), tokenizer, tmp_path / "cache")
    prepare(shots, None, tmp_path / "even", num_frames=16, video_size=64, limit=1, progress=False)
    with pytest.raises(ValueError, match="16"):
        run(ClipStore.open(tmp_path / "even"), tokenizer, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_mirrored_tokens_are_those_of_the_mirror_image(tmp_path):
    """The pelvis of the mirrored motion is seen at the mirrored place of the mirrored picture."""
    (shot, *_) = EmbeddedShots(1, 0, image_size=64).sequences()
    channels, view = shot.camera_motion.to_channels(), shot.view
    body = load_body()
    rest = body.rest_joints(channels[:, 66:76])[:, 0]
    image = mirrored_channels(channels, rest)
    seen, wanted = (view.project(body.joints(c).astype(np.float64)) for c in (image, channels))
    # The stand-in's own sides differ by millimetres.
    np.testing.assert_allclose(64 - seen[..., 0], wanted[:, OTHER_SIDE, 0], atol=0.4)
    np.testing.assert_allclose(seen[..., 1], wanted[:, OTHER_SIDE, 1], atol=0.4)
    np.testing.assert_allclose(mirrored_channels(image, rest), channels, atol=1e-6)


def test_mirrored_clips_have_tokens_of_their_own(store, tokenizer, tmp_path):
    ids = store.clip_ids[:3]
    plain = tokenise(store, ids, LinearCodec(), tokenizer, tmp_path, progress=False)
    image = tokenise(store, ids, LinearCodec(), tokenizer, tmp_path, mirrored=True, progress=False)
    frames = np.stack([read_video(store[name].video) for name in ids])
    flipped = np.ascontiguousarray(frames[:, :, :, ::-1, [1, 2, 0]])
    np.testing.assert_array_equal(image.visual, LinearCodec().encode(flipped))
    assert image.sha256 != plain.sha256 and not np.array_equal(image.motion, plain.motion)
    both = join([plain, image])
    assert both.ids == plain.ids + image.ids and len(both.visual) == 6
