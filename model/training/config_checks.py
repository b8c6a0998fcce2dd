"""The base of configuration classes and the checks they share. Standard library only."""

import dataclasses
import math
import sys
from typing import Annotated, Any, Literal, NamedTuple, Self, get_args, get_origin, get_type_hints

LARGEST = 2**63 - 1  # that torch takes for a size or a seed


class Range(NamedTuple):
    """Limits of a field's value, both included, for `typing.Annotated`."""

    low: Any
    high: Any = LARGEST


Count = Annotated[int, Range(1)]
Natural = Annotated[int, Range(0)]
NonNegative = Annotated[float, Range(0.0, math.inf)]
Share = Annotated[float, Range(0.0, 1.0)]
Decay = Annotated[float, Range(0.0, math.nextafter(1.0, 0.0))]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Base of settings that are kept as JSON. Lists become tuples where a field is a tuple.

    Raises:
        ValueError: a field, or an item of one that is a tuple, is none of its type's literals, no
            bool where it is one, or outside its `Range`.
    """

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self), include_extras=True).items():
            if get_origin(hint) is tuple:
                object.__setattr__(self, name, tuple(getattr(self, name)))
            _check(name, getattr(self, name), hint)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: dict) -> Self:
        """Return the settings of a dictionary: the inverse of `to_dict`.

        Raises:
            ValueError: unknown or missing settings, or values out of range.
        """
        require(isinstance(values, dict), f"not a {cls.__name__}: {values!r}")
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(cls)})
        require(not unknown, f"unknown {cls.__name__} settings: {', '.join(unknown)}")
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"not a {cls.__name__}: {error}") from error


def _check(name: str, value: Any, hint: Any) -> None:
    origin = get_origin(hint)
    if origin is tuple:
        for item in value:
            _check(name, item, get_args(hint)[0])
    elif origin is Literal:
        require_choice(name, value, get_args(hint))
    elif origin is Annotated:
        kind, (low, high) = get_args(hint)
        if kind is int:
            require_count(name, value, minimum=low, maximum=high)
        else:
            require_number(name, value, low, high)
    elif hint is bool:
        require(isinstance(value, bool), f"{name} is yes or no, got {value!r}")


def require(condition: bool, message: str) -> None:
    """Raise a ValueError with `message` unless `condition` holds."""
    if not condition:
        raise ValueError(message)


def require_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise a ValueError unless `value` is one of `choices`."""
    require(value in choices, f"{name} must be one of {', '.join(choices)}; got {value!r}")


def require_count(name: str, value: object, *, minimum: int, maximum: int = LARGEST) -> None:
    """Raise a ValueError unless `value` is an integer from `minimum` to `maximum`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise ValueError(f"{name} must be a whole number of at least {minimum}, got {value!r}")
    require(value <= maximum, f"{name} must be at most {maximum}, got {value}")


def require_number(name: str, value: object, low: float, high: float) -> None:
    """Raise a ValueError unless `value` is a finite number from `low` to `high`."""
    require(
        isinstance(value, (int, float))
        and low <= value <= high
        and abs(value) <= sys.float_info.max,  # integers have no end
        f"{name} must be a number from {low:g} to {high:g}, got {value!r}",
    )
