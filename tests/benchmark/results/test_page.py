"""The page of a profile: hostile names, complete tables, what is missing in them."""

import dataclasses
import functools
import re
import shutil
from pathlib import Path

import pytest

from benchmark import discover
from benchmark.api.table import Row, TableSpec
from benchmark.results import table as report
from benchmark.results.page.document import write_page
from benchmark.results.schema import Result
from datasets.tools.files import read_json, write_json
from tests.benchmark.results import small_table
from tests.benchmark.results.pages import HOSTILE, Page, page_of, squeezed
from tests.benchmark.results.small_table import COLUMNS, PAPER, outcome

LONG = "a name that goes on and on " * 40
TABLE = TableSpec(
    id="table5",
    title=f"A table {HOSTILE}",
    columns=COLUMNS,
    rows=tuple(Row(label, "unimo") for label in ("one", "two", "three")),
    more_rows=(Row("floor", "unimo"),),
    paper=PAPER,
    notes=(f"A note: {HOSTILE}", "See https://example.org/a for more."),
)


row_of = functools.partial(small_table.row_of, split_rule=HOSTILE)


def result_of(rows, context, table=TABLE):
    return small_table.result_of(rows, context, table)


@pytest.fixture
def folder(tmp_path, context):
    """A folder with one hostile result."""
    rows = [
        row_of(TABLE.rows[0], outcome(context, 20.0)),
        row_of(TABLE.rows[1], outcome(context, 10.0, 512)),
        row_of(TABLE.rows[2], absent=f"failed: {HOSTILE}"),
        row_of(Row(HOSTILE, "unimo"), outcome(context, 30.0, 128)),
        row_of(Row(LONG, "unimo"), outcome(context, 40.0, 64)),
        row_of(TABLE.more_rows[0], outcome(context, 1.0, 512), is_extra=True),
    ]
    write_json(tmp_path / "smoke" / "table5.json", result_of(rows, context).to_json())
    return tmp_path / "smoke"


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
    popups = [span[2] for span in page.all("span", class_="popup")]
    assert any(text.startswith(f"{HOSTILE}, MPJPE: 30.00 mm") for text in popups)
    assert "49" not in "".join(heads)


def test_every_cell_has_its_values_by_keyboard_and_pointer(folder):
    page = page_of(folder)
    cells = [cell for cell in page.all("td") if "tabindex" in cell[1]]
    assert len(cells) == 6 * 2
    popups = {span[1]["id"]: span[2] for span in page.all("span", class_="popup")}
    details = [popups.pop(attributes["aria-describedby"]) for _, attributes, _ in cells]
    assert not popups
    assert squeezed(cells[0][2]).startswith("20.00paper 8.6344 (+11.37)")
    assert "n = 2 clips; 95 % interval 7.29 to 32.71 mm" in details[0]
    assert re.search(r"score/[0-9a-f]{16}", details[0])


def test_a_missing_value_is_a_mark_and_its_letter_is_explained(folder):
    page = page_of(folder)
    cell = next(cell for cell in page.all("td") if cell[1].get("class") == "unavailable")
    assert squeezed(cell[2]).startswith("– (a)paper 7.5")
    (details,) = page.all("span", id=cell[1]["aria-describedby"])
    assert details[2].startswith("three, MPJPE: unavailable: failed: <script>")
    assert ["a", f"failed: {squeezed(HOSTILE)}"] in [
        [squeezed(term[2]), squeezed(text[2])]
        for term, text in zip(page.all("dt"), page.all("dd"), strict=True)
    ]


def test_the_mark_of_published_numbers_is_explained(folder):
    assert not [term for term in page_of(folder).all("dt") if term[2] == "†"]
    result = read_json(folder / "table5.json")
    result["source"] = f"a paper {HOSTILE}"
    result["cells"][0] |= {"literature": 5.5, "literature_printed": "5.5"}
    write_json(folder / "table5.json", result)
    page = page_of(folder)
    assert "5.5 †" in next(cell for cell in page.all("td") if "tabindex" in cell[1])[2]
    explained = zip(page.all("dt"), page.all("dd"), strict=True)
    (text,) = [text[2] for term, text in explained if term[2] == "†"]
    assert squeezed(text) == f"published elsewhere: a paper {squeezed(HOSTILE)}"


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
    assert "table5.json" in files


def links_of(page, section):
    """Words and targets of the files that a section of the page names."""
    (own,) = page.all("section", id=section)
    words = [one[2] for one in page.all("p", class_="files") if one[2] in own[2]][-1]
    return words.removeprefix("Files: ").split(", "), {link[1]["href"] for link in page.all("a")}


