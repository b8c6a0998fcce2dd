import csv
import dataclasses
import re

import numpy as np
import pytest

from benchmark import discover
from benchmark.api.errors import Unavailable
from benchmark.api.metric import Score
from benchmark.api.profile import REHEARSAL
from benchmark.api.table import Column, Row, TableSpec, Trend
from benchmark.profiles import paper, rehearsal, smoke
from benchmark.results import table as report
from benchmark.results.cells import without_value
from benchmark.results.findings import findings
from benchmark.results.render import figure, latex, layout, markdown
from benchmark.results.schema import Cell, Result
from benchmark.runs.cache import CachedStage, StageRecord
from benchmark.runs.chain import Outcome
from datasets.bodies.smplx_file import find_body
from datasets.tools.files import read_json
from tests.benchmark.results import small_table
from tests.benchmark.results.small_table import COLUMNS, PAPER, outcome, row_of

HOSTILE = r"a|b_c*d`<script>&\%$#{x}~^[y](z)"

TABLE = TableSpec(
    id="table5",
    title="A table",
    columns=COLUMNS,
    rows=(
        Row("one", "unimo", {"k": 1, "B": 2}),
        Row("two", "unimo", {"k": 2, "B": 2}),
        Row("three", "unimo", {"k": 2, "B": 4}),
    ),
    paper=PAPER,
    notes=(f"A note: {HOSTILE}",),
    figure=Trend(x="k", series="B", x_label="tokens", series_label="B"),
)


def result_of(rows, context, table=TABLE):
    return small_table.result_of(rows, context, table)


def unfinished(context):
    train = CachedStage(context.cache, "train", {})
    return Outcome(stages={"train": train}, records={}, scores={}, absent={})


@pytest.fixture
def result(context):
    hostile = Row(HOSTILE, "unimo")
    rows = [
        row_of(TABLE.rows[0], outcome(context, 20.0, 256)),
        row_of(TABLE.rows[1], outcome(context, 10.0, 512)),
        row_of(TABLE.rows[2], unfinished(context), absent=f"failed: {HOSTILE}"),
        row_of(hostile, outcome(context, 30.0, 128)),
    ]
    return result_of(rows, context)


def cell(result, row, column):
    return result.cell(row, column)


def test_measured_cells(result):
    one = cell(result, "one", "mpjpe")
    assert (one.status, one.value, one.n) == ("measured", 20.0, 2)
    # Student's t of two groups whose means are 19 and 21: 20 ± 12.7 times their standard error, 1.
    assert (one.low, one.high) == pytest.approx((20 - 12.7062, 20 + 12.7062), abs=1e-4)
    assert (one.paper, one.paper_printed) == (8.6344, "8.6344")
    assert re.fullmatch(r"score/[0-9a-f]{16}", one.run_id)
    use = cell(result, "one", "codebook_util_pct")
    assert (use.value, use.n, use.low, use.high) == (50.0, 2, None, None)


def scored(context, values, name="mpjpe"):
    """An outcome whose clips, each a group by itself, have these means."""
    scores = [Score(f"c{n}", name, sum=10 * value, count=10) for n, value in enumerate(values)]
    return dataclasses.replace(outcome(context, 0.0, 1), scores={"pose": scores})


@pytest.mark.parametrize(("shift", "tied"), [(0.0, True), (5.0, False)])
def test_a_best_value_is_a_tie_unless_a_paired_test_parts_it_from_the_next(context, shift, tied):
    rng = np.random.default_rng(0)
    clips = rng.normal(50, 20, 12)  # hard and easy ones, for both systems
    near, far = clips + rng.normal(0, 1, 12), clips + shift + rng.normal(0.1, 1, 12)
    rows = [
        row_of(row, scored(context, values))
        for row, values in zip(TABLE.rows, (near, far, clips + 99), strict=True)
    ]
    result = result_of(rows, context)
    best = "one" if near.mean() < far.mean() else "two"
    assert {cell.row: cell.tied for cell in result.cells if cell.tied is not None} == {best: tied}
    assert ("≈" in markdown.to_markdown(result)) == tied
    assert (r"\approx" in latex.to_latex(result)) == tied


def test_a_column_without_values_of_single_clips_has_no_test(result):
    assert cell(result, "two", "codebook_util_pct").tied is None


