"""The command line that makes videos and motions: what it writes, and what it says of bad input."""

import json
import shutil
import signal
import weakref

import numpy as np
import pytest
from PIL import Image

from datasets.adapters import amass
from datasets.adapters.embedded_shots import LENS, EmbeddedShots
from datasets.bodies.smplx import load_body
from datasets.motion import Motion
from datasets.tools.files import owned
from datasets.video.files import read_video
from datasets.video.probe import probe
from model import assets
from model.generate.pictures import PictureError, camera, overlay, read_image
from model.generate.pipeline import Pipeline
from model.system import TrainedSystem
from model.tokenizer import MotionTokenizer
from model.training.sidecar import CheckpointError
from model.video_tokens.fitted.linear import LinearCodec
from tests.damage import rewrite_json
from tests.model.mini_unimo import make_tokenizer


def pipeline(folder):
    return Pipeline.load(TrainedSystem.open(folder / "unimo.safetensors"))


def test_an_image_becomes_a_video_a_motion_and_an_overlay(folder, run, tmp_path, capsys):
    assert run("i2vm", folder / "person.png", "--samples", 2, "--seed", 5) == 0
    captured = capsys.readouterr()
    out = tmp_path / "out"
    names = [f"person-seed{seed}{end}" for seed in (5, 6) for end in (".mp4", ".npz")]
    for name in names:
        assert (out / name).is_file() and str(out / name) in captured.out
    assert "pixels: " in captured.err
    assert read_video(out / "person-seed5.mp4").shape == (17, 64, 64, 3)
    assert probe(out / "person-seed5-overlay.mp4").num_frames == 17
    records = [json.loads((out / f"person-seed{seed}.json").read_text()) for seed in (5, 6)]
    assert [record["seed"] for record in records] == [5, 6]
    assert LinearCodec().decoder in records[0]["pixels"]
    first, second = (amass.read(out / f"person-seed{seed}.npz").motion for seed in (5, 6))
    assert len(first) == 17 and first.fps == 30
    assert np.abs(first.body_pose - second.body_pose).max() > 1e-3


def test_the_same_seed_gives_the_same_files_whatever_is_beside_it(folder, run, tmp_path):
    assert run("i2vm", folder / "person.png", "--seed", 6) == 0
    alone = {file.name: file.read_bytes() for file in (tmp_path / "out").glob("person.*")}
    assert run("i2vm", folder / "person.png", "--samples", 2, "--seed", 5) == 0
    for name, content in alone.items():
        if name.endswith(".mp4"):
            other = name.replace("person", "person-seed6")
            assert (tmp_path / "out" / other).read_bytes() == content
    found = pipeline(folder)
    images = np.stack([read_image(folder / "person.png")] * 3)
    first, _ = found.i2vm(images, [5, 6, 7])
    second, _ = found.i2vm(images[:2], [7, 5])
    np.testing.assert_array_equal(first[[2, 0]], second)


def test_what_was_stopped_has_no_json_and_what_is_complete_is_listed(
    folder, run, tmp_path, capsys, monkeypatch
):
    words = ("v2m", folder / "walk.mp4", "--samples", 2)
    assert run(*words) == 0
    out = tmp_path / "out"
    before = {path: path.read_bytes() for path in out.iterdir()}
    capsys.readouterr()
    drawn = []

    def overlay_and_stop(*args):
        drawn.append(args)
        if len(drawn) == 2:
            signal.raise_signal(signal.SIGINT)
        yield from overlay(*args)

    monkeypatch.setattr("model.generate.samples.overlay", overlay_and_stop)
    assert run(*words) == 130
    captured = capsys.readouterr()
    endings = (".npz", "-camera.npz", "-overlay.mp4", ".json")
    assert captured.out.split() == [str(out / f"walk-seed0{ending}") for ending in endings]
    assert captured.err == "stopped; files without their .json are incomplete\n"
    missing = {path.name for path in before if not path.exists()}
    assert missing == {"walk-seed1.json"}
    assert {path.name for path in out.iterdir()} <= {path.name for path in before}


def test_a_model_of_the_built_in_data_says_so_once(folder, own_unimo, run, tmp_path, capsys):
    checkpoint, sidecar = own_unimo
    training = sidecar["extra"]["training"]
    v2m, i2vm = ("v2m", folder / "walk.mp4"), ("i2vm", folder / "person.png")
    for task, extra, told in (
        (v2m, {"training": {**training, "dataset": "embedded_shots"}}, True),
        (i2vm, {"training": training, "made_by": assets.MADE_BY}, True),
        (v2m, {"training": {**training, "dataset": "bedlam"}}, False),
        (v2m, {"training": {**training, "dataset": ["nonsense"]}}, False),
        (i2vm, {"training": training}, False),
    ):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        rewrite_json(checkpoint.with_suffix(".json"), {**sidecar, "extra": extra})
        assert run(*task, "--samples", 2, "--checkpoint", checkpoint, "--no-overlay") == 0
        notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
        records = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("*.json")]
        assert len(records) == 2 and len(notes) == told
        if told:
            assert "built-in data, in pictures of 64 pixels" in notes[0]
        assert all(
            f"note: {record['note']}" in notes if told else "note" not in record
            for record in records
        )


