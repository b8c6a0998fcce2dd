"""Pickles that hold data only: numpy arrays and builtins, plain or as written by joblib.

A pickle is a program that may call whatever it names. Here it can name a dozen things, each of them
a function of this file that builds an array, a number or a text and nothing else; none of numpy's
own constructors is called with what the file says. Anything else it names is refused before it is
looked up, so that nothing of it runs and no module is imported.

joblib (https://github.com/joblib/joblib) writes a pickle, zlib-compressed or not, in which the
bytes of every array follow the object that describes it; it is read here, without joblib, by the
same rules.
"""

import functools
import io
import math
import pickle
import re
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

Order = Literal["C", "F"]

MAX_BYTES = 2**30  # of a file, and of what it unpacks to; labels of a sequence have far less
_PIECE = 2**20
_ZLIB = b"x"  # a zlib header's first byte, which begins no pickle
# Booleans, numbers, text; objects are allowed in plain arrays only, whose items are pickled too.
_DTYPE = re.compile(r"[<>|=]?([biufc][1-9]\d*|\?|[SU][1-9]\d*|O8?)")
_NDARRAY = object()  # stands for numpy.ndarray, which must not be called with any shape


class UnsafePickleError(ValueError):
    """A pickle asks for something that is not data. Nothing of it was run."""


def load(
    path: str | Path, *, encoding: str = "ASCII", unpickler: "type[Unpickler] | None" = None
) -> object:
    """Return the content of a pickle or joblib file: builtins, numpy arrays and numpy numbers.

    Arrays of joblib files that hold Python objects are refused.

    Args:
        path: the file, plain, or zlib-compressed as joblib does.
        encoding: of text written by Python 2: ``latin1`` for files with arrays.
        unpickler: one that knows more names, of things that are as inert.

    Raises:
        OSError: the file cannot be read.
        UnsafePickleError: it asks for something that is not data; the message names it.
        ValueError: it is empty, cut short, no pickle, or larger than `MAX_BYTES`.
    """
    path = Path(path)
    try:
        return (unpickler or Unpickler)(_read(path), encoding=encoding).load()
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{path} {error}") from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} holds text of Python 2 that is not {encoding}: load it as latin1"
        ) from error
    except EOFError as error:
        raise ValueError(f"{path} is cut short: copy or download it again") from error
    except OSError:
        raise
    except Exception as error:  # of pickle, struct, zlib or numpy, as the damage will have it
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{path} is not a readable pickle: {reason}") from error


