"""The page of a profile: hostile names, complete tables, what is kept beside it and what is not."""

import dataclasses
import functools
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from benchmark import discover, report
from benchmark.data import Data
from benchmark.page.document import write_page
from benchmark.profiles import smoke
from benchmark.regenerate import Options, regenerate
from benchmark.spec import Column, Row, Score, TableSpec
from benchmark.stages import Outcome, Setup, Task
from benchmark.store import Run, read_json, write_json
from datasets.body_file import find_body
from datasets.video import read_video
from model.transformer.training import ARTrainingConfig

HOSTILE = (
    """<script>alert("1")</script>' onclick='x" onmouseover="y {{ 7 * 7 }} </td></table>&amp;#"""
)
LONG = "a name that goes on and on " * 40
VOID = {"meta", "img", "link", "br", "input", "hr"}

TABLE = TableSpec(
    id="tablex",
    title=f"A table {HOSTILE}",
    columns=(
        Column("mpjpe", "MPJPE", "mm", "lower", 2),
        Column("codebook_util_pct", "Use", "%", "higher", 1),
    ),
    rows=tuple(Row(label, "unimo") for label in ("one", "two", "three")),
    more_rows=(Row("floor", "unimo"),),
    paper="""
Methods  MPJPE   Use
one      8.6344  80.08%
two      9.5     99.8%
three    7.5     -
""",
    notes=(f"A note: {HOSTILE}", "See https://example.org/a for more."),
)


