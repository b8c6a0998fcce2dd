import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import run
from benchmark.api.paths import ROOT
from benchmark.commands import doctor
from benchmark.commands.doctor import blocked, tools, weights
from benchmark.commands.doctor import data as doctor_data
from benchmark.commands.doctor.page import WIDTH, Group, render
from benchmark.runs import data, provenance
from datasets.estimators import gvhmr, phalp
from model.video_tokens import seedvr
from model.video_tokens.cosmos.files import DIFFUSION

VARIABLES = (
    "GVHMR_PYTHON GVHMR_CHECKPOINTS GVHMR_BODY_MODELS PHALP_PYTHON PHALP_HOME VBENCH_PYTHON "
    "COSMOS_PYTHON COSMOS_HOME SEEDVR_PYTHON SEEDVR_HOME VBENCH_CACHE_DIR UNIMO_BODY_MODEL "
    "UNIMO_SMPL UNIMO_COSMOS UNIMO_COSMOS_TOKENIZER"
)


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """A home folder, tools and data of the user's in which nothing is."""
    for name in VARIABLES.split():
        monkeypatch.delenv(name, raising=False)
    for name in ("home", "tools", "data"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("UNIMO_TOOLS", str(tmp_path / "tools"))
    monkeypatch.setattr(data, "FOLDER", tmp_path / "data")
    return tmp_path / "home"


def rows(groups):
    """Name -> state and text, of the rows of sections 3 and 4."""
    return {name: (state, text) for group in groups for state, name, text in group.rows}


def blocks(word):
    """Tables, profiles and what is blocked for a reason that holds `word`."""
    return [row for group in blocked.groups() if word in group.heading for row in group.rows]


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def pin(path, content):
    path.with_name(f"{path.name}.sha256").write_text(hashlib.sha256(content).hexdigest())


def test_doctor_tells_everything_and_fits_a_terminal(capsys, home):
    code = run.main(["doctor"])
    text = capsys.readouterr().out
    assert code == int("MISSING" in text)
    assert re.findall(r"^\d", text, re.MULTILINE) == list("12345")
    assert re.search(r"ok +packages +\d+ packages as pinned", text)
    assert "body model" in text and "sha256" in text
    assert "python -m benchmark.run setup vbench" in text
    assert re.search(r"(found|to make) +smoke, videos", text) and "finished" not in text
    assert "left out" not in text and str(home) not in text and "~/.cache/vbench" in text
    # A line is longer only where one word is.
    assert all(len(line) <= WIDTH or len(line.split()) == 1 for line in text.splitlines())


def test_packages_that_are_missing_or_others_are_told_one_by_one(capsys, monkeypatch):
    versions = {"scipy": None, "numpy": "0.1"}
    real = provenance.package_version
    monkeypatch.setattr(provenance, "package_version", lambda n: versions.get(n, real(n)))
    assert run.main(["doctor"]) == 1
    text = capsys.readouterr().out
    cure = r"pip install -r requirements/base\.txt"
    assert re.search(rf"MISSING +scipy +not installed: {cure}", text)
    assert re.search(rf"differs +numpy +0\.1; tested with [\d.]+: {cure}", text)
    assert "MISSING in section 1: 1. Nothing runs without" in text


def test_what_only_the_tests_need_blocks_nothing_else(capsys, monkeypatch):
    gone = ("pytest", "ruff", "joblib")
    real = provenance.package_version
    monkeypatch.setattr(provenance, "package_version", lambda n: None if n in gone else real(n))
    assert run.main(["doctor"]) == 0
    text = capsys.readouterr().out
    for name in gone:
        assert re.search(rf"missing +{name} +not installed, which blocks only the tests: pip", text)
    assert "MISSING" not in text


def test_a_missing_body_blocks_all(capsys, monkeypatch):
    monkeypatch.setenv("UNIMO_BODY_MODEL", "/nowhere")
    assert run.main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "MISSING  body model" in text
    assert re.search(r"all tables +all profiles +all rows", text)
    assert re.search(r"unknown +smoke, motion", text)


WITHOUT_TORCH = """
import sys
from importlib.machinery import PathFinder

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == "torch" else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
from benchmark.commands.doctor import examine
examine()
"""


def test_it_works_without_torch_and_does_not_import_it():
    found = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH], cwd=ROOT, capture_output=True, text=True
    )
    assert not found.stderr
    assert "What section 5 does not name" in found.stdout and "left out" not in found.stdout


def test_a_section_whose_package_is_missing_is_left_out_with_a_word(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "benchmark.commands.doctor.data", None)
    doctor.examine()
    text = capsys.readouterr().out
    assert "4. Data\n  left out: it needs the package benchmark.commands.doctor.data" in text
    assert "table3" in text


def test_columns_are_aligned_and_the_last_is_wrapped(home):
    text = "word " * 40 + f"{home}/file {home}-not"
    lines = render([Group("heading", [("a", "bb", "short"), ("long", "b", text)])]).splitlines()
    assert lines[:2] == ["  heading", "    a     bb  short"]
    assert lines[2].startswith("    long  b   word")
    assert all(line[:14].isspace() and line[14] != " " for line in lines[3:])
    assert " ".join(render([Group("", [(text,)])]).split()).endswith(f" ~/file {home}-not")
    assert max(map(len, lines)) <= WIDTH


