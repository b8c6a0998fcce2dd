import pytest

from benchmark.api.table import Column, Row, TableSpec

COLUMNS = (Column("a", "Alpha", unit="mm", better="lower", decimals=2), Column("b", "Beta"))
ROWS = (Row("one"), Row("two words"))


def table(paper):
    return TableSpec(id="t", title="T", columns=COLUMNS, rows=ROWS, paper=paper)


def test_the_block_gives_printed_strings_and_values():
    quoted = table("""
Methods    Alpha ↓  Beta
one        1.50     90.49 M
two words  -        99.80%
""").quoted()
    assert (quoted["one"]["a"].printed, quoted["one"]["a"].value) == ("1.50", 1.5)
    assert quoted["one"]["b"].value == 90.49
    assert quoted["two words"]["a"] is None
    assert quoted["two words"]["b"].value == 99.8


@pytest.mark.parametrize(
    "paper",
    [
        "Methods  Alpha  Gamma\none  1  2\ntwo words  1  2",
        "Methods  Alpha  Beta\none  1  2",
        "Methods  Alpha  Beta\ntwo words  1  2\none  1  2",
        "Methods  Alpha  Beta\none  1\ntwo words  1  2",
        "Methods  Alpha  Beta\none  1  x\ntwo words  1  2",
    ],
    ids=["heading", "row missing", "row order", "field missing", "no number"],
)
def test_a_block_that_does_not_fit_is_refused_at_import(paper):
    with pytest.raises(ValueError):
        table(paper)


def test_columns_print_with_arrow_unit_and_decimals():
    assert COLUMNS[0].heading == "Alpha ↓ (mm)"
    assert COLUMNS[0].format(1.005) == "1.00"
    assert COLUMNS[1].format(64000) == "64000"
