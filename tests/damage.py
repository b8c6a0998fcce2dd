"""Damage to files, for tests of what is kept: a flipped bit, a cut, an edit of valid JSON."""

import json
import random
from pathlib import Path
from typing import Any

from datasets.tools.files import with_own_sha256


def flip_bit(path: Path, rng: random.Random) -> str:
    """Flip one bit of a file in place; returns a description."""
    data = bytearray(path.read_bytes())
    bit = rng.randrange(8 * len(data))
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
    return f"bit {bit % 8} of byte {bit // 8} of {path.name} flipped"


def cut(path: Path, rng: random.Random) -> str:
    """Cut one or more bytes off the end of a file in place; returns a description."""
    data = path.read_bytes()
    size = rng.randrange(len(data))
    path.write_bytes(data[:size])
    return f"{path.name} cut to {size} of {len(data)} bytes"


def edit_json(path: Path, rng: random.Random) -> str:
    """Change one number, text or truth value of a JSON file in place; returns a description."""
    value = json.loads(path.read_text())
    leaves = list(_leaves(value))
    owner, key = rng.choice(leaves)
    before = owner[key]
    owner[key] = _other(before, rng)
    path.write_text(json.dumps(value, indent=1) + "\n")
    return f"{path.name}: {key} {before!r} became {owner[key]!r}"


def rewrite_json(path: Path, value: dict[str, Any]) -> None:
    """Write an object as the program itself would have: with the sha256 of its own, if it had one.

    For tests of what an odd value leads to, behind the check that finds damage.
    """
    path.write_text(json.dumps(with_own_sha256(value) if "own_sha256" in value else value))


def _leaves(value: Any):
    """Yield (container, key) of every number, text, truth value and null in a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in pairs:
        if isinstance(member, dict | list):
            yield from _leaves(member)
        else:
            yield value, key


def _other(value: Any, rng: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + rng.choice([1, -1, 10])
    if isinstance(value, str) and value:
        place = rng.randrange(len(value))
        return value[:place] + rng.choice("0a7") + "x" + value[place + 1 :]
    return "x"
