"""The verb ``report``: renders results again, hostile and damaged ones among them."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from benchmark import run

REPORTS = Path(__file__).parents[3] / "reports"


@pytest.fixture
def out(tmp_path):
    """A folder with the committed JSON of two tables and a figure."""
    for name in ("table1", "table4", "figure7"):
        add(tmp_path, name)
    return tmp_path


def add(out, name):
    (out / "embedded").mkdir(exist_ok=True)
    path = out / "embedded" / f"{name}.json"
    value = json.loads((REPORTS / "embedded" / path.name).read_text())
    value.pop("own_sha256", None)  # tests edit it
    path.write_text(json.dumps(value))
    return path


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_one_bad_file_costs_only_itself(out, capsys):
    folder = out / "embedded"
    (folder / "cut.json").write_text('{"table": ')
    (folder / "deep.json").write_text("[" * 200_000)
    (folder / "list.json").write_text("[]")
    change(add(out, "table5"), table=r"x}\input{/etc/passwd}")
    assert run.main(["report", "--out", str(out)]) == 1
    said = capsys.readouterr()
    problems = said.err.splitlines()
    assert [line.partition(": ")[2].partition(": ")[0][-9:] for line in problems] == [
        "/cut.json", "deep.json", "list.json", "able5.json"[-9:],
    ]  # fmt: skip
    assert all(line.startswith("error: ") and "measure it again" in line for line in problems)
    assert {path.name for path in folder.glob("*.md")} == {"table1.md", "table4.md"}
    assert "/etc/passwd" not in "".join(path.read_text() for path in folder.glob("*.tex"))
    page = (folder / "index.html").read_text()
    assert "table1" in page and "Not shown: cut.json: is not JSON" in page
    shutil.rmtree(folder / "page", ignore_errors=True)
    (folder / "table1.json").unlink()
    assert run.main(["report", "table4", "--out", str(out)]) == 1


def test_what_is_whole_leaves_no_word(out, capsys):
    for folder in ("speed", "embedded"):
        (out / folder).mkdir(exist_ok=True)
        (out / folder / "model.json").write_text('{"class": "MotionTokenizer"}')  # no result
    assert run.main(["report", "--out", str(out)]) == 0
    assert not capsys.readouterr().err


def test_control_characters_and_formulas_reach_no_file_and_no_terminal(out, capsys):
    path = out / "embedded" / "table1.json"
    value = json.loads(path.read_text())
    label = "=HYPERLINK(1)\x1b]0;x\x07"
    for entry in (value["rows"][0], *value["cells"]):
        key = "label" if "label" in entry else "row"
        entry[key] = label if entry[key] in ("SOLAMI", label) else entry[key]
    value |= {"data": "-1+1|cmd", "title": "a\x1b[2Jb", "notes": ["\x9b31m"]}
    path.write_text(json.dumps(value))
    assert run.main(["report", "--out", str(out)]) == 0
    said = capsys.readouterr()
    texts = [said.out, said.err]
    for suffix in (".md", ".csv", ".tex", ".svg"):
        texts.append(path.with_suffix(suffix).read_text("utf-8"))
    texts.append((out / "embedded" / "index.html").read_text("utf-8"))
    assert not {"\x1b", "\x07", "\x9b"} & set("".join(texts))
    with path.with_suffix(".csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert lines[0]["row"].startswith("'=HYPERLINK(1)") and lines[0]["data"] == "'-1+1|cmd"
    assert float(lines[0]["value"]) > 0


@pytest.mark.usefixtures("no_drawing")
def test_latex_is_a_tabular_to_input_and_with_full_a_float(out):
    add(out, "table5")
    assert run.main(["report", "table5", "--out", str(out)]) == 0
    path = out / "embedded" / "table5.tex"
    text = path.read_text()
    commands = [line for line in text.splitlines() if not line.startswith("%")]
    assert commands[0].startswith(r"\resizebox{") and commands[1].startswith(r"\begin{tabular}")
    assert commands[-1] == r"\end{tabular}}"
    assert r"\caption" not in text and r"\begin{table}" not in text
    assert not re.search(r"\d \[\d", text)  # no intervals
    assert any(line.startswith("% 1. ") for line in text.splitlines())
    assert run.main(["report", "table5", "--full", "--out", str(out)]) == 0
    text = path.read_text()
    assert r"\begin{table}" in text and r"\caption{" in text and r"\par" in text


def test_six_hundred_rows_are_rendered(out):
    path = add(out, "table5")
    value = json.loads(path.read_text())
    row = value["rows"][0]
    value |= {"figure": None, "columns": value["columns"][:2]}
    keys = [column["key"] for column in value["columns"]]
    own = [c for c in value["cells"] if c["row"] == row["label"] and c["column"] in keys]
    value["rows"] = [row | {"label": f"row {number}"} for number in range(600)]
    value["cells"] = [cell | {"row": one["label"]} for one in value["rows"] for cell in own]
    path.write_text(json.dumps(value))
    assert run.main(["report", "table5", "--out", str(out)]) == 0
    assert path.with_suffix(".md").read_text().count("| row ") == 600
    assert path.with_suffix(".png").stat().st_size < 2_000_000
