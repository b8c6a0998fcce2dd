"""``.npz`` files that are hostile are refused in one line, before they take memory."""

import io
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from datasets.tools.npz import npz_names, read_npz_arrays

ROOT = Path(__file__).parents[3]


def npy(header: str | bytes, numbers: bytes = b"", *, version: int = 1) -> bytes:
    """The bytes of an ``.npy`` with any header."""
    header = header.encode("latin1") if isinstance(header, str) else header
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + numbers


def header(shape, descr="'<f4'"):
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"


def archive(path, member, *, name="theta.npy", method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr(name, member)
    return path


def test_arrays_are_those_of_numpy(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        **{"a": rng.normal(size=(5, 3)), "b": np.float32(2), "c": np.array("ü, x"), "d": np.eye(0)},
        **{"e": np.asfortranarray(rng.normal(size=(4, 2, 3))), "f": np.arange(3, dtype=">i2")},
        **{"g": np.array([b"x", b"yy"]), "h": np.array([True, False]), "i": np.zeros((0, 7))},
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", **arrays)
        assert npz_names(tmp_path / "x.npz") == set(arrays)
        found = read_npz_arrays(tmp_path / "x.npz", arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == np.asarray(array).dtype
            found[name].setflags(write=True)


@pytest.mark.parametrize(
    ("member", "why"),
    [
        (npy("__import__('os').system('touch PWNED')\n"), "theta"),
        (npy("(" * 9000 + ")" * 9000), "header claims 18000 bytes"),
        (npy("(" * 4900 + ")" * 4900), "theta"),
        (npy("-" * 9000 + "1"), "theta"),
        (npy("9" * 9900), "theta"),
        (npy(b"'\xff\xfe\n"), "theta"),
        (npy(b" " * 20_000_000, version=2), "header claims 20000000 bytes"),
        (npy(header((10**12, 63)), bytes(64)), "claims 252,000,000,000,000 bytes"),
        (npy(header((2**40, 2**40)), bytes(64)), "and 64 are there"),
        (npy(header((-1, -16)), bytes(64)), "theta"),
        (npy(header((-16,)), bytes(64)), "theta"),
        (npy(header((16,)), bytes(60)), "claims 64 bytes of numbers, and 60 are there"),
        (npy(header((16,)), bytes(68)), "claims 64 bytes of numbers, and 68 are there"),
        (npy(header((8,), "'|O'"), bytes(64)), "it holds objects"),
        (npy(header((8,), "[('a', '<f8')]"), bytes(64)), "numbers or texts are read"),
        (npy(header((8,), "[('\u00fc', '<f8')]"), bytes(64)), "numbers or texts are read"),
        (npy(header((8,), "'|V8'"), bytes(64)), "numbers or texts are read"),
        (npy(header((8,), "'<U0'")), "theta"),
        (npy("[('\u4e16', '<f8')]".encode(), version=3), "no array of numbers"),
        (npy(header("(True, 16)"), bytes(64)), "theta"),
        (b"text", "no array of numbers"),
        (b"", "no array of numbers"),
    ],
)
def test_hostile_headers_are_one_line(tmp_path, monkeypatch, member, why):
    monkeypatch.chdir(tmp_path)
    path = archive(tmp_path / "x.npz", member)
    try:
        found = read_npz_arrays(path, ["theta"])
    except ValueError as error:
        assert why in str(error) and "\n" not in str(error)
    else:
        assert found["theta"].size <= 16  # such as eight empty texts
    assert not Path("PWNED").exists()


def test_hostile_zips_are_one_line(tmp_path):
    path = archive(tmp_path / "x.npz", npy(header((16,)), bytes(64)), method=zipfile.ZIP_LZMA)
    with pytest.raises(ValueError, match="compressed in another way"):
        read_npz_arrays(path, ["theta"])
    with zipfile.ZipFile(path, "w") as file:
        for number in range(20_000):
            file.writestr(f"member{number:05d}", b"")
    for read in (npz_names, lambda path: read_npz_arrays(path, ["theta"])):
        with pytest.raises(ValueError, match="its list of members has 1 MB, more than the 1 MB"):
            read(path)
    with pytest.raises(ValueError, match="cannot be read: No such file or directory"):
        npz_names(tmp_path / "missing.npz")
    for junk in (b"", b"PK\x05\x06", b"\x00" * 100_000):
        path.write_bytes(junk)
        with pytest.raises(ValueError, match=r"not an \.npz file"):
            npz_names(path)


def test_claimed_sizes_count_for_nothing(tmp_path):
    """The list of members says less, or more, than is compressed there."""
    whole = io.BytesIO()
    np.savez_compressed(whole, theta=np.zeros(1000, np.float32))
    for claimed in (0, 64, 2128, 4129, 200_000_000, 2**32 - 1):
        data = bytearray(whole.getvalue())
        place = data.rfind(b"PK\x01\x02")
        data[place + 24 : place + 28] = struct.pack("<I", claimed)
        (tmp_path / "x.npz").write_bytes(data)
        with pytest.raises(ValueError, match=r"npz file|would take") as error:
            read_npz_arrays(tmp_path / "x.npz", ["theta"])
        assert "\n" not in str(error.value)


def peak_of(*words):
    """Exit code, stderr and peak memory in MB of a command."""
    code = (
        "import runpy, sys\n"
        "sys.argv = sys.argv[1:]\n"
        "try:\n runpy.run_module(sys.argv[0], run_name='__main__')\n"
        "finally:\n"
        " lines = open('/proc/self/status').read().splitlines()\n"
        " print('peak', next(line.split()[1] for line in lines if line.startswith('VmHWM')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, cwd=ROOT
    )
    return done.returncode, done.stderr, int(done.stdout.split("peak ")[-1]) / 1000


@pytest.mark.slow
@pytest.mark.parametrize("megabytes", [1600, 290])
def test_a_bomb_takes_no_memory_in_any_command(tmp_path, megabytes):
    root, frames = tmp_path / "root", megabytes * 1_000_000 // 252
    root.mkdir()
    for layout in ("theta", "poses"):
        with zipfile.ZipFile(root / f"{layout}.npz", "w", zipfile.ZIP_DEFLATED) as file:
            for name, width in ((layout, 63), ("phi", 3), ("tau", 3), ("trans", 3)):
                with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                    rows = frames if width == 63 else 9
                    member.write(npy(header((rows, width))))
                    for start in range(0, 4 * rows * width, 1 << 20):
                        member.write(bytes(min(1 << 20, 4 * rows * width - start)))
            file.writestr("fps.npy", npy(header(()), struct.pack("<f", 30)))
    for words in (
        ("datasets.prepare", "smplx_npz", "--root", root, "--out", tmp_path / "s", "--quiet"),
        ("datasets.prepare", "amass", "--root", root, "--out", tmp_path / "s", "--quiet"),
        ("datasets.render", root / "theta.npz", "--out", tmp_path / "x.mp4"),
    ):
        code, err, peak = peak_of(*words)
        assert code != 0 and "Traceback" not in err, err
        assert f"would take {megabytes if megabytes < 1000 else '1,600'} MB" in err, err
        assert peak < 500, (words, peak)
