"""Valid edits: one number of a file is another, and the file can be read as before."""

import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import load_file, save_file

from tests.damage import edit_json, flip_bit


def edit(path: Path, rng: random.Random) -> str:
    """Change one number of a file that stays valid; of a video: put another one in its place."""
    make = _EDITS.get(path.suffix, flip_bit)
    return make(path, rng)


def _edit_csv(path: Path, rng: random.Random) -> str:
    text = path.read_text()
    digits = [place.start() for place in re.finditer(r"\d", text)]
    if not digits:
        return flip_bit(path, rng)
    place = rng.choice(digits)
    path.write_text(text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :])
    return f"digit {place} of {path.name} changed"


def _edit_parquet(path: Path, rng: random.Random) -> str:
    table = pq.read_table(path, use_threads=False)
    names = [field.name for field in table.schema if _is_number(field.type)]
    if not names or not len(table):
        return flip_bit(path, rng)
    name, row = rng.choice(names), rng.randrange(len(table))
    values = table.column(name).to_pylist()
    if isinstance(values[row], list) and values[row]:
        values[row][rng.randrange(len(values[row]))] += 1
    elif isinstance(values[row], int | float):
        values[row] += 1
    else:
        return flip_bit(path, rng)
    kind = table.schema.field(name).type
    column = pa.array(values, kind)
    place = table.column_names.index(name)
    pq.write_table(table.set_column(place, table.schema.field(name), column), path)
    return f"{name} of row {row} of {path.name} changed"


def _is_number(kind) -> bool:
    inner = kind.value_type if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) else kind
    return pa.types.is_integer(inner) or pa.types.is_floating(inner)


def _edit_arrays(load: Callable, save: Callable) -> Callable:
    def change(path: Path, rng: random.Random) -> str:
        arrays = {name: np.array(array) for name, array in dict(load(path)).items()}
        name = rng.choice([name for name in sorted(arrays) if arrays[name].dtype.kind in "fiu"])
        flat = arrays[name].reshape(-1)
        place = rng.randrange(flat.size)
        flat[place] = flat[place] + np.ones((), flat.dtype)
        save(path, arrays)
        return f"number {place} of {name} of {path.name} changed"

    return change


def _edit_weights(path: Path, rng: random.Random) -> str:
    return _edit_arrays(load_file, lambda path, arrays: save_file(arrays, path))(path, rng)


def _exchange(path: Path, rng: random.Random) -> str:
    others = [file for file in sorted(path.parents[1].rglob("*.mp4")) if file != path]
    others = [file for file in others if file.read_bytes() != path.read_bytes()]
    if not others:
        return flip_bit(path, rng)
    other = rng.choice(others)
    path.write_bytes(other.read_bytes())
    return f"{path.name} replaced by {other.relative_to(path.parents[1])}"


_EDITS: dict[str, Callable] = {
    ".json": edit_json,
    ".csv": _edit_csv,
    ".parquet": _edit_parquet,
    ".npz": _edit_arrays(np.load, lambda path, arrays: np.savez(path, **arrays)),
    ".safetensors": _edit_weights,
    ".mp4": _exchange,
}