def test_several_trainings_are_tested_over_the_trainings(context):
    def trained(seed, value):
        made = scored(context, [value])
        train = CachedStage(context.cache, "train", {"seed": seed, "value": value})
        return dataclasses.replace(made, stages=made.stages | {"train": train})

    def tied(first, second):
        values = zip(TABLE.rows, (first, second), strict=False)
        rows = [row_of(row, *(trained(*one) for one in enumerate(own))) for row, own in values]
        return result_of([*rows, row_of(TABLE.rows[2], absent="no")], context).cell("one", "mpjpe")

    assert tied([10.0, 10.2, 9.9], [10.1, 10.3, 9.8]).tied is True
    assert tied([10.0, 10.2, 9.9], [12.1, 12.3, 11.8]).tied is False


def test_a_value_that_is_not_there_is_never_filled_in(result):
    missing = cell(result, "three", "mpjpe")
    assert (missing.status, missing.value, missing.run_id) == ("unavailable", None, None)
    assert missing.reason.startswith("failed: ")
    text = markdown.to_markdown(result)
    line = next(line for line in text.splitlines() if line.startswith("| three"))
    assert line.count("unavailable (a)") == 2
    assert "7.5" not in line
    assert "- **(a):** failed: " in text


def test_a_column_that_does_not_apply(context):
    made = outcome(context, 20.0, 256)
    made.scores["codebook"].clear()
    rows = [row_of(TABLE.rows[0], made)]
    result = result_of(rows, context)
    assert cell(result, "one", "codebook_util_pct").status == "not_applicable"


def test_best_and_second_are_marked_among_measured_cells(result):
    text = markdown.to_markdown(result)
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line[:1] == "|"}
    assert "**10.00** [" in lines["two"]
    assert "<u>20.00</u> [" in lines["one"]
    assert "**100.0**" in lines["two"]
    assert "9.5 (+0.50)" in text


def test_equal_printed_values_share_a_place(context):
    rows = [
        row_of(TABLE.rows[0], outcome(context, 10.001, 256)),
        row_of(TABLE.rows[1], outcome(context, 10.002, 256)),
    ]
    result = result_of(rows, context)
    assert markdown.to_markdown(result).count("**10.00**") == 2


def test_the_report_names_profile_data_body_and_n(result):
    text = markdown.to_markdown(result)
    for fact in (
        "smoke",
        "cmu: 1 training clip and 2 test clips",
        "stand-in",
        "2 test clips",
        "smplx22",
    ):
        assert fact in text
    assert result.provenance.git.commit
    assert result.provenance.body.sha256 == find_body().sha256


def test_markdown_shows_hostile_names_literally(result):
    text = markdown.to_markdown(result)
    lines = [line for line in text.splitlines() if line[:1] == "|"]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert "<script>" not in text.replace(r"\<script\>", "")
    assert "](z)" not in text.replace(r"\](z)", "")


def test_latex_shows_hostile_names_literally(result):
    text = latex.to_latex(result, full=True)
    row = next(line for line in text.splitlines() if "script" in line)
    assert r"a\textbar{}b\_c*d" in row
    assert r"\textless{}script\textgreater{}\&\textbackslash{}\%\$\#\{x\}" in row
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")].splitlines()[1:]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body if line} == {2}
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert not re.search(r"(?<!\\)%(?! Needs)", text)


