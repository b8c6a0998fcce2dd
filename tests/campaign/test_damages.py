"""The campaign's judgement: what it calls detected, harmless and silently used."""

import random
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.campaign.damages import classify
from tests.campaign.edits import edit
from tests.campaign.home import Ran
from tests.damage import cut, flip_bit

WHOLE = b"[1, 2, 3]\n"


def ignores(file, result):
    result["out"] = file.read_bytes()
    return Ran(code=0, out="", err="3 clips\n")


def needs_the_beginning(file, result):
    result["out"] = file.read_bytes()[:1]
    return Ran(code=0, out="", err="1 clips\n")


def refuses(file, result):
    if file.read_bytes() != WHOLE:
        return Ran(code=1, out="", err=f"error: {file} is damaged\n")
    return ignores(file, result)


def makes_again(file, result):
    file.write_bytes(WHOLE)
    return ignores(file, result)


def goes_without_and_says_so(file, result):
    if file.read_bytes() != WHOLE:
        result["out"] = b""
        return Ran(code=0, out="", err=f"{file} is damaged and left out\n")
    return ignores(file, result)


def dies(file, result):
    if file.read_bytes() != WHOLE:
        return Ran(code=1, out="", err="Traceback (most recent call last):\nValueError\n")
    return ignores(file, result)


@pytest.mark.parametrize(
    "reader, outcome",
    [
        (ignores, "silently used"),
        (needs_the_beginning, "harmless"),
        (refuses, "detected"),
        (makes_again, "detected"),
        (goes_without_and_says_so, "detected"),
        (dies, "traceback"),
    ],
)
def test_a_reader_is_judged_by_what_it_does_with_a_damaged_file(tmp_path, reader, outcome):
    file = tmp_path / "kept"
    file.write_bytes(WHOLE)
    wanted, found = {}, {}
    whole = reader(file, wanted)
    file.write_bytes(damaged := WHOLE[:-3])
    ran = reader(file, found)
    remade = file.read_bytes() != damaged
    assert classify(whole, wanted, ran, found, remade=remade) == outcome


@pytest.mark.parametrize("damage", [flip_bit, cut, edit])
def test_damage_changes_a_file_and_an_edit_leaves_it_valid(tmp_path, damage):
    rng = random.Random(0)
    table = pa.table({"id": ["a", "b"], "x": [[1.0, 2.0], [3.0, 4.0]], "n": [5, 6]})
    readers = {"a.parquet": pq.read_table, "a.npz": np.load, "a.csv": np.loadtxt, "a.mp4": open}
    for name, read in readers.items():
        file = tmp_path / "one" / name
        file.parent.mkdir(exist_ok=True)
        if name.endswith("parquet"):
            pq.write_table(table, file)
        elif name.endswith("npz"):
            np.savez(file, a=np.arange(5.0))
        else:
            file.write_text("1 2 3\n")
        (tmp_path / "two.mp4").write_text("another\n")
        whole = shutil.copy(file, tmp_path / "whole").read_bytes()
        for _ in range(10):
            damage(file, rng)
            assert file.read_bytes() != whole
            if damage is edit:
                read(file)
            file.write_bytes(whole)