def test_drawing_has_a_progress_bar(folder, run, capsys):
    assert run("v2m", folder / "walk.mp4", flags=()) == 0
    assert "overlay:   0%" in capsys.readouterr().err
    assert run("v2m", folder / "walk.mp4") == 0
    assert capsys.readouterr().err == ""


def test_nothing_is_overwritten_unless_asked_and_that_is_said_before_any_work(
    folder, run, tmp_path, capsys
):
    words = ("v2m", folder / "walk.mp4", "--no-overlay")
    assert run(*words, flags=["--quiet"]) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert sorted(path.name for path in before) == ["walk-camera.npz", "walk.json", "walk.npz"]
    capsys.readouterr()
    # Refused before the checkpoint is read.
    assert run(*words, "--checkpoint", "none.safetensors", flags=["--quiet"]) == 1
    assert capsys.readouterr().err == (
        f"error: {tmp_path / 'out' / 'walk.npz'} is there already: name another folder with --out, "
        "or give --overwrite\n"
    )
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert run(*words) == 0


def test_two_calls_in_one_folder_have_one_owner(folder, run, tmp_path, capsys):
    with owned(tmp_path / "out", "generate"):
        assert run("v2m", folder / "walk.mp4") == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out" / "walk.npz").exists()


def test_motion_in_the_frame_of_the_camera_is_written_with_its_lens(folder, run, tmp_path):
    assert run("v2m", folder / "walk.mp4", "--no-overlay") == 0
    world = amass.read(tmp_path / "out" / "walk.npz").motion
    with np.load(tmp_path / "out" / "walk-camera.npz") as file:
        motion = Motion(
            **{name: file[name] for name in ("body_pose", "global_orient", "betas", "transl")},
            fps=float(file["fps"]),
            space=str(file["space"]),
        )
        np.testing.assert_allclose(file["K"], camera(64, 64, 1).K[0])
    joints = load_body().joints(motion.to_channels()) * [1, -1, -1]
    np.testing.assert_allclose(load_body().joints(world.to_channels()), joints, atol=1e-4)


def test_a_folder_that_cannot_be_written_is_named(folder, run, tmp_path, capsys):
    (tmp_path / "out").write_text("mine")
    assert run("v2m", folder / "walk.mp4") == 1
    line = f"error: {tmp_path / 'out'} cannot be written (File exists): name another folder with"
    assert capsys.readouterr().err == f"{line} --out\n"


def test_a_camera_space_motion_survives_the_way_through_amass(tmp_path):
    (shot, *_) = EmbeddedShots(1, 0).sequences()
    motion = shot.camera_motion
    amass.write(tmp_path / "motion.npz", motion)
    body = load_body()
    again = amass.read(tmp_path / "motion.npz").motion
    joints = body.joints(motion.to_channels()) * [1, -1, -1]  # y up, z towards the viewer
    np.testing.assert_allclose(body.joints(again.to_channels()), joints, atol=1e-4)
    with np.load(tmp_path / "motion.npz") as file:
        assert file["poses"].shape == (17, 165) and file["betas"].shape == (16,)
        assert str(file["surface_model_type"]) == "smplx" and str(file["gender"]) == "neutral"
    smpl = Motion(
        body_pose=np.zeros((2, 69)),
        global_orient=np.zeros((2, 3)),
        betas=np.zeros(10),
        transl=np.zeros((2, 3)),
        fps=30,
        body="smpl",
    )
    with pytest.raises(ValueError, match="not smpl"):
        amass.write(tmp_path / "smpl.npz", smpl)
    assert not (tmp_path / "smpl.npz").exists()


def test_the_overlay_lies_on_the_person():
    """SystemOutput through the lens of the shots, a shot's own labels cover its person."""
    (shot, *_) = EmbeddedShots(1, 0, image_size=128).sequences()
    assert camera(128, 128, 1).K[0, 0, 0] == pytest.approx(LENS * 128)
    frames = np.stack(list(shot.source.frames(range(0, 17, 8))))
    motion = shot.camera_motion[::8]
    for picture, frame in zip(overlay(frames, motion), frames, strict=True):
        before, after = np.split(picture.astype(float), 2, axis=1)
        drawn = np.abs(after - before).max(axis=-1) > 8
        background = np.asarray(Image.fromarray(frame[:, :1]).resize((256, 256)), float)
        person = np.abs(before - background).max(axis=-1) > 40
        assert (drawn & person).sum() > 0.9 * person.sum()
        assert 0.02 < drawn.mean() < 0.5


