"""JSON files as typed records: frozen dataclasses that are checked, field by field, when read."""

import dataclasses
import functools
import json
import math
import re
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
# Control characters but tab and newline, direction marks that reorder text, lone surrogates.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_ANY = {dict: Mapping[str, Any], list: tuple[Any, ...], float: float}
_LARGEST = 64 * 2**20  # bytes of a file that is read


class Record:
    """Base of frozen dataclasses that are written as JSON; their texts are printable."""

    def __post_init__(self) -> None:
        """Replace the control characters in all texts."""
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            object.__setattr__(self, field.name, _printable(value))

    def to_json(self) -> dict[str, Any]:
        """Return the record as a JSON object."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Return the record of a JSON object.

        Raises:
            ValueError: a field is missing, unknown or of another type; the message names it.
        """
        return decode(cls, value)


def printable(text: str) -> str:
    """Replace control characters, which a terminal or a reader of the file would obey, by U+FFFD.

    Tabs and newlines stay.
    """
    return text if text.isprintable() else _CONTROL.sub("\ufffd", text)


def load(path: Path) -> Any:
    """Return the value in a JSON file.

    Raises:
        ValueError: the file cannot be read, is too large, or is not JSON.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"is larger than {_LARGEST >> 20} MB")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error}") from error


def decode(kind: type[T], value: object, where: str = "") -> T:
    """Return a JSON value as a value of a type.

    Args:
        kind: a dataclass, or what the fields of one may be: str, int, float, bool, Literal,
            ``X | None``, ``tuple[X, ...]``, ``Mapping[str, X]``, Any.
        value: as read from JSON.
        where: its place in the file, for messages.

    Raises:
        ValueError: the value is not of the type; the message names its place.
    """
    return _decode(kind, value, where)


def _decode(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        kind = _ANY.get(type(value), Any)
    origin, args = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _decode_fields(kind, value, where)
    if origin in (Union, types.UnionType):
        inner = next(arg for arg in args if arg is not types.NoneType)
        return None if value is None else _decode(inner, value, where)
    if origin is Literal:
        if value not in args:
            raise ValueError(
                f"{where} is {_quoted(value)}, not one of {', '.join(map(repr, args))}"
            )
        return value
    if origin is tuple:
        _require(isinstance(value, list), value, where, "a list")
        return tuple(_decode(args[0], one, f"{where}[{n}]") for n, one in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        _require(isinstance(value, dict), value, where, "an object")
        return {name: _decode(args[1], one, f"{where}.{name}") for name, one in value.items()}
    if kind is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        _require(number and abs(value) < 1e300, value, where, "a finite number")
        return value
    if kind in (str, int, bool):
        names = {str: "text", int: "a whole number", bool: "true or false"}
        _require(type(value) is kind, value, where, names[kind])
    return _printable(value)


def _decode_fields(kind: Any, value: Any, where: str) -> Any:
    _require(isinstance(value, dict), value, where or "the file", "an object")
    fields, hints = {field.name: field for field in dataclasses.fields(kind)}, _hints(kind)
    inside = f"{where}." if where else ""
    for name in value.keys() - fields.keys():
        raise ValueError(f"{inside}{_quoted(name)[1:-1]} is no field that this version knows")
    for name, field in fields.items():
        optional = (field.default, field.default_factory) != (dataclasses.MISSING,) * 2
        if name not in value and not optional:
            raise ValueError(f"{inside}{name} is missing")
    return kind(**{name: _decode(hints[name], one, inside + name) for name, one in value.items()})


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _require(holds: bool, value: object, where: str, wanted: str) -> None:
    if not holds:
        raise ValueError(f"{where} is {_quoted(value)}, not {wanted}")


def _quoted(value: object) -> str:
    """Return a value as a short text on one line."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = printable(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= 60 else text[:59] + "…"


def _printable(value: Any) -> Any:
    """Return a value whose texts, however deep, have no control characters; lists are tuples."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list | tuple):
        return tuple(map(_printable, value))
    if isinstance(value, Mapping):
        return {_printable(name): _printable(one) for name, one in value.items()}
    return value
