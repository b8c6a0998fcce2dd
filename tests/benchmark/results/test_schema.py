"""Results as records: the committed ones load, and what cannot be is refused."""

import dataclasses
import json
import random
import re
from pathlib import Path

import pytest

from benchmark.results import schema
from benchmark.results.reading import read
from datasets.tools.files import write_json
from tests.damage import cut, edit_json, flip_bit

REPORTS = Path(__file__).parents[3] / "reports"
COMMITTED = sorted(REPORTS.glob("embedded*/*.json"))
RECORDS = [
    one
    for one in vars(schema).values()
    if isinstance(one, type) and dataclasses.is_dataclass(one) and one.__module__ == schema.__name__
]


def table5():
    """The committed report, or what the README's first command made of it, free to be edited."""
    value = json.loads((REPORTS / "embedded" / "table5.json").read_text())
    value.pop("own_sha256", None)
    return value


@pytest.mark.parametrize("folder", sorted({path.parent for path in COMMITTED}), ids=str)
def test_committed_results_load_and_are_written_as_they_were(folder):
    results = read(folder)
    assert not results.refused
    assert len(results.tables) + len(results.figures) == len(list(folder.glob("*.json")))
    for name, result in (results.tables | results.figures).items():
        before = json.loads((folder / f"{name}.json").read_text())
        before.pop("own_sha256", None)
        after = json.loads(json.dumps(result.to_json()))
        # What a computed table's provenance lacks is written as empty.
        after["provenance"] = {
            key: value for key, value in after["provenance"].items() if key in before["provenance"]
        }
        if before["schema_version"] == 3:  # an earlier one is read, and written as today's
            assert after.pop("schema_version") == 4
            before.pop("schema_version")
            assert {(cell.pop("groups"), cell.pop("tied")) for cell in after["cells"]} == {
                (None, None)
            }
        assert after == before


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_field_has_its_line(record):
    names = re.findall(r"^ +(\w+): ", record.__doc__.partition("Attributes:")[2], re.M)
    assert names == [field.name for field in dataclasses.fields(record)]


def first_cell(**changes):
    def change(value):
        value["cells"][0] |= changes

    return change


def double_cell(value):
    value["cells"].append(value["cells"][0])


def drop_cell(value):
    value["cells"].pop()


def double_row(value):
    value["rows"].append(value["rows"][0])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (first_cell(value=float("nan")), "cells[0].value is nan, not a finite number"),
        (first_cell(high=float("inf")), "cells[0].high is inf, not a finite number"),
        (first_cell(value="12"), 'cells[0].value is "12", not a finite number'),
        (first_cell(value=5.0), "has 5.0 outside its interval ["),
        (first_cell(low=None), "has one end of an interval without the other"),
        (first_cell(value=None), "is measured, but its value is None"),
        (first_cell(reason="gone"), "is measured, but its reason is 'gone'"),
        (
            first_cell(status="fine"),
            "not one of 'measured', 'unavailable', 'failed', 'not_applicable'",
        ),
        (first_cell(n=0), "has n = 0"),
        (first_cell(std=-1.0), "the standard deviation -1.0"),
        (first_cell(paper=1.0), "quotes 1.0 for what is printed as '"),
        (first_cell(paper_printed="x"), "for what is printed as 'x'"),
        (first_cell(row="other"), "is of an unknown row or column"),
        (first_cell(column="other"), "is of an unknown row or column"),
        (double_cell, "stands 2 times"),
        (double_row, "the row 's=1/1 B=512' stands 2 times"),
        (drop_cell, "is missing"),
        (lambda value: value.pop("notes"), "notes is missing"),
        (lambda value: value.update(table=r"x}\input{/etc/passwd}"), "is no name of a table"),
        (lambda value: value.update(table="table99"), "is none of the tables"),
        (lambda value: value.update(profile="paper"), "profile 'paper', but lies in the folder"),
        (lambda value: value.update(schema_version=2), "is of the schema version 2, and this prog"),
        (lambda value: value["provenance"].update(argv=5), "provenance.argv is 5, not a list"),
        (
            lambda value: value["provenance"]["runs"].update(x={"train": {}}),
            "provenance.runs.x.train.run_id is missing",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(change, says, tmp_path):
    value = table5()
    change(value)
    # As files written by others may hold them; ours never write NaN.
    (tmp_path / "embedded").mkdir()
    (tmp_path / "embedded" / "table5.json").write_text(json.dumps(value))
    results = read(tmp_path / "embedded")
    assert not results.tables
    (problem,) = results.refused.values()
    assert says in problem and "\n" not in problem


def test_a_mean_of_equal_clips_may_differ_from_its_interval_by_rounding(tmp_path):
    value = table5()
    cell = value["cells"][0]
    cell |= {"low": cell["value"] * (1 + 1e-15), "high": cell["value"] * (1 + 1e-15)}
    write_json(tmp_path / "embedded-x" / "table5.json", value)
    assert list(read(tmp_path / "embedded-x").tables) == ["table5"]


@pytest.mark.parametrize("damage", [flip_bit, cut, edit_json])
def test_a_damaged_result_is_refused(tmp_path, damage):
    file, rng = tmp_path / "embedded" / "table5.json", random.Random(0)
    result = schema.Result.from_json(table5())
    for _ in range(40):
        result.write(file)
        assert read(file.parent).tables == {"table5": result}
        done = damage(file, rng)
        assert list(read(file.parent).refused) == ["table5.json"], done
