"""Pickles of data load as they were written; nothing a pickle asks for is ever run."""

import codecs
import copyreg
import os
import pickle
import struct
import zlib
from collections import OrderedDict

import joblib
import numpy as np
import pytest

from benchmark.commands.rehearse.miniatures.threedpw import dump
from datasets.tools import safe_pickle
from datasets.tools.safe_pickle import UnsafePickleError, load

DATA = {
    "c": np.arange(12.0).reshape(3, 4),
    "fortran": np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
    "strided": np.arange(20, dtype=np.uint16)[::2],
    "big endian": np.arange(5, dtype=">i4"),
    "zero-dimensional": np.array(5),
    "no items": np.zeros((0, 3)),
    "flags": np.array([True, False]),
    "text": np.array(["ab", "c"]),
    "bytes": np.array([b"ab", b"c"]),
    "number": np.float32(3.5),
    "word": np.str_("word"),
    "ordered": OrderedDict(b=1, a=2),
    "builtins": [1, -(2**70), 2.5, None, True, "é", b"\x00\xff", b"", (1, (2, {"x": []}))],
}


def assert_same(found, wanted):
    assert type(found) is type(wanted)
    if isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for name in wanted:
            assert_same(found[name], wanted[name])
    elif isinstance(wanted, np.ndarray):
        assert found.dtype.newbyteorder("=") == wanted.dtype.newbyteorder("=")
        assert found.shape == wanted.shape
        assert found.flags.writeable
        assert found.flags.f_contiguous == wanted.flags.f_contiguous or not (
            wanted.flags.c_contiguous or wanted.flags.f_contiguous
        )
        np.testing.assert_array_equal(found, wanted)
    else:
        assert found == wanted


def written(path, content: bytes):
    path.write_bytes(content)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some data.pkl"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_plain_pickle_loads_as_it_was_written(path, protocol):
    data = DATA | {"objects": np.array([1, "two", None], object)}
    assert_same(load(written(path, pickle.dumps(data, protocol))), data)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_that_are_nearly_the_whole_file_load(path, protocol):
    data = {"a": np.random.default_rng(0).normal(size=(100, 3)), "b": np.zeros(3000)}
    assert_same(load(written(path, pickle.dumps(data, protocol))), data)
    if protocol >= 2:  # joblib's own default is higher
        joblib.dump(data, path, protocol=protocol)
        assert_same(load(path), data)


@pytest.mark.parametrize("compress", [0, 3, ("zlib", 9)])
def test_a_joblib_file_loads_as_it_was_written(path, compress):
    joblib.dump(DATA, path, compress=compress)
    assert_same(load(path), DATA)


def test_joblib_files_of_before_the_padding_load(path, monkeypatch):
    monkeypatch.setattr(joblib.numpy_pickle, "NUMPY_ARRAY_ALIGNMENT_BYTES", None)
    wrapper = joblib.numpy_pickle.NumpyArrayWrapper
    old = wrapper.__init__
    monkeypatch.setattr(
        wrapper, "__init__", lambda *args, **kw: old(*args, **kw, numpy_array_alignment_bytes=None)
    )
    joblib.dump(DATA, path)
    assert_same(load(path), DATA)


def test_python_2_text_needs_latin1(path):
    data = {"name": "x", "values": np.linspace(-1, 1, 99), "flags": np.array([1], np.uint8)}
    dump(path, data)
    assert_same(load(path, encoding="latin1"), data)
    assert pickle.loads(path.read_bytes(), encoding="latin1").keys() == data.keys()
    with pytest.raises(ValueError, match="latin1") as error:
        load(path)
    assert "\n" not in str(error.value)


def test_numpys_own_dtypes_stay_as_they_are(path):
    load(written(path, pickle.dumps([np.arange(3, dtype=">f8"), np.arange(3, dtype=">i4")])))
    assert np.dtype("f8").isnative and np.dtype("i4").isnative


def test_shared_arrays_stay_one(path):
    array = np.arange(3)
    first, second = load(written(path, pickle.dumps([array, array])))
    assert first is second


class Forged:
    """Pickles as whatever its parts say."""

    def __init__(self, *parts):
        self.parts = parts

    def __reduce__(self):
        return self.parts


def forged_array(shape, dtype, data) -> Forged:
    start, args, _ = np.zeros(1).__reduce__()
    return Forged(start, args, (1, shape, dtype, False, data))


def call(function, *args) -> Forged:
    return Forged(function, args)


def stack_global(module: str, name: str, argument: str) -> bytes:
    """Protocol 4: call a (dotted) name with one argument."""

    def text(value):
        return pickle.BINUNICODE + struct.pack("<I", len(value)) + value.encode()

    called = text(module) + text(name) + pickle.STACK_GLOBAL + text(argument)
    return pickle.PROTO + b"\x04" + called + pickle.TUPLE1 + pickle.REDUCE + pickle.STOP


