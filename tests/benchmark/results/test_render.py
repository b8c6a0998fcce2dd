"""What renderers share, on results made by hand; whole files are `test_report`'s."""

import dataclasses
import warnings

import pytest

from benchmark.api.table import Column
from benchmark.results.render import figure, layout


def result_of(column, *cells):
    """A table of one column from (label, measured value, paper's value as printed)."""
    return {
        "table": "tablex",
        "title": "A table",
        "profile": "smoke",
        "data": "made by hand",
        "figure": None,
        "columns": [dataclasses.asdict(column)],
        "rows": [{"label": label, "dataset": "", "beside": False} for label, _, _ in cells],
        "cells": [
            {
                "row": label,
                "column": column.key,
                "status": "measured",
                "value": value,
                "low": None,
                "high": None,
                "std": None,
                "paper": float(printed),
                "paper_printed": printed,
                "literature_printed": None,
            }
            for label, value, printed in cells
        ],
    }


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
