"""BVH: junk is refused in words, damage is marked, and memory is bounded."""

import dataclasses
import re

import numpy as np
import pytest

from datasets.adapters import bvh
from datasets.adapters.formats.bvh.bvh_file import read_bvh
from datasets.adapters.formats.bvh.joint_names import match
from tests.datasets.mini import bvh as mini
from tests.datasets.mini import reading


def convert(tmp_path, content):
    path = tmp_path / "take.bvh"
    path.write_text(content)
    return bvh.read(path).motion


GOOD = mini.take_of(mini.walk(4)).text()
LAST_ROW = GOOD.rstrip().rsplit("\n", 1)[1]
AFTER_FIRST = LAST_ROW[LAST_ROW.index(" ") :]
JUNK = {
    "empty": "",
    "binary": "\x00\xff\x00" * 50,
    "prose": "once upon a time",
    "no motion": GOOD.split("MOTION")[0],
    "only motion": "MOTION" + GOOD.split("MOTION")[1],
    "header cut": GOOD[: GOOD.index("JOINT")],
    "header cut, motion there": GOOD[:400] + "\nMOTION" + GOOD.split("MOTION")[1],
    "a row short": GOOD.replace(LAST_ROW, ""),
    "cut in a row": GOOD[:-40],
    "a row too many": GOOD + LAST_ROW,
    "no frames": GOOD[: GOOD.index("Frames:")] + "Frames: 0\nFrame Time: 0.033\n",
    "negative frames": GOOD.replace("Frames: 4", "Frames: -4"),
    "huge count": GOOD.replace("Frames: 4", "Frames: 99999999999999999999"),
    "no frame time": GOOD.replace("Frame Time:", "Rate:"),
    "zero frame time": GOOD.replace("Frame Time: 0.033333333", "Frame Time: 0"),
    "nan frame time": GOOD.replace("Frame Time: 0.033333333", "Frame Time: nan"),
    "frame time in milliseconds": GOOD.replace("Frame Time: 0.033333333", "Frame Time: 33.3"),
    "frame time of next to nothing": GOOD.replace("Frame Time: 0.033333333", "Frame Time: 1e-320"),
    "frame time of ages": GOOD.replace("Frame Time: 0.033333333", "Frame Time: 1e9"),
    "text frame time": GOOD.replace("Frame Time: 0.033333333", "Frame Time: soon"),
    "word value": GOOD.replace(LAST_ROW, "left" + AFTER_FIRST),
    "no finite row": GOOD[: GOOD.index("Frame Time:")]
    + f"Frame Time: 0.033\n{4 * ('nan' + AFTER_FIRST + chr(10))}",
    "more numbers than any recording": GOOD.replace("Frames: 4", "Frames: 999999999"),
    "a value of a megabyte": GOOD.replace(LAST_ROW, "1" * 2_000_000 + AFTER_FIRST),
    "many joints": GOOD.replace("}", "End Site { OFFSET 0 0 0 } " * 3000 + "}", 1),
    "nan offset": GOOD.replace("OFFSET 0.0", "OFFSET nan", 1),
    "short offset": GOOD.replace("OFFSET 0.000000000 0.000000000", "OFFSET 0.0", 1),
    "no offset": GOOD.replace("OFFSET 0.000000000 0.000000000 0.000000000", "", 1),
    "unknown channel": GOOD.replace("Zrotation", "Wrotation", 1),
    "same axis twice": GOOD.replace("Zrotation Xrotation", "Zrotation Zrotation"),
    "channel count": GOOD.replace("CHANNELS 3", "CHANNELS 30", 1),
    "channel word": GOOD.replace("CHANNELS 3", "CHANNELS three", 1),
    "frames of no channels": re.sub(r"CHANNELS .*", "CHANNELS 0", GOOD[: GOOD.index("Frames:")])
    + "Frames: 99999999999\nFrame Time: 0.033\n",
    "hips at one point": re.sub(
        r"(JOINT (?:Left|Right)UpLeg\s+{\s+OFFSET) [-.\d]+ [-.\d]+ [-.\d]+", r"\1 0 0 0", GOOD
    ),
    "two roots": GOOD.replace("JOINT LeftUpLeg", "ROOT LeftUpLeg"),
    "no root": GOOD.replace("ROOT", "JOINT"),
    "same name": GOOD.replace("JOINT RightUpLeg", "JOINT LeftUpLeg"),
    "brace missing": GOOD.replace("}", "", 1),
    "brace too many": GOOD.replace("}", "} }", 1),
    "everything at one point": "\n".join(
        "OFFSET 0 0 0" if line.strip().startswith("OFFSET") else line for line in GOOD.split("\n")
    ),
}