class _Stream(io.BytesIO):
    """The bytes of a file; asking for more than there are is an error, and allocates nothing."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if size is not None and len(data) < size:
            raise EOFError
        return data


def _read(path: Path) -> _Stream:
    """Return the uncompressed bytes of a file."""
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    data = path.read_bytes()
    if not data:
        raise ValueError("the file is empty")
    if not data.startswith(_ZLIB):
        return _Stream(data)
    unpacked = _Stream()
    inflate = zlib.decompressobj()
    while not inflate.eof:
        piece = inflate.decompress(data, _PIECE)
        if not piece and not inflate.eof:
            raise EOFError
        if unpacked.tell() + len(piece) > MAX_BYTES:
            raise ValueError(f"it unpacks to more than {MAX_BYTES} bytes")
        unpacked.write(piece)
        data = inflate.unconsumed_tail
    unpacked.seek(0)
    return unpacked


class _JoblibArray:
    """Describes the array whose bytes follow in a joblib file."""


class Unpickler(pickle._Unpickler):
    """Python's own unpickler, of which only the harmless part is left.

    The one written in Python: the bytes of a joblib array have to be read between two opcodes.
    """

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)

    # Of Python's own, which type checkers do not know.
    stack: list[Any]
    read: Callable[[int], bytes]
    append: Callable[[object], None]

    def __init__(self, stream: _Stream, *, encoding: str):
        super().__init__(stream, encoding=encoding)
        self._stream = stream
        self._unclaimed = dict.fromkeys(("arrays", "bytes"), stream.getbuffer().nbytes)
        self._known = {
            ("numpy", "ndarray"): _NDARRAY,
            ("numpy", "dtype"): _dtype,
            ("joblib.numpy_pickle", "NumpyArrayWrapper"): _JoblibArray,
            ("collections", "OrderedDict"): self._ordered_dict,
            ("_codecs", "encode"): self._latin1,  # how Python 3 writes bytes for Python 2
            ("__builtin__", "bytes"): _no_bytes,
        }
        for core in ("numpy.core", "numpy._core"):  # numpy 1 and 2
            self._known[f"{core}.multiarray", "_reconstruct"] = _empty_array
            self._known[f"{core}.multiarray", "scalar"] = self._scalar
            self._known[f"{core}.numeric", "_frombuffer"] = self._array

    def find_class(self, module: str, name: str) -> object:
        """The function behind a name in a pickle, if it is one of the few that stand for data."""
        if (module, name) in self._known:
            return self._known[module, name]
        wanted = f"{module}.{name}"[:80].encode("unicode_escape").decode()
        if module.split(".")[0] == "chumpy":
            raise UnsafePickleError(
                f"holds chumpy objects ({wanted}), as the SMPL models of the first release do: "
                "refused; convert them to plain arrays first, or use an .npz release"
            )
        raise UnsafePickleError(f"asks for {wanted}, which is not data: refused")

    def get_extension(self, code: int) -> None:
        """Refuse copyreg's numbered objects: those in its cache never pass `find_class`."""
        raise UnsafePickleError(f"asks for extension {code}, which is not data: refused")

    def load_build(self) -> None:
        """Give an array or a dtype its state; nothing else in a file of data has any."""
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) is np.ndarray:
            self._fill(target, *state)
        elif isinstance(target, np.dtype):
            _set_byte_order(target, *state)
        elif type(target) is _JoblibArray:
            self.stack[-1] = self._joblib_array(**state)
        else:
            raise UnsafePickleError("sets attributes, which is not data: refused")

    def load_bytearray8(self) -> None:
        """Read a bytearray, which is allocated only once its bytes are known to be there."""
        size = int.from_bytes(self.read(8), "little")
        self.append(bytearray(self.read(size)))

    def _load_items(self, load: Callable[[Any], None], keys: slice) -> None:
        """Put items into a dictionary, whose keys are at `keys` of the stack."""
        _check_keys(self.stack[keys])
        load(self)

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8
    _every_other = slice(None, None, 2)
    for _opcode, _keys in (
        (pickle.SETITEM, slice(-2, -1)),
        (pickle.SETITEMS, _every_other),
        (pickle.DICT, _every_other),
    ):
        dispatch[_opcode[0]] = functools.partial(_load_items, load=dispatch[_opcode[0]], keys=_keys)
    for _opcode in (pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET):
        del dispatch[_opcode[0]]  # sets: not in any file of data, and with the keys' trouble

    def _claim(self, kind: str, size: int) -> None:
        """Count what is built from bytes of the file, which cannot be more than these.

        Arrays and the bytes that they are made of count apart: below protocol 3, each byte of an
        array is decoded from text first.
        """
        self._unclaimed[kind] -= size
        if self._unclaimed[kind] < 0:
            raise ValueError(f"its {kind} claim more bytes than it holds")

    def _array(self, data, dtype: np.dtype, shape: tuple, order: Order = "C") -> np.ndarray:
        """Return an array of its own of raw bytes."""
        if dtype.hasobject:
            raise UnsafePickleError("holds an array of Python objects, which is not data: refused")
        if isinstance(data, str):  # bytes of Python 2, read as latin1
            data = data.encode("latin1")
        if not isinstance(data, bytes | bytearray):
            raise ValueError(f"an array of a {type(data).__name__}, not of bytes")
        if len(data) != _num_items(shape) * dtype.itemsize:
            raise ValueError(f"an array of shape {shape} has {len(data)} bytes")
        self._claim("arrays", len(data))
        return np.frombuffer(data, dtype).reshape(shape, order=order).copy(order)

    def _scalar(self, dtype: np.dtype, data) -> np.generic:
        scalar: np.generic = self._array(data, dtype, ())[()]  # type: ignore[assignment]
        return scalar

    def _fill(self, array: np.ndarray, version: int, shape: tuple, dtype, fortran, data) -> None:
        """Turn the empty `array` into what its state says, as other references to it exist."""
        if array.nbytes:  # filling it again would free bytes that something may still look at
            raise ValueError("an array that is given twice")
        if dtype.hasobject:
            if type(data) is not list or len(data) != _num_items(shape):
                raise ValueError("an array of objects has another number of them")
            self._claim("arrays", len(data))
            state: Any = (1, shape, dtype, bool(fortran), data)
        else:
            order: Order = "F" if fortran else "C"
            filled = self._array(data, dtype, shape, order)
            state = (1, filled.shape, dtype, bool(fortran), filled.tobytes(order))
        array.__setstate__(state)

    def _joblib_array(
        self, subclass, shape, order, dtype, allow_mmap=False, numpy_array_alignment_bytes=None
    ) -> np.ndarray:
        """The array whose bytes come next; joblib 1.2 and later pad them, with a count before."""
        if subclass is not _NDARRAY:
            raise ValueError("an array of another class than numpy's own")
        if numpy_array_alignment_bytes is not None:
            padding = self._stream.read(1)[0]
            self._stream.read(padding)
        size = 0 if dtype.hasobject else _num_items(shape) * dtype.itemsize
        return self._array(self._stream.read(size), dtype, shape, order)

    def _latin1(self, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise ValueError(f"bytes written as {encoding}")
        self._claim("bytes", len(text))
        return text.encode("latin1")

    def _ordered_dict(self, items=()) -> OrderedDict:
        self._claim("arrays", len(items))
        _check_keys([key for key, _ in items])
        return OrderedDict(items)


def _num_items(shape: tuple[int, ...]) -> int:
    """Return the number of items of an array."""
    if type(shape) is not tuple or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("an array without a proper shape")
    return math.prod(shape)


def _check_keys(keys: list) -> None:
    """Refuse tuples: hashing one that is nested a million times ends the process."""
    if any(isinstance(key, tuple) for key in keys):
        raise ValueError("a dictionary whose keys are not names or numbers")


def _no_bytes() -> bytes:
    """Empty bytes, which Python 3 writes for Python 2 as a call of ``bytes`` without arguments."""
    return b""


def _empty_array(subclass: object, shape: tuple, dtype: object) -> np.ndarray:
    """The array that a pickled array starts from; its state comes later and replaces all of it."""
    if subclass is not _NDARRAY:
        raise ValueError("an array of another class than numpy's own")
    return np.empty(0, "i1")


def _dtype(text: str, align: bool = False, copy: bool = True) -> np.dtype:
    """A dtype of numbers, text or objects: a copy of its own, as `_set_byte_order` changes it."""
    if not isinstance(text, str) or not _DTYPE.fullmatch(text):
        raise ValueError(f"an array of dtype {text!r:.40}")
    return np.dtype(text, copy=True)


def _set_byte_order(dtype: np.dtype, version: int, order: str, *rest: object) -> None:
    """Apply a dtype's state, of which only the byte order can say anything new."""
    if order not in ("<", ">", "|", "=") or any(part is not None for part in rest[:3]):
        raise ValueError("a dtype with fields, or without a byte order")
    layout = (dtype.itemsize, dtype.alignment, dtype.flags)  # its own, whatever the file says
    dtype.__setstate__((3, order, None, None, None, *layout))  # type: ignore[attr-defined]
