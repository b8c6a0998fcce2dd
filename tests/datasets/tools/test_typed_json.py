"""JSON as typed records: round trips, and every mistake named by its place."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from datasets.tools.typed_json import Record, decode, load, printable


@dataclass(frozen=True, kw_only=True)
class Part(Record):
    name: str
    size: float | None = None


@dataclass(frozen=True, kw_only=True)
class Whole(Record):
    parts: tuple[Part, ...]
    state: Literal["on", "off"]
    number: int
    more: Mapping[str, Any] = field(default_factory=dict)


VALUE = {
    "parts": [{"name": "a", "size": 1.5}, {"name": "b", "size": None}],
    "state": "on",
    "number": 3,
    "more": {"deep": [1, {"x": [None, True, 0.5]}]},
}


def test_a_record_is_what_was_written():
    record = Whole.from_json(VALUE)
    assert record.parts[0] == Part(name="a", size=1.5)
    written = json.loads(json.dumps(record.to_json()))
    assert written == VALUE
    assert Whole.from_json(written) == record


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"parts": "ab"}, 'parts is "ab", not a list'),
        ({"parts": [{"name": 5}]}, "parts[0].name is 5, not text"),
        ({"parts": [{"size": 1}]}, "parts[0].name is missing"),
        ({"parts": [{"name": "a", "size": "12"}]}, 'parts[0].size is "12", not a finite number'),
        ({"parts": [{"name": "a", "size": float("nan")}]}, "parts[0].size is nan, not a finite"),
        ({"parts": [{"name": "a", "size": 10**400}]}, "not a finite number"),
        ({"parts": [{"name": "a", "size": True}]}, "parts[0].size is true, not a finite number"),
        ({"state": "ON"}, "state is \"ON\", not one of 'on', 'off'"),
        ({"state": ["on"]}, 'state is ["on"], not one of'),
        ({"number": 3.0}, "number is 3.0, not a whole number"),
        ({"number": True}, "number is true, not a whole number"),
        ({"more": []}, "more is [], not an object"),
        ({"more": {"deep": [float("inf")]}}, "more.deep[0] is inf, not a finite number"),
        ({"other": 1}, "other is no field that this version knows"),
    ],
    ids=str,
)
def test_a_mistake_is_named_by_its_place(change, says):
    with pytest.raises(ValueError) as caught:
        Whole.from_json(VALUE | change)
    assert says in str(caught.value)


def test_texts_lose_their_control_characters():
    hostile = "a\x1b[31m\x07b\u202ec\ud800\td\n"
    assert printable(hostile) == "a\ufffd[31m\ufffdb\ufffdc\ufffd\td\n"
    assert printable("grün ↓ 二") == "grün ↓ 二"
    made = Whole(parts=(Part(name=hostile),), state="on", number=1, more={hostile: [hostile]})
    assert made.parts[0].name == printable(hostile)
    assert made.more == {printable(hostile): (printable(hostile),)}
    assert decode(Part, {"name": hostile}).name == printable(hostile)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read: No such file"),
        (b"{", "is not JSON: "),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"[" * 200_000, "is nested too deeply"),
    ],
    ids=["missing", "cut", "bytes", "deep"],
)
def test_a_file_that_is_no_json_is_refused_in_one_line(content, says, tmp_path):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        load(path)
    assert says in str(caught.value)