def test_files_are_found_missing_or_wrong(home, monkeypatch):
    cache = home / ".cache" / "vbench"
    write(cache / "clip_model" / "ViT-B-32.pt", b"other")  # not of the published sha256
    pin(write(cache / "amt_model" / "amt-s.pth", b"one"), b"two")
    pin(write(cache / "raft_model" / "models" / "raft-things.pth", b"raft"), b"raft")
    write(cache / "aesthetic_model" / "emb_reader" / "sa_0_4_vit_l_14_linear.pth", b"any")
    (cache / "dino_model" / "dino_vitbase16_pretrain.pth").mkdir(parents=True)
    monkeypatch.setenv("GVHMR_CHECKPOINTS", str(home / "weights"))
    denoiser, *others = gvhmr.WEIGHTS
    write(home / "weights" / denoiser, b"")
    os.truncate(home / "weights" / denoiser, gvhmr.WEIGHTS[denoiser])
    write(home / "weights" / others[0], b"half")
    found = rows(weights.groups())
    assert found["clip_model/ViT-B-32.pt"][0] == "wrong"
    assert "github.com/openai/CLIP" in found["clip_model/ViT-B-32.pt"][1]
    assert found["clip_model/ViT-L-14.pt"][0] == "missing"
    assert found["amt_model/amt-s.pth"][0] == "wrong"
    raft = found["raft_model/models/raft-things.pth"]
    assert raft[0] == "found" and "as its .sha256 says" in raft[1]
    aesthetic = found["aesthetic_model/emb_reader/sa_0_4_vit_l_14_linear.pth"]
    assert aesthetic[0] == "found" and "not verified" in aesthetic[1]
    assert found["dino_model/dino_vitbase16_pretrain.pth"][0] == "missing"
    assert found[denoiser][0] == "found" and "size as published" in found[denoiser][1]
    assert found[others[0]][0] == "wrong" and "4 bytes instead of" in found[others[0]][1]
    assert found[others[1]] == ("missing", "2,549,075,546 bytes, from the page above")


def test_bodies_and_cosmos_are_looked_for_where_the_variables_say(home, monkeypatch):
    before = rows(weights.groups())
    for name in ("model.pt", "encoder.jit, decoder.jit", "SMPL_MALE", "SMPLX_NEUTRAL.npz"):
        assert before[name][0] == "missing" and "$UNIMO_" in before[name][1]
    write(home / "cosmos" / "model.pt", b"weights")
    write(home / "cosmos" / "encoder.jit", b"network")
    write(home / "cosmos" / "decoder.jit", b"network")
    write(home / "smpl" / "SMPL_MALE.pkl", b"body")
    body = write(home / "smplx" / "SMPLX_NEUTRAL.npz", b"not an archive")
    monkeypatch.setenv("UNIMO_COSMOS", str(home / "cosmos"))
    monkeypatch.setenv("UNIMO_COSMOS_TOKENIZER", str(home / "cosmos"))
    monkeypatch.setenv("UNIMO_SMPL", str(home / "smpl"))
    monkeypatch.setenv("UNIMO_BODY_MODEL", str(body))
    found = rows(weights.groups())
    assert found["model.pt"] == ("found", f"{home}/cosmos/model.pt, not verified")
    assert found["encoder.jit"] == ("found", f"{home}/cosmos/encoder.jit, not verified")
    assert found["SMPL_MALE"][0] == "found" and found["SMPL_FEMALE"][0] == "missing"
    assert found["SMPLX_NEUTRAL.npz"][0] == "wrong" and found["SMPLX_MALE.npz"][0] == "missing"


def test_the_diffusion_decoder_and_seedvr_are_looked_for_where_the_variables_say(home, monkeypatch):
    before = {name: (state, text) for group in tools.groups() for state, name, text in group.rows}
    for name in ("cosmos-predict1", "SeedVR"):
        assert before[name][0] == "absent"
    assert "$COSMOS_PYTHON" in before["cosmos-predict1"][1]
    assert "$SEEDVR_HOME" in before["SeedVR"][1] and "$SEEDVR_PYTHON" in before["SeedVR"][1]
    monkeypatch.setenv("COSMOS_HOME", str(home / "cosmos-predict1"))
    monkeypatch.setenv("SEEDVR_HOME", str(home / "SeedVR"))
    for name in ("COSMOS_PYTHON", "SEEDVR_PYTHON"):
        monkeypatch.setenv(name, sys.executable)
    write(DIFFUSION.folder(home / "cosmos-predict1") / "model.pt", b"weights")
    write(home / "SeedVR" / "pos_emb.pt", b"numbers")
    found = rows(weights.groups())
    assert found[f"{DIFFUSION.repo}/model.pt"][0] == "found"
    assert found[f"{DIFFUSION.repo}/aux_vars.pt"] == ("missing", "from huggingface.co/nvidia")
    assert found["pos_emb.pt"][0] == "found" and found["ckpts/ema_vae.pth"][0] == "missing"
    (row,) = [row for group in tools.groups() for row in group.rows if row[1] == "SeedVR"]
    assert row[0] == "absent" and "lacks" in row[2]
    for name in seedvr._FILES:
        write(home / "SeedVR" / name, b"any")
    (row,) = [row for group in tools.groups() for row in group.rows if row[1] == "SeedVR"]
    assert row[0] == "installed" and str(home / "SeedVR") in row[2]