def test_pictures_of_any_kind_are_read_upright_in_colour(tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (6, 4, 3), np.uint8)
    grey = np.asarray(Image.fromarray(colours).convert("L"))
    Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(
        read_image(tmp_path / "grey.png"), np.repeat(grey[..., None], 3, 2)
    )
    Image.fromarray(np.dstack([colours, np.zeros((6, 4), np.uint8)])).save(tmp_path / "clear.png")
    assert read_image(tmp_path / "clear.png").max() == 0
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by the camera
    Image.fromarray(colours).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png"), np.rot90(colours, -1))


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"])
def test_what_is_not_a_picture_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(PictureError, match=r"x\.png is not a picture"):
        read_image(tmp_path / "x.png")


def test_one_bad_input_does_not_stop_the_others(folder, run, tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(b"no")
    words = [tmp_path / "broken.png", tmp_path / "none.png", folder / "person.png"]
    assert run("i2vm", *words) == 1
    captured = capsys.readouterr()
    assert captured.err.count("error: ") == 2 and "person.mp4" in captured.out
    (tmp_path / "broken.mp4").write_bytes(b"no")
    assert run("v2m", tmp_path / "broken.mp4", folder / "walk.mp4") == 1
    assert (tmp_path / "out" / "walk.npz").is_file()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--top-p", "0"], "top-p must be above 0"),
        (["--temperature", "-1"], "temperature must be 0 or above"),
        (["--decoder", "diffusion"], "reads Cosmos's tokens"),
        (["--checkpoint", "nowhere.safetensors"], "nowhere.safetensors is not there: give"),
        (["--codec", "nowhere.safetensors"], "there is no nowhere.json beside it"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(folder, run, capsys, words, says):
    assert run("i2vm", folder / "person.png", *words) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: ") and says in message and message.count("\n") == 1


def test_no_file_is_written_twice_and_no_input_is_written_over(folder, run, tmp_path, capsys):
    content = (folder / "person.png").read_bytes()
    pictures = [tmp_path / f"{name}.png" for name in ("a", "a-overlay", "b-overlay", "b")]
    for picture in pictures:
        picture.write_bytes(content)
    assert run("i2vm", *pictures) == 0
    written = capsys.readouterr().out.split()
    assert len(written) == len(set(written)) == 20
    out = tmp_path / "out"
    before = {path: path.read_bytes() for path in (out / "a.mp4", out / "a-overlay.mp4")}
    assert run("v2m", *before) == 1
    assert "a-overlay.mp4 is an input: name another folder" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before


def test_each_clip_wants_a_seed_of_its_own(folder):
    found = pipeline(folder)
    frames = np.zeros((3, 17, 64, 64, 3), np.uint8)
    for seeds in ([], [0], [0, 1, 2, 3]):
        with pytest.raises(ValueError, match=f"{len(seeds)} seeds for 3 clips"):
            found.v2m(frames, seeds)


def test_compiled_decoders_go_with_their_pipeline(folder, no_collector):
    """Each holds the model on its GPU, where there may be no room for two."""
    found = pipeline(folder)
    model, schedule = weakref.ref(found.model), found.schedules["v2m"]
    decoder = found._completion._decoder
    assert decoder(schedule, 2) is decoder(schedule, 2)
    del found, decoder
    assert model() is None


def test_parts_that_were_not_trained_together_are_refused(folder, tmp_path):
    tokenizer = MotionTokenizer.load(make_tokenizer(tmp_path))
    tokenizer.quantizer.codebook.add_(1)
    other = tokenizer.save(tmp_path / "other.safetensors")
    system = TrainedSystem.open(folder / "unimo.safetensors", tokenizer=other)
    with pytest.raises(CheckpointError, match="trained on other tokens"):
        Pipeline.load(system)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (None, "trained on other tokens"),
        ({}, "trained on other tokens"),
        ([], "not a sidecar"),
        ({"training": [1]}, "not a sidecar"),
    ],
)
def test_a_sidecar_that_says_nothing_of_tokens_is_refused(own_unimo, extra, message):
    checkpoint, sidecar = own_unimo
    sidecar.pop("extra")
    if extra is not None:
        sidecar["extra"] = extra
    rewrite_json(checkpoint.with_suffix(".json"), sidecar)
    with pytest.raises(CheckpointError, match=message):
        Pipeline.load(TrainedSystem.open(checkpoint, codec="linear"))


def test_pictures_of_another_size_are_refused(folder):
    found = pipeline(folder)
    with pytest.raises(ValueError, match=r"this model wants \(1, 64, 64\)"):
        found.i2vm(np.zeros((1, 32, 32, 3), np.uint8), [0])
    with pytest.raises(ValueError, match=r"must be \(T, H, W, 3\)"):
        found.i2vm(np.zeros((1, 64, 64, 4), np.uint8), [0])
    with pytest.raises(ValueError, match=r"this model wants \(17, 64, 64\)"):
        found.v2m(np.zeros((1, 9, 64, 64, 3), np.uint8), [0])
