"""`python -m datasets.render`: a clip in, a video out, and never half a video."""

import dataclasses

import numpy as np
import pytest

from datasets.adapters import amass, bvh
from datasets.adapters.embedded import EmbeddedDataset
from datasets.bodies.smplx import load_body
from datasets.motion import Motion
from datasets.prepare.cut import cut
from datasets.render import COLOURS, load, main
from datasets.sequence import PersonSequence
from datasets.store.reader import ClipStore
from datasets.store.writer import ClipStoreWriter
from datasets.video.files import read_video, write_video
from datasets.video.pad_resize import PadResize
from tests.datasets.mini import bvh as mini_bvh

FRAMES, SIZE = 4, 96
SEQUENCE = EmbeddedDataset(num_frames=FRAMES, image_size=SIZE).sequence(1)


def make_store(path, sequence, *, video_frames=0, **changes):
    """A store of one clip, with a video of the sequence's own pictures if asked for."""
    with ClipStoreWriter(path, num_frames=FRAMES) as writer:
        (clip,) = cut(sequence, "test", FRAMES)
        if video_frames:
            video = path / "videos" / "clip.mp4"
            video.parent.mkdir()
            write_video(video, sequence.source.frames(range(video_frames)), fps=sequence.fps)
            clip = dataclasses.replace(clip, video=video, resize=PadResize(SIZE, SIZE, SIZE))
        writer.add(dataclasses.replace(clip, **changes))
        writer.close({"name": path.name})
    return path


@pytest.fixture(scope="module")
def with_video(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("a") / "store", SEQUENCE, video_frames=FRAMES)


@pytest.fixture(scope="module")
def without_video(tmp_path_factory):
    sequence = dataclasses.replace(SEQUENCE, source=None)
    return make_store(
        tmp_path_factory.mktemp("b") / "store",
        sequence,
        camera_motion=None,
        view=None,
        motion_source="an estimator",
    )


@pytest.fixture
def motion_file(tmp_path):
    motion, path = SEQUENCE.world_motion, tmp_path / "my take.npz"
    arrays = {name: getattr(motion, name) for name in ("body_pose", "global_orient", "transl")}
    np.savez(path, **arrays, betas=motion.betas, fps=motion.fps)
    return path


def run(*words):
    return main([str(word) for word in words])


def test_a_clip_is_drawn_over_its_video(with_video, tmp_path, capsys):
    (clip,) = ClipStore.open(with_video)
    out = tmp_path / "a film.mp4"
    assert run(with_video / clip.clip_id, "--out", out) == 0
    assert capsys.readouterr().out == f"{out}\n"
    film, before = read_video(out).astype(int), read_video(clip.video).astype(int)
    assert film.shape == (FRAMES, SIZE, SIZE, 3)
    apart = np.abs(film - before).max(axis=-1)
    channels = clip.camera_motion.to_channels()
    joints = clip.view.project(load_body().joints(channels))
    column, row = np.floor(np.moveaxis(joints, -1, 0)).astype(int)
    frame = np.arange(FRAMES)[:, None]
    assert (apart[frame, row, column] > 8).mean() > 0.8
    # Farther from the body than a block of the encoder, only what encoding twice does.
    outline = clip.view.project(load_body().vertices(channels))[..., 0]
    assert apart[:, :, : int(outline.min()) - 16].max() < 12
    assert apart[:, :, int(outline.max()) + 16 :].max() < 12
    # The body's colour, and beneath it the person's.
    moved = film[frame, row, column] - before[frame, row, column]
    toward = 255 * np.array(COLOURS[0]) - before[frame, row, column]
    assert (moved * toward).sum() > 0.4 * (toward**2).sum() ** 0.5 * (moved**2).sum() ** 0.5