def test_csv_has_a_line_a_cell(result, tmp_path):
    report.write(result, tmp_path)
    with open(tmp_path / "table5.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(result.cells)
    assert lines[0]["row"] == "one" and float(lines[0]["value"]) == 20.0
    assert lines[-1]["row"] == HOSTILE
    assert lines[4]["value"] == "" and lines[4]["status"] == "unavailable"


def test_every_file_is_made_from_the_json(result, tmp_path):
    paths = report.write(result, tmp_path / "new")
    assert [path.suffix for path in paths] == [".json", ".md", ".csv", ".tex", ".png", ".svg"]
    again = Result.from_json(read_json(paths[0]))
    assert again == result
    assert markdown.to_markdown(again) == paths[1].read_text()
    assert latex.to_latex(again) == paths[3].read_text()
    drawn = paths[4].stat().st_mtime_ns
    report.write(result, tmp_path / "new")
    assert paths[4].stat().st_mtime_ns == drawn  # the same numbers are not drawn twice
    assert not list((tmp_path / "new").glob("*.tmp"))


def test_figures_of_dots_are_drawn_for_hostile_names(result, tmp_path):
    figure.render(dataclasses.replace(result, figure=None), tmp_path / "dots.png")
    assert (tmp_path / "dots.png").read_bytes()[:4] == b"\x89PNG"


def test_nothing_measured_draws_nothing(context, tmp_path):
    rows = [row_of(row, unfinished(context)) for row in TABLE.rows]
    result = result_of(rows, context)
    figure.render(result, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_a_kill_before_the_json_leaves_no_stale_figure(result, tmp_path, monkeypatch):
    report.write(result, tmp_path)
    (tmp_path / f"{result.table}.png").write_bytes(b"of other numbers")
    (tmp_path / f"{result.table}.json").write_text("{}")
    report.write(result, tmp_path)
    assert (tmp_path / f"{result.table}.png").read_bytes() != b"of other numbers"


def test_a_figure_of_nothing_is_removed(result, tmp_path):
    report.write(result, tmp_path)
    empty = tuple(without_value(cell, "gone") for cell in result.cells)
    paths = report.write(dataclasses.replace(result, cells=empty), tmp_path)
    assert not any(path.suffix == ".png" for path in paths)
    assert not (tmp_path / f"{result.table}.png").exists()


def test_computed_tables_are_values_or_say_why_not():
    columns, rows = (Column("value", "Value"),), (Row("a"),)
    paper = "Setting  Value\na  16"

    def absent():
        raise Unavailable("not here")

    for compute, status, value in (
        (lambda: {"a": {"value": 16}}, "measured", 16),
        (absent, "unavailable", None),
    ):
        spec = TableSpec(
            id="t", title="T", columns=columns, rows=rows, paper=paper, compute=compute
        )
        (made,) = report.computed_result(spec).cells
        assert (made.status, made.value, made.paper) == (status, value, 16)
    text = markdown.to_markdown(report.computed_result(spec))
    assert "unavailable (a)" in text and "- **(a):** not here" in text


def test_findings_name_the_best_rows_and_the_order():
    def made(row, value, paper):
        return Cell(row=row, column="m", status="measured", value=value, paper=paper)

    columns = [Column("m", "M", better="lower")]
    cells = [made("a", 4, 1), made("b", 3, 2), made("c", 2, 3), made("d", 1, 4)]
    assert findings(columns, cells) == [
        "The best row differs from the paper's. M: d here, a in the paper.",
        "Order of the rows, measured against printed (Spearman's rank correlation, 1 is the "
        "same order): M -1.00.",
    ]
    assert findings(columns, cells[:2])[0].startswith("The best row differs")
    assert findings([Column("m", "M")], cells) == []
    # Ties share their mean rank; a constant side has no order.
    tied = [made("a", 1, 1), made("b", 1, 2), made("c", 2, 3), made("d", 2, 4)]
    assert findings(columns, tied)[-1].endswith(f"M {2 / 5**0.5:+.2f}.")
    assert (
        len(
            findings(
                columns,
                [made(name, 1, paper) for name, paper in zip("abcd", range(4), strict=True)],
            )
        )
        == 1
    )


def test_every_reason_has_one_letter(result):
    three = next(line for line in layout.grid(result) if line[0].text == "three")
    assert [field.text for field in three[1:]] == ["unavailable (a)"] * 2
    letters = layout.letters_of(str(number) for number in range(28))
    assert list(letters.values())[24:] == ["y", "z", "aa", "ab"]


def test_several_seeds_give_mean_and_standard_deviation(context):
    values = (10.0, 14.0, 12.0)
    rows = [row_of(TABLE.rows[0], *(outcome(context, value, 256) for value in values))]
    result = result_of(rows, context)
    made = cell(result, "one", "mpjpe")
    assert (made.value, made.std, made.low) == (12.0, 2.0, None)
    assert made.run_id.count("score/") == 3
    text = markdown.to_markdown(result)
    assert "12.00 ± 2.00" in text and "seeds 0, 1, 2" in text
    assert list(result.provenance.runs) == ["one, seed 0", "one, seed 1", "one, seed 2"]


def test_of_several_seeds_none_may_be_missing(context):
    rows = [row_of(TABLE.rows[0], outcome(context, 10.0, 256), unfinished(context), absent="died")]
    made = cell(result_of(rows, context), "one", "mpjpe")
    assert (made.status, made.value, made.reason) == ("unavailable", None, "died")


def test_rows_beside_the_papers_are_never_the_best(context):
    rows = [
        row_of(TABLE.rows[0], outcome(context, 20.0, 256)),
        row_of(TABLE.rows[1], outcome(context, 30.0, 128)),
        row_of(Row("a floor", "mean_pose"), outcome(context, 1.0, 512), is_extra=True),
    ]
    text = markdown.to_markdown(result_of(rows, context))
    assert "**20.00**" in text and "**1.00**" not in text and "| 1.00 [" in text


def test_a_row_that_cannot_be_done_says_why_in_every_column(context):
    rows = [row_of(TABLE.rows[0], absent="weights.pt is not there")]
    cells = result_of(rows, context).cells
    assert {cell.reason for cell in cells} == {"weights.pt is not there"}
    assert {cell.status for cell in cells} == {"unavailable"}


def test_clips_that_failed_are_told(context):
    made = outcome(context, 20.0, 256)
    made.records["predict"] = StageRecord(failed={"c": "no_person: nobody is seen"})
    notes = result_of([row_of(TABLE.rows[0], made)], context).notes
    assert (
        "one: 1 of 2 test clips failed and are in none of its numbers, as c: no_person: nobody is "
        "seen."
    ) in notes


def test_rows_on_other_clips_are_told_with_their_n(context):
    whole, part, other = (outcome(context, value, 256) for value in (20.0, 21.0, 22.0))
    del part.scores["pose"][0], other.scores["pose"][1]

    def told(*outcomes):
        rows = [row_of(row, one) for row, one in zip(TABLE.rows, outcomes, strict=False)]
        made = result_of(rows, context)
        cells = [made.cell(row.row.label, "mpjpe").n for row in rows]
        return [note for note in made.notes if note.startswith("Not all rows")], cells

    assert told(whole, whole) == ([], [2, 2])
    (note,), counts = told(whole, part)
    assert note == "Not all rows are on the same clips: n of MPJPE is 2 in one, 1 in two."
    assert counts == [2, 1]
    assert len(told(part, other)[0]) == 1  # as many, but others
    part.records["predict"] = StageRecord(failed={"b": "nobody"})
    (note,), _ = told(whole, part)
    assert "n of MPJPE, Use is 2 in one, 1 in two" in note


def test_published_numbers_stand_on_a_line_of_their_own(context):
    table = dataclasses.replace(
        TABLE, literature="Methods  MPJPE  Use\none  5.5  -", source="a paper"
    )
    result = result_of([row_of(TABLE.rows[0], outcome(context, 20.0, 256))], context, table)
    made = cell(result, "one", "mpjpe")
    assert (made.literature, made.literature_printed) == (5.5, "5.5")
    lines = [line for line in layout.grid(result) if line[0].text == "published elsewhere"]
    assert [[field.text for field in line[1:]] for line in lines] == [["5.5", "-"]]
    assert ("Published elsewhere", "a paper") in layout.facts(result)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "7B diffusion decoder"),
        ({"decoder": "codec"}, "own decoder, where the paper has the diffusion decoder"),
        ({"seedvr": True}, "after SeedVR"),
    ],
)
def test_a_table_of_videos_says_what_made_their_pixels(changes, words):
    (note,) = report._pixels("i2vm", dataclasses.replace(paper(), **changes))
    assert words in note
    assert not report._pixels("v2m", paper()) and not report._pixels("i2vm", smoke())


