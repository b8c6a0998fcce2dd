"""What renderers share, on results made by hand; whole files are `test_report`'s."""

import warnings

import pandas as pd
import pytest

from benchmark.api.table import Column
from benchmark.results.origin import Provenance
from benchmark.results.render import csv_file, figure, layout
from benchmark.results.schema import Cell, Result, ResultRow


def result_of(column, *cells):
    """A table of one column from (label, measured value, paper's value as printed)."""
    return Result(
        table="tablex",
        title="A table",
        profile="smoke",
        data="made by hand",
        protocol={},
        figure=None,
        columns=(column,),
        rows=tuple(
            ResultRow(label=label, params={}, dataset="", beside=False) for label, _, _ in cells
        ),
        cells=tuple(
            Cell(
                row=label,
                column=column.key,
                status="measured",
                value=value,
                paper=float(printed),
                paper_printed=printed,
            )
            for label, value, printed in cells
        ),
        notes=(),
        provenance=Provenance(packages={}),
    )


@pytest.mark.parametrize(
    ("decimals", "measured", "difference"),
    [(0, "13", "10 (+3)"), (1, "12.5", "10 (+2.5)"), (None, "12.5432", "10 (+2.5432)")],
)
def test_differences_have_the_decimals_of_their_column(decimals, measured, difference):
    column = Column("m", "M", unit="mm", better="lower", decimals=decimals)
    _, (_, own, paper) = layout.grid(result_of(column, ("a", 12.5432, "10")))
    assert (own.text, paper.text) == (measured, difference)


def test_a_label_of_any_length_leaves_room_for_the_numbers(tmp_path):
    result = result_of(
        Column("m", "M", unit="mm", better="lower", decimals=1),
        ("goes on and on " * 90, 12.0, "10"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib's, that axes have no size left
        figure.render(result, tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"


def test_letters_that_the_font_lacks_are_drawn_without_a_word_on_stderr(tmp_path):
    result = result_of(Column("m", "M", better="lower"), ("走路 $x", 12.0, "10"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.render(result, tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("label", ["walk", "走路"])
def test_csv_of_any_letters_is_read_as_written(tmp_path, label):
    csv_file.render(result_of(Column("m", "M"), (label, 12.0, "10")), tmp_path / "x.csv")
    marked = (tmp_path / "x.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert marked == (not label.isascii())  # Excel takes it for UTF-8 by the mark alone
    (row,) = pd.read_csv(tmp_path / "x.csv").to_dict("records")
    assert (row["table"], row["row"], row["value"]) == ("tablex", label, 12.0)


def test_texts_that_begin_a_formula_are_no_formula_and_numbers_stay_numbers():
    line = ["=1+1", "+cmd", "-x", "@a", "\tb", "-", "-1.5", "80.08%", "8.6344", "plain", -2.5, None]
    _, text = csv_file.to_csv(["h"], [line]).splitlines()
    assert text == "'=1+1,'+cmd,'-x,'@a,'\tb,-,-1.5,80.08%,8.6344,plain,-2.5,"


def test_rows_hold_text_beside_the_cells_that_it_is_of():
    (row,) = layout.rows(
        result_of(Column("m", "M", unit="mm", better="lower", decimals=1), ("a", 12.54, "10.0"))
    )
    assert (row.label, row.measured[0].text, row.paper) == ("a", "12.5", ["10.0 (+2.5)"])
    assert row.has_paper and not row.has_literature and row.literature == [layout.NO_NUMBER]
    assert row.cells[0].value == 12.54


def test_more_rows_than_a_picture_has_room_for(tmp_path):
    rows = [(f"row {number}", 12.0, "10") for number in range(400)]
    figure.render(
        result_of(Column("m", "M", unit="mm", better="lower", decimals=1), *rows),
        tmp_path / "x.svg",
    )
    text = (tmp_path / "x.svg").read_text()
    assert "the first 30 of 400 rows" in text and "row 29" in text and "row 30" not in text