def test_a_store_stands_for_its_first_clip(with_video, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(with_video) == 0
    (clip_id,) = ClipStore.open(with_video).clip_ids
    assert [path.name for path in tmp_path.iterdir()] == [clip_id.replace("/", "-") + ".mp4"]


def test_a_clip_of_a_long_name_has_a_film_of_a_shorter_one(tmp_path):
    clips = [dataclasses.replace(SEQUENCE, sequence=f"{'日本' * 30}\n{i}") for i in range(2)]
    scenes = [load(str(make_store(tmp_path / f"{i}", clip))) for i, clip in enumerate(clips)]
    assert len({scene.name for scene in scenes}) == 2
    for scene in scenes:
        (tmp_path / f"{scene.name}.mp4.tmp").touch()
        assert scene.caption.isprintable()


def test_a_motion_without_pictures_is_drawn_on_a_stage(without_video, motion_file, tmp_path):
    for word in (without_video, motion_file):
        out = tmp_path / "out.mp4"
        assert run(word, "--out", out) == 0
        film = read_video(out)
        assert film.shape == (FRAMES, 512, 512, 3)
        blue = film[..., 2].astype(int) - film[..., 0] > 60  # the shirt; the stage is grey
        assert 1000 < blue[0].sum() < 512 * 512 / 10


def test_a_motion_in_the_layout_of_amass_is_drawn_upright(tmp_path):
    amass.write(tmp_path / "take.npz", SEQUENCE.camera_motion)  # as model.generate does
    assert run(tmp_path / "take.npz", "--out", tmp_path / "out.mp4") == 0
    assert read_video(tmp_path / "out.mp4").shape == (FRAMES, 512, 512, 3)
    read, body = load(str(tmp_path / "take.npz")).motion, load_body()
    upright = SEQUENCE.camera_motion.to_channels()
    expected = body.joints(upright) * [1, -1, -1]
    np.testing.assert_allclose(body.joints(read.to_channels()), expected, atol=1e-4)
    assert read.fps == SEQUENCE.fps


def test_a_bvh_file_is_drawn_as_prepare_reads_it(tmp_path):
    path = tmp_path / "take.BVH"
    path.write_text(mini_bvh.take_of(mini_bvh.walk(6)).text())
    assert run(path, "--out", tmp_path / "out.mp4") == 0
    read = load(str(path)).motion
    np.testing.assert_array_equal(read.to_channels(), bvh.read(path).motion.to_channels())
    assert len(read_video(tmp_path / "out.mp4")) == 6


def test_a_world_motion_is_drawn_over_a_video_whose_camera_stands_in_the_world(tmp_path):
    store = make_store(tmp_path / "store", SEQUENCE, video_frames=FRAMES, camera_motion=None)
    scene = load(str(store))
    np.testing.assert_allclose(
        scene.motion.to_channels(), SEQUENCE.camera_motion.to_channels(), atol=1e-5
    )
    assert scene.video is not None


def test_two_motions_side_by_side(with_video, without_video, tmp_path):
    out = tmp_path / "out.mp4"
    assert run(with_video, "--against", without_video, "--out", out) == 0
    film = read_video(out)
    assert film.shape == (FRAMES, SIZE + 28, 2 * SIZE, 3)
    captions = film[:, :28].astype(int)
    assert captions.max() > 150 and np.median(captions) < 60  # light letters on a dark strip
    orange = film[..., 0].astype(int) - film[..., 2] > 60
    assert orange[:, :, SIZE:].sum() > 10 * FRAMES
    assert load(str(with_video)).caption.endswith(": labels")
    assert load(str(without_video)).caption.endswith(": an estimator")


def smpl():
    return PersonSequence(
        dataset="d",
        sequence="s",
        frame_ids=np.arange(FRAMES),
        valid=np.ones(FRAMES, bool),
        fps=30,
        world_motion=Motion(
            body_pose=np.zeros((FRAMES, 69)),
            global_orient=np.zeros((FRAMES, 3)),
            betas=np.zeros(10),
            transl=np.zeros((FRAMES, 3)),
            fps=30,
            body="smpl",
        ),
    )


def errors(capsys):
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1 and shown.err.startswith("error: ")
    return shown.err


@pytest.mark.parametrize("against", [False, True])
def test_what_cannot_be_drawn_is_one_line_and_no_file(with_video, tmp_path, capsys, against):
    smpl_store = make_store(tmp_path / "smpl", smpl())
    no_motion = make_store(
        tmp_path / "none", SEQUENCE, video_frames=FRAMES, camera_motion=None, world_motion=None
    )
    for name in ("text.npz", "tracked.pt", "text.bvh"):
        (tmp_path / name).write_text("no numbers")
    for word, why in (
        (smpl_store, "datasets.pseudo_gt"),
        (no_motion, "has no motion"),
        (with_video / "embedded/test/squot/0/0/000000", "nearest is embedded/test/"),
        (tmp_path / "nowhere", "no clip store"),
        (tmp_path / "text.npz", "text.npz"),
        (tmp_path / "missing.npz", "missing.npz"),
        (tmp_path / "tracked.pt", "tracked.pt: not a kind of motion file that is read"),
        (tmp_path / "text.bvh", "text.bvh: not a BVH file"),
    ):
        out = tmp_path / "out.mp4"
        words = (with_video, "--against", word) if against else (word,)
        assert run(*words, "--out", out) == 2
        assert why in errors(capsys)
        assert not list(tmp_path.glob("out*"))


def test_a_video_that_is_not_the_clips_is_refused(tmp_path, capsys):
    store = make_store(tmp_path / "short", SEQUENCE, video_frames=FRAMES - 1)
    assert run(store, "--out", tmp_path / "out.mp4") == 2
    assert "clip.mp4" in errors(capsys)
    (store / "videos" / "clip.mp4").write_bytes(b"torn")
    assert run(store, "--out", tmp_path / "out.mp4") == 2
    assert "clip.mp4" in errors(capsys)
    assert not list(tmp_path.glob("out*"))


def test_an_output_that_cannot_be_is_refused_before_the_work(with_video, tmp_path, capsys):
    for out in (tmp_path, tmp_path / "no folder" / "out.mp4", tmp_path / "out.avi"):
        assert run(with_video, "--out", out) == 2
        assert "--out" in errors(capsys)


def test_an_output_that_cannot_be_written_is_named(motion_file, tmp_path, capsys):
    out = tmp_path / f"{'x' * 250}.mp4"  # too long for the temporary file
    assert run(motion_file, "--out", out) == 1
    assert f"cannot write {out}: " in capsys.readouterr().err


def test_frame_rates_that_differ_do_not_go_side_by_side(with_video, motion_file, tmp_path, capsys):
    with np.load(motion_file) as arrays:
        np.savez(motion_file, **{**arrays, "fps": 25})
    out = tmp_path / "out.mp4"
    assert run(with_video, "--against", motion_file, "--out", out) == 2
    assert "30 and 25 frames per second" in errors(capsys)
    assert not out.exists()