def test_a_rehearsal_is_marked_wherever_a_number_stands(context, tmp_path):
    profile, measured = rehearsal(), outcome(context, 20.0, 256)
    result = report.measured_result(
        TABLE, [row_of(TABLE.rows[0], measured)], context=context, profile=profile, options={}
    )
    report.write(result, tmp_path / "rehearsal", full_latex=True)
    folder = tmp_path / "rehearsal"
    written = read_json(folder / "table5.json")
    assert written["profile"] == "rehearsal" and REHEARSAL in written["title"]
    assert written["notes"][0] == profile.notes["tokenizer"][0]
    assert folder.joinpath("table5.md").read_text().splitlines()[0].count(REHEARSAL) == 1
    assert rf"\caption{{{REHEARSAL}" in folder.joinpath("table5.tex").read_text()
    assert REHEARSAL in folder.joinpath("table5.svg").read_text()
    lines = csv.DictReader(folder.joinpath("table5.csv").read_text().splitlines())
    assert {line["profile"] for line in lines} == {"rehearsal"}
    # A tabular that is taken into a text says it in its own heading.
    (heading,) = [line for line in latex.to_latex(result).splitlines() if "MPJPE" in line]
    assert heading.startswith("Method (rehearsal) &")


def test_no_other_profile_says_rehearsal():
    names = discover.summaries("profiles")
    marked = [name for name in names if discover.load("profiles", name).titled("A") != "A"]
    assert marked == ["rehearsal"]