@pytest.mark.parametrize("name", JUNK)
@pytest.mark.filterwarnings("error")
def test_junk_is_skipped_with_a_reason_and_the_next_file_is_read(tmp_path, name):
    (tmp_path / "a.bvh").write_text(JUNK[name])
    (tmp_path / "b.bvh").write_text(GOOD)
    found, skipped = reading.read(bvh.DATASET, tmp_path)
    assert ([name for name, *_ in found], list(skipped)) == (["b"], ["a"])
    assert skipped["a"] and "\n" not in skipped["a"]


@pytest.mark.parametrize("seed", range(3))
def test_a_file_cut_anywhere_never_raises_anything_unexpected(tmp_path, seed):
    rng = np.random.default_rng(seed)
    for end in rng.integers(0, len(GOOD) - 20, 40):  # what lacks a digit only is still a file
        with pytest.raises(
            ValueError, match=r"BVH|hierarchy|promised|MOTION|OFFSET|joint|convert|channel"
        ):
            convert(tmp_path, GOOD[:end])


def test_a_deep_skeleton_is_no_problem(tmp_path):
    depth = 1900
    chain = "".join(f"JOINT j{i}\n{{ OFFSET 0 1 0 CHANNELS 0\n" for i in range(depth))
    content = f"HIERARCHY ROOT r {{ OFFSET 0 0 0 CHANNELS 1 Xrotation\n{chain}{'}' * (depth + 1)}\n"
    with pytest.raises(ValueError, match="unknown skeleton"):
        convert(tmp_path, content + "MOTION\nFrames: 1\nFrame Time: 0.1\n0\n")


@pytest.mark.parametrize("word", ["nan", "inf", "1e300"])
@pytest.mark.filterwarnings("error")
def test_a_row_that_is_not_finite_is_marked_and_holds_its_neighbour(tmp_path, word):
    path = tmp_path / "take.bvh"
    path.write_text(GOOD.replace(LAST_ROW, word + AFTER_FIRST))
    file = read_bvh(path, match)
    np.testing.assert_array_equal(file.valid, [True, True, True, False])
    np.testing.assert_array_equal(file.frames[3], file.frames[2])


def test_fingers_are_read_and_left(tmp_path):
    take, path = mini.take_of(mini.walk(4)), tmp_path / "take.bvh"
    path.write_text(take.text())
    plain = read_bvh(path, match)
    hand = take.names.index("LeftHand")
    fingers = dataclasses.replace(
        take,
        names=(*take.names, "Thumb", "Index"),
        parents=(*take.parents, hand, hand),
        offsets=np.concatenate([take.offsets, np.full((2, 3), 0.03)]),
        local=np.concatenate([take.local, take.local[:, :2]], axis=1),
    )
    path.write_text(fingers.text())
    found = read_bvh(path, match)
    assert found.skeleton.names.index("Thumb")
    np.testing.assert_array_equal(found.frames, plain.frames)
    np.testing.assert_array_equal(
        bvh.read(path).motion.to_channels(), convert(tmp_path, take.text()).to_channels()
    )


def test_decimal_commas_are_read(tmp_path):
    comma = convert(tmp_path, GOOD.replace(".", ","))
    np.testing.assert_array_equal(comma.to_channels(), convert(tmp_path, GOOD).to_channels())


def test_values_in_several_pieces_of_the_file_are_the_same(tmp_path, monkeypatch):
    long = mini.take_of(mini.walk(40)).text()
    whole = convert(tmp_path, long).to_channels()
    for size in (1, 7, 100):
        monkeypatch.setattr("datasets.adapters.formats.bvh.bvh_file._CHUNK", size)
        np.testing.assert_array_equal(convert(tmp_path, long).to_channels(), whole)


def test_a_joint_may_have_several_end_sites(tmp_path):
    end = "End Site { OFFSET 0 1 0 }"
    content = GOOD.replace("}", f"}} {end} {end}", 1)
    np.testing.assert_array_equal(
        convert(tmp_path, content).to_channels(), convert(tmp_path, GOOD).to_channels()
    )


def test_line_ends_marks_and_case_do_not_matter(tmp_path):
    plain = convert(tmp_path, GOOD)
    for content in (
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("rotation", "ROTATION"),
        GOOD.replace("\n", "\n\n").replace("\t", "   "),
        GOOD.replace("\n{", "{").replace("\n}", "}"),
    ):
        np.testing.assert_array_equal(convert(tmp_path, content).to_channels(), plain.to_channels())