def attacks(marker) -> dict[str, tuple[bytes, str]]:
    """Name -> pickle that would create the file `marker`, and what it asks for."""
    shell = f"touch '{marker}'"
    code = f"open({str(marker)!r}, 'w')"
    chained = call(getattr, call(__import__, "os"), "system")
    own = "datasets.tools.safe_pickle"
    return {
        "os.system": (pickle.dumps(call(os.system, shell)), "posix.system"),
        "eval": (pickle.dumps(call(eval, code)), "builtins.eval"),
        "exec of Python 2": (b"c__builtin__\nexec\n(V%s\ntR." % code.encode(), "exec"),
        "getattr chain": (pickle.dumps(chained), "builtins.getattr"),
        "text protocol": (f"cos\nsystem\n(S{shell!r}\ntR.".encode(), "os.system"),
        "instance": (f"(S{shell!r}\nios\nsystem\n.".encode(), "os.system"),
        "object": (f"(cos\nsystem\nS{shell!r}\no.".encode(), "os.system"),
        "dotted name": (stack_global("numpy", "ndarray.__class__", "x"), "ndarray.__class__"),
        "ours, dotted": (stack_global(own, "io.os.system", shell), "io.os.system"),
        "of a module of ours": (
            stack_global("datasets.bodies.smplx", "load_body", "x"),
            "load_body",
        ),
        "numpy's own loader": (stack_global("numpy", "load", "x"), "numpy.load"),
        "joblib's own loader": (stack_global("joblib", "load", "x"), "joblib.load"),
        "a name in a name": (stack_global("os\nx", "system", shell), r"os\nx.system"),
        "deep inside": (pickle.dumps({"a": [np.ones(3), (call(eval, code),)]}), "builtins.eval"),
        "as a key": (pickle.dumps({(1, call(eval, code)): 1}), "builtins.eval"),
    }


@pytest.mark.parametrize("name", attacks("x"))
def test_what_would_run_code_never_runs(path, tmp_path, name):
    marker = tmp_path / "it ran"
    content, asked = attacks(marker)[name]
    with pytest.raises(UnsafePickleError) as error:
        load(written(path, content))
    assert not marker.exists()
    assert asked in str(error.value)
    assert "which is not data: refused" in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_the_attacks_are_real(path, tmp_path):
    for name in ("os.system", "eval", "text protocol", "instance", "object"):
        marker = tmp_path / name
        pickle.loads(attacks(marker)[name][0])
        assert marker.exists()


@pytest.mark.parametrize("compress", [0, 3])
def test_code_inside_a_joblib_file_never_runs(path, tmp_path, compress):
    marker = tmp_path / "it ran"
    hostile = call(eval, f"open({str(marker)!r}, 'w')")
    joblib.dump({"a": np.ones(5), "b": hostile}, path, compress=compress)
    with pytest.raises(UnsafePickleError, match=r"builtins\.eval"):
        load(path)
    joblib.dump({"a": np.array([hostile, 1], object)}, path, compress=compress)
    with pytest.raises(UnsafePickleError, match="array of Python objects"):
        load(path)
    assert not marker.exists()


def test_objects_of_a_plain_array_are_held_to_the_same_rules(path, tmp_path):
    marker = tmp_path / "it ran"
    hostile = call(eval, f"open({str(marker)!r}, 'w')")
    with pytest.raises(UnsafePickleError, match="eval"):
        load(written(path, pickle.dumps(np.array([hostile, 1], object))))
    assert not marker.exists()


def test_the_extension_registry_is_no_way_around(path):
    copyreg.add_extension("os", "system", 0x7F)
    try:
        copyreg._extension_cache[0x7F] = os.system
        content = pickle.PROTO + b"\x02" + pickle.EXT1 + b"\x7f" + b"(S'true'\ntR."
        with pytest.raises(UnsafePickleError, match="extension 127"):
            load(written(path, content))
    finally:
        copyreg.remove_extension("os", "system", 0x7F)


def test_nothing_can_be_hung_on_an_object(path):
    attributes = pickle.EMPTY_DICT + b"V__defaults__\nV1\n" + pickle.SETITEM
    for target in (b"cnumpy\ndtype\n", b"ccollections\nOrderedDict\n", b"cnumpy\nndarray\n"):
        with pytest.raises(UnsafePickleError, match="sets attributes"):
            load(written(path, pickle.PROTO + b"\x02" + target + attributes + b"b."))
    assert safe_pickle._dtype.__defaults__ == (False, True)


def test_a_dtype_cannot_pass_bytes_off_as_objects(path):
    # With its flags cleared, numpy itself would take the eight bytes for a pointer.
    kind, args, state = np.dtype("O").__reduce__()
    forged = Forged(kind, args, (*state[:-1], 0))
    with pytest.raises(ValueError, match="array of objects"):
        load(written(path, pickle.dumps(forged_array((1,), forged, b"\x41" * 8))))