class Page(HTMLParser):
    """Elements of a page as (tag, attributes, text); fails where they do not nest."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names))
        self.elements.append([tag, dict(attributes), ""])
        if tag not in VOID:
            self._open.append(self.elements[-1])
        for ancestor in ("p", "a", "button"):  # browsers close these before another
            blocks = {"p", "table", "ul", "ol", "dl", "figure", "section", "details", ancestor}
            assert tag not in blocks or ancestor not in [one[0] for one in self._open[:-1]]

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        for element in self._open:
            element[2] += data

    def all(self, tag, **wanted):
        return [
            element
            for element in self.elements
            if element[0] == tag
            and all(element[1].get(name.rstrip("_")) == value for name, value in wanted.items())
        ]


def squeezed(text):
    return " ".join(text.split())


def outcome(setup, mpjpe, use=256):
    """A finished chain whose two clips score `mpjpe` - 1 and `mpjpe` + 1."""
    stages = ("train", "predict", "score codebook", "score pose")
    runs = {stage: Run(setup.cache, stage.split()[0], {"for": mpjpe}) for stage in stages}
    pose = [Score("b", "mpjpe", 10 * (mpjpe - 1), 10), Score("c", "mpjpe", 10 * (mpjpe + 1), 10)]
    codebook = [Score("pooled", "codebook_util_pct", 100 * use, 512, 2)]
    return Outcome(
        runs, {stage: {} for stage in stages}, {"codebook": codebook, "pose": pose}, {}, {}
    )


def row_of(row, *outcomes, kind="tokenizer", absent="", beside=False):
    data = Data(Path("cmu"), "cmu", "0" * 64, 65, ("a",), ("b", "c"), HOSTILE)
    metrics = ("codebook", "pose") if kind == "tokenizer" else ("pose",)
    tasks = [Task(kind, "unimo", data, 0, {}, None, metrics) for _ in outcomes]
    return report.RowOutcome(row, tasks, outcomes, absent, beside)


def result_of(rows, setup, table=TABLE):
    return report.measured_result(table, rows, setup=setup, profile=smoke(), options={})


@pytest.fixture
def setup(tmp_path):
    return Setup(tmp_path / "runs", find_body(), device="cpu")


@pytest.fixture
def folder(tmp_path, setup):
    """A folder with one hostile result."""
    rows = [
        row_of(TABLE.rows[0], outcome(setup, 20.0)),
        row_of(TABLE.rows[1], outcome(setup, 10.0, 512)),
        row_of(TABLE.rows[2], absent=f"failed: {HOSTILE}"),
        row_of(Row(HOSTILE, "unimo"), outcome(setup, 30.0, 128)),
        row_of(Row(LONG, "unimo"), outcome(setup, 40.0, 64)),
        row_of(TABLE.more_rows[0], outcome(setup, 1.0, 512), beside=True),
    ]
    write_json(tmp_path / "smoke" / "tablex.json", result_of(rows, setup))
    return tmp_path / "smoke"


def page_of(folder, cache=Path("nowhere")):
    (path,) = write_page(folder, cache)
    assert path == folder / "index.html"
    return Page(path.read_text("utf-8"))


def test_hostile_names_are_text(folder):
    page = page_of(folder)
    (script,) = page.all("script")
    assert "alert" not in script[2]
    for _, attributes, _ in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
    heads = [squeezed(head[2]) for head in page.all("th", scope="row")]
    assert f"{squeezed(HOSTILE)}● measured".replace("● ", "") in heads
    assert any(squeezed(LONG) in head for head in heads)
    assert any(f"A note: {squeezed(HOSTILE)}" == squeezed(item[2]) for item in page.all("li"))
    titles = [cell[1].get("title", "") for cell in page.all("td")]
    assert any(title.startswith(f"{HOSTILE}, MPJPE: 30.00 mm") for title in titles)
    assert "49" not in "".join(heads)


def test_every_cell_has_its_values_by_keyboard_and_pointer(folder):
    page = page_of(folder)
    cells = [cell for cell in page.all("td") if "tabindex" in cell[1]]
    assert len(cells) == 6 * 2
    popups = {span[1]["id"]: span[2] for span in page.all("span", class_="popup")}
    assert len(popups) == len(cells)
    for _, attributes, _ in cells:
        assert popups[attributes["aria-describedby"]] == attributes["title"]
    one = cells[0]
    assert squeezed(one[2]).startswith("20.00paper 8.6344 (+11.37)")
    assert "n = 2 clips; 95 % interval 19.00 to 21.00 mm" in one[1]["title"]
    assert re.search(r"score/[0-9a-f]{16}", one[1]["title"])


def test_a_missing_value_is_a_mark_and_its_letter_is_explained(folder):
    page = page_of(folder)
    cell = next(cell for cell in page.all("td") if cell[1].get("class") == "unavailable")
    assert squeezed(cell[2]).startswith("– (a)paper 7.5")
    assert cell[1]["title"].startswith("three, MPJPE: unavailable: failed: <script>")
    assert ["a", f"failed: {squeezed(HOSTILE)}"] in [
        [squeezed(term[2]), squeezed(text[2])]
        for term, text in zip(page.all("dt"), page.all("dd"), strict=True)
    ]


def test_the_best_and_the_second_are_marked_and_rows_beside_take_no_part(folder):
    page = page_of(folder)
    header = 1  # the page explains its marks once
    assert [strong[2] for strong in page.all("strong")][header:] == ["10.00", "100.0"]
    assert [second[2] for second in page.all("u")][header:] == ["20.00", "50.0"]


def test_every_row_has_a_state(folder):
    page = page_of(folder)
    table = page.all("table", class_="values")
    states = [chip[2] for chip in page.all("span") if "chip" in chip[1].get("class", "")]
    assert len(table) == 1
    assert states == ["partly"] + ["measured"] * 2 + ["unavailable"] + ["measured"] * 3
    assert "4 measured, 1 unavailable of 5 rows" in table[0][2]


def test_nothing_is_fetched_from_elsewhere(folder):
    page = page_of(folder)
    for tag, attributes, _ in page.elements:
        for name in ("src", "href", "data", "srcset", "poster", "action"):
            assert "//" not in attributes.get(name, ""), tag
    for tag in ("style", "script"):
        ((_, _, text),) = page.all(tag)
        assert not re.search(r"https?:|url\(|@import|fetch\(", text)
    assert any("https://example.org/a" in item[2] for item in page.all("li"))


def test_ids_are_unique_and_links_within_the_page_lead_somewhere(folder):
    page = page_of(folder)
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    inside = [link[1]["href"][1:] for link in page.all("a") if link[1]["href"].startswith("#")]
    assert inside and set(inside) <= set(ids)
    files = [link[1]["href"] for link in page.all("a") if not link[1]["href"].startswith("#")]
    assert "tablex.json" in files


def test_the_same_results_give_the_same_bytes(folder):
    (path,) = write_page(folder, Path("nowhere"))
    before = path.read_bytes()
    write_page(folder, Path("nowhere"))
    assert path.read_bytes() == before


def test_all_tables_are_there_and_the_page_stays_small(tmp_path, setup):
    out = tmp_path / "smoke"
    for name in discover.summaries("tables"):
        table = discover.load("tables", name)
        if table.compute is not None:
            result = report.computed_result(table)
        else:
            rows = [
                row_of(
                    dataclasses.replace(row, label=row.label),
                    outcome(setup, 10.0 + number),
                    kind=table.task,
                    beside=row in table.more_rows,
                )
                for number, row in enumerate((*table.rows, *table.more_rows))
            ]
            result = result_of(rows, setup, table)
        write_json(out / f"{name}.json", result)
    page = page_of(out)
    assert (out / "index.html").stat().st_size < 2_000_000
    sections = [section[1]["id"] for section in page.all("section")]
    assert sections == [f"table{number}" for number in range(1, 12)]
    cells = [cell for cell in page.all("td") if "tabindex" in cell[1]]
    results = [read_json(path) for path in out.glob("*.json")]
    assert len(cells) == sum(len(result["cells"]) for result in results)


def test_results_of_an_earlier_layout_are_named_and_not_shown(folder):
    older = read_json(folder / "tablex.json") | {"schema_version": 1}
    write_json(folder / "tabley.json", older)
    (folder / "broken.json").write_text("{")
    page = page_of(folder)
    assert len(page.all("table", class_="values")) == 1
    (words,) = [one[2] for one in page.all("p") if one[2].startswith("Not shown")]
    assert "tabley.json" in words and "broken.json" in words


def test_a_figure_is_shown_with_what_is_missing_in_it(folder):
    figure = {
        "schema_version": 1, "figure": "figure4", "title": HOSTILE, "profile": "smoke",
        "status": "drawn", "reason": None, "caption": f"Read it so: {HOSTILE}", "notes": [],
        "rows": [
            {"label": "Our", "task": "v2m", "status": "measured", "reason": None},
            {"label": HOSTILE, "task": "v2m", "status": "unavailable", "reason": HOSTILE},
        ],
    }  # fmt: skip
    write_json(folder / "figure4.json", figure)
    assert not page_of(folder).all("img")  # its picture is not here
    (folder / "figure4.png").write_bytes(b"larger than the other")
    (folder / "figure4.svg").write_bytes(b"small")
    page = page_of(folder)
    (picture,) = page.all("img")
    assert picture[1]["src"] == "figure4.svg"
    (section,) = page.all("section", id="figure4")
    assert f"{squeezed(HOSTILE)} unavailable {squeezed(HOSTILE)}" in squeezed(section[2])


def measure(name, store, out):
    """The reports folder of a table, measured with models trained for three steps."""
    profile = smoke()
    profile = dataclasses.replace(
        profile,
        unimo_training=functools.partial(ARTrainingConfig.embedded, 3),
        regressor_training=profile.regressor_training.with_steps(3),
    )
    options = Options(
        data=store, rows=None, limit=None, steps=None, seeds=[0], device="cpu", workers=1,
        body=None, checkpoint=None, out=out, dry_run=False, always=False, strict=False, quiet=True,
    )  # fmt: skip
    assert regenerate([discover.load("tables", name)], profile, options) == 0
    return out / f"smoke-{store.name}"


@pytest.fixture(scope="module")
def measured(tmp_path_factory, shots_folder):
    return measure("table3", shots_folder, tmp_path_factory.mktemp("reports"))


@pytest.fixture
def drawn(measured, tmp_path):
    """A folder with the reports of table 3, drawn from the cache beside it."""
    return shutil.copytree(measured.parent, tmp_path / "reports") / measured.name


def check_gallery(folder, name, ours):
    """Its clips go from our best to our worst, in videos of six pictures each."""
    page = Page((folder / "index.html").read_text("utf-8"))
    files = videos(page)
    assert len(files) == 3 and all((folder / file).is_file() for file in files)
    entry = read_json(folder / "gallery" / "gallery.json")["entries"][name]
    errors = [clip["error"] for clip in entry["clips"]]
    assert errors == sorted(errors)
    assert [clip["rank"] for clip in entry["clips"]] == [1, 4, 7]
    assert len(entry["panels"]) == 6
    frames = read_video(folder / "gallery" / entry["files"][0])
    assert frames.shape[0] == 17 and frames.shape[2] * 2 == frames.shape[1] * 3
    (section,) = page.all("section", id=f"gallery-{name}")
    assert f"{errors[-1]:.1f} mm rank 7 of 7, the worst" in squeezed(section[2])
    cells = read_json(folder / f"{name}.json")["cells"]
    mean = next(cell["value"] for cell in cells if (cell["row"], cell["column"]) == (ours, "mpjpe"))
    assert errors[0] <= mean <= errors[-1]


def videos(page):
    return [video[1]["src"].partition("#")[0] for video in page.all("video")]


def test_the_gallery_goes_from_the_best_to_the_worst(drawn):
    check_gallery(drawn, "table3", "Our")


@pytest.mark.slow
def test_the_gallery_of_generated_videos(shots_folder, tmp_path):
    check_gallery(measure("table2", shots_folder, tmp_path / "reports"), "table2", "Ours")


def test_what_was_drawn_is_kept_without_the_cache(drawn):
    before = (drawn / "index.html").read_bytes()
    shutil.rmtree(drawn.parent / "runs")
    page = page_of(drawn, drawn.parent / "runs")
    assert (drawn / "index.html").read_bytes() == before
    assert len(videos(page)) == 3
    assert {image[1]["src"] for image in page.all("img")} == {
        "page/table3-errors.svg",
        "page/table3-losses.svg",
    }


@pytest.mark.parametrize("row", ["Our", "built-in regressor"])
def test_what_is_of_other_runs_is_left_out(drawn, row):
    shutil.rmtree(drawn.parent / "runs")
    path = drawn / "table3.json"
    result = read_json(path)
    for run in result["provenance"]["runs"][row].values():
        run["run_id"] = run["run_id"].partition("/")[0] + "/" + "0" * 16
    write_json(path, result)
    page = page_of(drawn, drawn.parent / "runs")
    assert not videos(page) and not page.all("img")
    assert page.all("section", id="table3")
    assert not page.all("section", id="gallery-table3")


@pytest.mark.slow
def test_a_lost_clip_is_drawn_again_byte_by_byte(drawn):
    clip = drawn / "gallery" / "table3-0001.mp4"
    before = clip.read_bytes()
    clip.unlink()
    page_of(drawn, drawn.parent / "runs")
    assert clip.read_bytes() == before


def test_charts_are_drawn_again_byte_by_byte(drawn):
    before = {path.name: path.read_bytes() for path in (drawn / "page").iterdir()}
    shutil.rmtree(drawn / "page")
    page_of(drawn, drawn.parent / "runs")
    assert {path.name: path.read_bytes() for path in (drawn / "page").iterdir()} == before


def test_hostile_names_in_what_is_drawn(drawn):
    for path in (drawn / "table3.json", drawn / "gallery" / "gallery.json"):
        text = path.read_text("utf-8")
        path.write_text(text.replace("built-in regressor", json.dumps(HOSTILE)[1:-1]), "utf-8")
    page = page_of(drawn, drawn.parent / "runs")
    (script,) = page.all("script")
    assert "alert" not in script[2]
    assert len(videos(page)) == 3
    assert all(HOSTILE in video[1]["aria-label"] for video in page.all("video"))
    charts = (drawn / "page" / "table3-errors.svg").read_text("utf-8")
    assert "<script" not in charts and "&lt;script" in charts
