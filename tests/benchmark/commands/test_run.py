import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark import discover, run
from benchmark.commands import arguments
from benchmark.runs import outcomes
from model import assets
from tests.benchmark.commands.comparing import EMPTY, without_workers

ROOT = Path(__file__).parents[3]
TOKENIZER, TRANSFORMER = assets.TOKENIZER, assets.UNIMO
HEAVY = ("torch", "numpy", "scipy", "pandas", "pyarrow", "matplotlib", "smplx")


def python(*arguments, **options):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


def table(folder, name="table1"):
    """A written result without what tells one run of the program from another."""
    result = json.loads((folder / f"{name}.json").read_text())
    del result["provenance"], result["own_sha256"]
    return result


@pytest.mark.parametrize("words", [["--help"], ["list"], ["show", "table5"]], ids=" ".join)
def test_answers_without_work_import_nothing_heavy(words):
    code = (
        "import sys\n"
        "from benchmark import run\n"
        f"try: run.main({words})\n"
        "except SystemExit: pass\n"
        f"print('HEAVY', [name for name in {HEAVY} if name in sys.modules])"
    )
    assert python("-c", code).stdout.splitlines()[-1] == "HEAVY []"


def test_list_and_show(capsys):
    assert run.main(["list", "tables"]) == 0
    listed = capsys.readouterr().out
    assert "table5" in listed and "table1" in listed
    assert run.main(["show", "table5"]) == 0
    shown = capsys.readouterr().out
    assert "136.6638" in shown and "Suspected misprint" in shown


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["tabel5"], "Did you mean table5?"),
        (["table5", "--profile", "smok"], "Did you mean smoke?"),
        (["table5", "--rows", "s=1/99*"], "matches no row"),
        (["table5", "--rows", ""], "matches no row"),
        (["table5", "--data", "/nowhere"], "no clip store at /nowhere"),
        (["table5", "--checkpoint", "/nowhere.safetensors"], "no such file"),
        (["table4", "--checkpoint", "/nowhere.safetensors"], "no such file"),
        (["table1", "--checkpoint", "/"], "/ is a folder"),
        (["all", "--checkpoint", "/nowhere.safetensors", "--dry-run"], "no such file"),
        (["table4", "--checkpoint", str(TOKENIZER)], "name one of table1, table5, table6, figure5"),
        (["figure7", "--checkpoint", str(TRANSFORMER)], "which figure7 does not show: name one of"),
        (["table1", "figure7", "--checkpoint", str(TRANSFORMER)], "table1, figure7 do not show"),
        (["table4", "--checkpoint", str(TOKENIZER)], "is a tokenizer (motion -> tokens -> motion)"),
        (["table3", "--checkpoint", str(TRANSFORMER), str(TOKENIZER)], "table3 does not show"),
        (["table5", "--checkpoint", str(TOKENIZER.parent)], "is a folder: give the .safetensors"),
        (["table5", "--body", "/nowhere"], "SMPLX_NEUTRAL.npz"),
        (["table5", "--body", __file__], "not an .npz file"),
        (["table5", "--out", "/dev/null/x"], "--out"),
        (["show", "table55"], "Did you mean table5?"),
        (["figur7"], "Did you mean figure7?"),
        (["tabel7"], "Did you mean table7?"),
        (["figure7", "table77"], "Did you mean table7?"),
        (["show", "figure77"], "Did you mean figure7?"),
        (["figure7", "--rows", "nobody"], "Rows: Only V2M, Our, Only I2VM"),
        (["figure5", "--data", "/nowhere"], "no clip store at /nowhere"),
        (["report", "--out", "/nowhere"], "holds no result"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_one_line_and_exit_2(words, says, capsys, tmp_path):
    out = [] if "--out" in words or words[0] == "show" else ["--out", str(tmp_path)]
    assert run.main([*words, *out]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and says in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("words", [["table5", "--steps", "0"], ["table5", "--nope"], ["list", "x"]])
def test_argument_mistakes_are_one_line_and_exit_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        run.main(words)
    assert stop.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_another_datasets_package_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").touch()
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n"
        "from benchmark import run\n"
        "sys.exit(run.main(['list']))"
    )
    done = python("-c", code)
    assert done.returncode == 2
    assert "finds another package" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_table_1_end_to_end_and_again_from_the_cache(clips_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(outcomes, "execute", without_workers)
    words = ("table1", "--profile", "smoke", "--data", clips_folder, "--rows", "Our")
    words = (*words, "--steps", 2, "--limit", 2, "--workers", 1, "--out", tmp_path)
    words = [str(word) for word in words]
    assert run.main(words) == 0
    folder = tmp_path / f"smoke-{clips_folder.name}-steps2-limit2-rows-Our"
    made = table(folder)
    assert capsys.readouterr().out.startswith("# table1: ")
    cells = {(cell["row"], cell["column"]): cell for cell in made["cells"]}
    ours = cells["Our", "mpjpe"]
    assert (ours["status"], ours["n"], ours["paper"]) == ("measured", 2, 8.6344)
    assert ("SOLAMI", "mpjpe") not in cells
    assert "left out by --rows: SOLAMI" in made["notes"]
    assert clips_folder.name in made["data"]
    written = {path.name for path in folder.iterdir()}
    assert {f"table1{kind}" for kind in (".csv", ".json", ".md", ".png", ".tex")} <= written
    assert "index.html" in written

    code = (
        "import sys\n"
        "from benchmark import run\n"
        f"code = run.main({words})\n"
        "print('torch' in sys.modules, code)"
    )
    again = python("-c", code)
    assert again.stdout.splitlines()[-1] == "False 0"
    assert table(folder) == made

    assert run.main([*words, "--strict"]) == 0  # the one row that was asked for is measured
    before = (folder / "table1.md").read_text()
    (folder / "table1.md").unlink()
    assert run.main(["report", "table1", "--out", str(tmp_path)]) == 0
    assert (folder / "table1.md").read_text() == before


def test_a_table_that_the_store_cannot_serve_does_not_stop_a_figure(clips_folder, tmp_path, capsys):
    words = ["--profile", "smoke", "--data", str(clips_folder), "--dry-run", "--out", str(tmp_path)]
    assert run.main(["table3", "table7", "figure4", "figure5", *words]) == 0
    found = capsys.readouterr()
    assert found.err.startswith("table3, table7, figure4 are left out: ") and "to do" in found.out
    assert len(found.err.splitlines()) == 1
    assert run.main(["table3", "figure4", *words]) == 2
    assert "error: " in capsys.readouterr().err


@pytest.mark.usefixtures("no_drawing")
def test_a_seed_named_twice_counts_once(clips_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(outcomes, "execute", without_workers)
    words = ["table1", "--profile", "smoke", "--data", str(clips_folder), "--steps", "1"]
    words += ["--limit", "2", "--rows", "Our", "--workers", "1", "--out", str(tmp_path)]
    folder = tmp_path / f"smoke-{clips_folder.name}-steps1-limit2-seeds0,1-rows-Our"
    assert run.main([*words, "--seeds", "0", "1", "0"]) == 0
    found = table(folder)
    assert run.main([*words, "--seeds", "0", "1"]) == 0
    assert found == table(folder)
    assert next(cell for cell in found["cells"] if cell["row"] == "Our")["std"] > 0


def test_examples_of_the_help_can_be_copied(capsys):
    with pytest.raises(SystemExit):
        run.main(["--help"])
    text = re.sub(r"\\\n +", "", capsys.readouterr().out)
    examples = re.findall(r"^  python -m benchmark\.run (.*?)(?:  .*)?$", text, re.MULTILINE)
    assert len(examples) == 7
    for line in examples:
        words = line.split()
        arguments.parser().parse_args(words if words[0] in arguments.VERBS else ["run", *words])


def test_strict_tells_that_a_cell_is_not_measured(tmp_path, capsys):
    words = ["table4", "--out", str(tmp_path)]
    assert run.main(words) == 0
    spec = discover.load("tables", "table4")
    measured = "unavailable" not in capsys.readouterr().out
    assert run.main([*words, "--strict"]) == (0 if measured else 3)
    assert (tmp_path / "embedded" / f"{spec.id}.md").exists()


@pytest.mark.slow
def test_all_tables_and_figures_in_the_smoke_profile(tmp_path):
    done = python("-m", "benchmark.run", "all", "--profile", "smoke", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "FAILED" not in done.stderr
    folder = tmp_path / "smoke"
    drawn = {
        path.stem: json.loads(path.read_text())["status"] for path in folder.glob("figure*.json")
    }
    licensed = {"figure13", "figure14"}  # 3DPW and RICH
    assert drawn == {
        f"figure{number}": "unavailable" if f"figure{number}" in licensed else "drawn"
        for number in range(3, 15)
    }
    assert len(list(folder.glob("table*.json"))) == 11
    page = (folder / "index.html").read_text()
    assert all(f"Table {number}" in page for number in range(1, 12))
    again = python("-m", "benchmark.run", "all", "--profile", "smoke", "--out", tmp_path)
    assert again.returncode == 0
    assert re.sub(r"\d+ of \d+ values are from the cache, .*\n\n", "", again.stdout) == done.stdout


@pytest.mark.slow
def test_a_failing_row_is_told_and_the_others_go_on(clips_folder, tmp_path):
    checkpoint = tmp_path / "broken.safetensors"
    checkpoint.write_bytes(EMPTY)
    checkpoint.with_suffix(".json").write_text('{"class": "SolamiTokenizer"}')
    words = ("table1", "--profile", "smoke", "--data", clips_folder, "--rows", "Our")
    words = (*words, "--steps", 2, "--checkpoint", checkpoint, "--out", tmp_path)
    done = python("-m", "benchmark.run", *words)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    cells = table(tmp_path / f"smoke-{clips_folder.name}-steps2-rows-Our-with-broken")["cells"]
    status = {(cell["row"], cell["column"]): cell["status"] for cell in cells}
    assert status["Our", "mpjpe"] == "measured"
    assert status["checkpoint broken", "mpjpe"] == "failed"


@pytest.mark.slow
def test_five_kills_at_random_moments_end_in_the_same_table(clips_folder, tmp_path):
    def words(out):
        return (
            *("-m", "benchmark.run", "table1", "--profile", "smoke", "--data", clips_folder),
            *("--steps", 150, "--out", tmp_path / out),
        )

    began = time.monotonic()
    assert python(*words("clean")).returncode == 0
    whole = time.monotonic() - began
    rng = random.Random(0)
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, *map(str, words("killed"))],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(rng.uniform(0.2, 0.9) * whole)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert python(*words("killed")).returncode == 0
    folder = f"smoke-{clips_folder.name}-steps150"
    assert table(tmp_path / "killed" / folder) == table(tmp_path / "clean" / folder)


@pytest.mark.slow
def test_ctrl_c_stops_cleanly(clips_folder, tmp_path):
    words = ("-m", "benchmark.run", "table1", "--profile", "smoke", "--data", clips_folder)
    process = subprocess.Popen(
        [sys.executable, *map(str, words), "--steps", "100000", "--out", str(tmp_path)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not list(tmp_path.glob("runs/train/*/inputs.json")):
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "the same command goes on" in errors