@pytest.mark.parametrize("shape", [(10**12,), (-1,), (-1, -2), (2**62, 4), (2.0,), "x"])
def test_an_array_larger_than_its_bytes_is_refused(path, shape):
    array = forged_array(shape, np.dtype("f8"), b"12345678" * 2)
    with pytest.raises(ValueError, match="not a readable pickle"):
        load(written(path, pickle.dumps(array)))


def test_a_joblib_array_larger_than_the_file_is_refused(path):
    joblib.dump(np.ones(4), path)
    content = path.read_bytes()
    at = content.index(b"K\x04\x85")  # the shape (4,)
    forged = content[:at] + b"\x8a\x06" + (10**13).to_bytes(6, "little") + content[at + 2 :]
    with pytest.raises(ValueError, match=r"cut short|not a readable"):
        load(written(path, forged))


def test_no_array_is_made_with_a_shape_alone(path):
    for called in (b"cnumpy\nndarray\n", b"cnumpy.core.multiarray\n_reconstruct\n"):
        with pytest.raises(ValueError, match="not a readable pickle"):
            load(written(path, pickle.PROTO + b"\x02" + called + b"(I1000000000000\nttR."))


def test_bytes_used_over_and_over_do_not_multiply(path):
    raw = b"x" * 10_000
    arrays = [forged_array((len(raw),), np.dtype("u1"), raw) for _ in range(100)]
    content = pickle.dumps(arrays)
    assert len(content) < 50_000
    with pytest.raises(ValueError, match="more bytes than it holds"):
        load(written(path, content))


def test_text_used_over_and_over_does_not_multiply(path):
    text = "x" * 10_000
    content = pickle.dumps([call(codecs.encode, text, "latin1") for _ in range(100)], 2)
    assert len(content) < 50_000
    with pytest.raises(ValueError, match="more bytes than it holds"):
        load(written(path, content))


def test_a_filled_array_is_not_filled_again(path):
    state = b"(K\x01K\x02\x85cnumpy\ndtype\n(X\x02\x00\x00\x00u1K\x00K\x01tR\x89C\x02abtb."
    with pytest.raises(ValueError, match="given twice"):
        load(written(path, pickle.dumps(np.arange(4), 2)[:-1] + state))


@pytest.mark.parametrize("ending", [b"K\x01s.", b"K\x01u.", b"K\x01d.", b"\x90."])
def test_keys_nested_too_deep_to_hash_are_refused(path, ending):
    mark = {b"s": b"}", b"u": b"}(", b"d": b"(", b"\x90": b"\x8f("}[ending[-2:-1]]
    content = b"\x80\x04" + mark + b")" + pickle.TUPLE1 * 200_000 + ending
    with pytest.raises(ValueError, match="not a readable pickle"):
        load(written(path, content))


@pytest.mark.parametrize("content", [b"", b"x", b"\x80", b"junk", b"\x80\x04.", b"\x89PNG\r\n"])
def test_what_is_no_pickle_is_told_in_a_line(path, content):
    with pytest.raises(ValueError) as error:
        load(written(path, content))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert not isinstance(error.value, UnsafePickleError)


@pytest.mark.parametrize("compress", [None, 0, 3])
def test_a_file_cut_short_anywhere_is_told(path, compress):
    if compress is None:
        path.write_bytes(pickle.dumps(DATA))
    else:
        joblib.dump(DATA, path, compress=compress)
    whole = path.read_bytes()
    for end in range(0, len(whole) - 1, 7):
        with pytest.raises(ValueError, match=r"cut short|empty|readable"):
            load(written(path, whole[:end]))


def test_damaged_files_raise_nothing_but_value_errors(path):
    joblib.dump(DATA, path)
    whole = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = whole.copy()
        for at in rng.integers(len(whole), size=3):
            damaged[at] = rng.integers(256)
        try:
            load(written(path, bytes(damaged)))
        except ValueError as error:
            assert "\n" not in str(error)


def test_a_bomb_is_not_unpacked(path, monkeypatch):
    monkeypatch.setattr(safe_pickle, "MAX_BYTES", 2**21)
    bomb = zlib.compress(pickle.dumps(bytes(2**24)), 9)
    assert len(bomb) < 2**15
    with pytest.raises(ValueError, match="unpacks to more than 2097152 bytes"):
        load(written(path, bomb))
    with pytest.raises(ValueError, match="more than 2097152 bytes"):
        load(written(path, pickle.dumps(bytes(2**22))))


def test_chumpy_is_told_as_such(path):
    content = pickle.PROTO + b"\x02cchumpy.ch\nCh\n)\x81."
    with pytest.raises(UnsafePickleError, match=r"chumpy objects \(chumpy.ch.Ch\).*plain arrays"):
        load(written(path, content))


def test_a_missing_file_stays_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing.pkl")