def test_all_files_beside_the_page_are_linked_and_no_other(folder):
    report.write(Result.from_json(read_json(folder / "table5.json")), folder)
    words, targets = links_of(page_of(folder), "table5")
    assert words == ["json", "md", "csv", "tex", "png"]
    assert {f"table5.{word}" for word in words} <= targets
    assert (folder / "table5.svg").is_file() and "table5.svg" not in targets  # never committed
    (folder / "table5.png").unlink()  # a table that has nothing to draw
    words, targets = links_of(page_of(folder), "table5")
    assert words == ["json", "md", "csv", "tex"] and "table5.png" not in targets


def test_the_index_links_every_report_folder_and_comparison(folder):
    out = folder.parent
    shutil.copytree(folder, out / "smoke-a<b-steps10")
    (out / "compare" / "mine").mkdir(parents=True)
    (out / "compare" / "mine" / "compare.md").write_text("# compare")
    (out / "runs").mkdir(exist_ok=True)
    _, index = write_page(out / "smoke-a<b-steps10", Path("nowhere"))
    write_page(folder, Path("nowhere"))
    links = [one[1]["href"] for one in Page(index.read_text("utf-8")).all("a")]
    assert sorted(links) == [
        "compare/mine/compare.md",
        "smoke-a%3Cb-steps10/index.html",
        "smoke/index.html",
    ]


def test_the_same_results_give_the_same_bytes(folder):
    path, _ = write_page(folder, Path("nowhere"))
    before = path.read_bytes()
    write_page(folder, Path("nowhere"))
    assert path.read_bytes() == before


def test_all_tables_are_there_and_the_page_stays_small(tmp_path, context):
    out = tmp_path / "smoke"
    for name in discover.summaries("tables"):
        table = discover.load("tables", name)
        if table.compute is not None:
            result = report.computed_result(table)
        else:
            rows = [
                row_of(
                    dataclasses.replace(row, label=row.label),
                    outcome(context, 10.0 + number),
                    task=table.task,
                    is_extra=row in table.more_rows,
                )
                for number, row in enumerate((*table.rows, *table.more_rows))
            ]
            result = result_of(rows, context, table)
        write_json(out / f"{name}.json", result.to_json())
    page = page_of(out)
    assert (out / "index.html").stat().st_size < 2_000_000
    sections = [section[1]["id"] for section in page.all("section")]
    assert sections == [f"table{number}" for number in range(1, 12)]
    cells = [cell for cell in page.all("td") if "tabindex" in cell[1]]
    results = [read_json(path) for path in out.glob("*.json")]
    assert len(cells) == sum(len(result["cells"]) for result in results)
    (chosen,) = [link for link in page.all("li") if squeezed(link[2]).startswith("Table 4 ")]
    assert "computed" in chosen[2] and "measured" not in chosen[2]  # a configuration


def test_results_of_an_earlier_layout_are_named_and_not_shown(folder):
    older = read_json(folder / "table5.json") | {"schema_version": 1}
    write_json(folder / "table6.json", older)
    (folder / "broken.json").write_text("{")
    page = page_of(folder)
    assert len(page.all("table", class_="values")) == 1
    refused = [one[2] for one in page.all("p") if one[2].startswith("Not shown")]
    assert refused == [
        "Not shown: broken.json: is not JSON: Expecting property name enclosed in double quotes: "
        "line 1 column 2 (char 1)",
        "Not shown: table6.json: is of the schema version 1, and this program reads 4",
    ]


def test_a_figure_is_shown_with_what_is_missing_in_it(folder):
    figure = {
        "schema_version": 1, "figure": "figure4", "title": HOSTILE, "profile": "smoke",
        "data": "", "body": "", "values": {}, "drawn_from": "", "provenance": {"packages": {}},
        "status": "drawn", "reason": None, "caption": f"Read it so: {HOSTILE}", "notes": [],
        "rows": [
            {"label": "Our", "task": "v2m", "status": "measured", "reason": None},
            {"label": HOSTILE, "task": "v2m", "status": "unavailable", "reason": HOSTILE},
        ],
    }  # fmt: skip
    write_json(folder / "figure4.json", figure)
    assert not page_of(folder).all("img")  # its picture is not here
    (folder / "figure4.png").write_bytes(b"a picture")
    page = page_of(folder)
    (picture,) = page.all("img")
    assert picture[1]["src"] == "figure4.png"
    words, targets = links_of(page, "figure4")
    assert words == ["json", "png"] and "figure4.png" in targets
    (section,) = page.all("section", id="figure4")
    assert f"{squeezed(HOSTILE)} unavailable {squeezed(HOSTILE)}" in squeezed(section[2])