def test_stores_are_counted_and_damaged_ones_told(tmp_path, clips_folder):
    folder = tmp_path / "data"
    shutil.copytree(clips_folder, folder / "threedpw")
    shutil.copytree(clips_folder, folder / "rich")
    (folder / "rich" / "motion.parquet").write_bytes(b"half")
    write(folder / "bedlam" / "manifest.json", b'{"schema_version": [')
    write(folder / "human4dit", b"a file")
    found = rows(doctor_data.groups())
    assert found["threedpw"] == ("found", f"{folder}/threedpw: 10 clips (6 train, 4 test)")
    for name in ("rich", "bedlam", "human4dit"):
        assert found[name][0] == "wrong" and f"datasets.prepare {name} --root" in found[name][1]
    page, command = found["dna_rendering"][1].splitlines()
    assert found["dna_rendering"][0] == "missing" and page == "https://dna-rendering.github.io/"
    assert command.startswith("python -m datasets.prepare dna_rendering --root FOLDER --out ")


def test_licence_pages_are_those_of_the_documentation():
    text = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    for name, link in doctor_data.PAGES.items():
        assert re.search(rf"^\| `{name}` \| \[[^]]+\]\({re.escape(link)}\)", text, re.MULTILINE)


def test_rows_are_blocked_until_the_tool_is_there(home, monkeypatch):
    assert blocks("install 4D-Humans") == [
        ("table3, table10", "both profiles", "rows 4DHuman"),
        ("table11", "both profiles", "rows 4DHuman, 3DPW; 4DHuman, RICH"),
    ]
    monkeypatch.setenv("PHALP_PYTHON", sys.executable)
    monkeypatch.setenv("PHALP_HOME", str(home))
    write(home / "track.py", b"")
    assert ("table3, table10", "both profiles", "rows 4DHuman") in blocks("phalp cannot run")
    write(home / Path(phalp._CHECKPOINT), b"weights")
    assert not [row for row in blocks("4D-Humans") if "4DHuman" in row[2]]


def test_missing_tools_block_columns_and_missing_weights_the_paper_profile():
    assert blocks("setup vbench") == [
        ("table2, table8", "both profiles", "columns App., Mot."),
        ("table9", "both profiles", "all rows"),
    ]
    assert ("table3, table10", "only paper", "rows Our") in blocks("$UNIMO_COSMOS_TOKENIZER")
    seen = ("table2, table8", "only paper", "what an estimator sees in generated videos")
    assert seen in blocks("gvhmr is not installed")


def test_rows_of_a_dataset_are_blocked_until_its_store_is_there(tmp_path, shots_folder):
    all_rows = "rows 4DHuman, 3DPW; GVHMR, 3DPW; Our, 3DPW"
    assert blocks("no store of threedpw") == [("table11", "both profiles", all_rows)]
    shutil.copytree(shots_folder, tmp_path / "data" / "threedpw")
    assert not blocks("no store of threedpw")
    # It holds small pictures, which the models of the paper's size do not take.
    assert blocks("the models of profile paper take") == [("table11", "only paper", all_rows)]


def test_damaged_files_of_a_tool_are_a_reason(home, monkeypatch):
    (home / "gvhmr").mkdir()  # a folder where a program is meant
    monkeypatch.setenv("GVHMR_PYTHON", str(home / "gvhmr"))
    assert ("table3, table10", "both profiles", "rows GVHMR") in blocks("not a Python interpreter")
    monkeypatch.setenv("PHALP_PYTHON", sys.executable)
    monkeypatch.setenv("PHALP_HOME", str(home))
    write(home / "track.py", b"").with_name("track.py.sha256").write_bytes(b"\xff\xfe")
    write(home / Path(phalp._CHECKPOINT), b"weights")
    assert ("table3, table10", "both profiles", "rows 4DHuman") in blocks("not what")


def test_a_damaged_store_blocks_its_rows_and_nothing_else(tmp_path):
    write(tmp_path / "data" / "rich" / "manifest.json", b"[]")
    rich = "rows 4DHuman, RICH; GVHMR, RICH; Our, RICH"
    assert blocks(str(tmp_path / "data" / "rich")) == [("table11", "both profiles", rich)]


def test_reasons_made_of_others_are_told_as_these():
    missing = {"a": "no a; cure", "b": "no b; cure", "ab": "no a; no b; cure", "c": "no c; no a"}
    assert blocked.taken_apart(missing, "ab") == ["no a; cure", "no b; cure"]
    assert blocked.taken_apart(missing, "a") == ["no a; cure"]
    assert blocked.taken_apart(missing, "c") == ["no c; no a"]
