"""The SMPL body against smplx's own forward; official pickles; files that are no SMPL model."""

import copyreg
import io
import pickle
import sys
import types
from typing import ClassVar

import numpy as np
import pytest
import scipy.sparse
import smplx
import torch

from benchmark.commands.rehearse.miniatures.threedpw import Python2Pickler
from benchmark.commands.rehearse.stand_ins import bodies
from datasets.bodies import smpl
from datasets.bodies.smpl import load_smpl
from datasets.bodies.smpl_file import ENV_SMPL, find_smpl, read_smpl
from datasets.tools import safe_pickle
from tests.pickle_trap import Trap

OFFICIAL = "basicmodel_m_lbs_10_207_0_v1.1.0.pkl"


@pytest.fixture(scope="module")
def arrays():
    return bodies.smpl_arrays()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("smpl")
    bodies.build_smpl(path, "neutral", "female")
    return path


@pytest.fixture
def environment(folder, monkeypatch):
    monkeypatch.setenv(ENV_SMPL, str(folder))


def random_motion(frames, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, [0.5] * 72 + [1.0] * 13, (frames, 85)).astype(np.float32)


def smplx_vertices(arrays, channels):
    """Vertices of smplx's own forward."""
    stored = types.SimpleNamespace(**arrays)
    layer = smplx.SMPL("", data_struct=stored)
    parts = torch.from_numpy(channels).split([3, 69, 10, 3], dim=1)
    names = ("global_orient", "body_pose", "betas", "transl")
    with torch.no_grad():
        return layer(**dict(zip(names, parts, strict=True))).vertices.numpy()


@pytest.mark.usefixtures("environment")
def test_vertices_equal_those_of_smplx(arrays):
    channels = random_motion(19)  # more than are skinned at once
    vertices = load_smpl().vertices(channels)
    assert vertices.shape == (19, 6890, 3) and vertices.dtype == np.float32
    np.testing.assert_allclose(vertices, smplx_vertices(arrays, channels), atol=2e-5)


@pytest.mark.usefixtures("environment")
def test_genders_are_bodies_of_their_own():
    female = load_smpl("female")
    assert (female.name, load_smpl().name) == ("smpl-female", "smpl-neutral")
    assert female.sha256 != load_smpl().sha256
    channels = random_motion(2)
    wanted = smplx_vertices(bodies.smpl_arrays(1), channels)
    np.testing.assert_allclose(female.vertices(channels), wanted, atol=2e-5)
    assert female.faces.shape == (13776, 3)


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("shape", [(5, 79), (85,), (2, 5, 85)])
def test_other_motions_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected \(T, 85\)"):
        load_smpl().vertices(np.zeros(shape, np.float32))


def test_a_missing_file_is_named_with_its_source(folder, monkeypatch):
    monkeypatch.delenv(ENV_SMPL, raising=False)
    with pytest.raises(FileNotFoundError, match=r"no SMPL_NEUTRAL.*smpl\.is\.tue\.mpg\.de"):
        find_smpl()
    monkeypatch.setenv(ENV_SMPL, str(folder))
    with pytest.raises(FileNotFoundError, match=r"no SMPL_MALE in \$UNIMO_SMPL") as error:
        find_smpl("male")
    assert "\n" not in str(error.value)


def test_official_names_and_folders_are_found(tmp_path, monkeypatch):
    models = tmp_path / "smpl" / "models"
    models.mkdir(parents=True)
    for name in (
        "basicModel_neutral_lbs_10_207_0_v1.0.0.pkl",
        "basicmodel_m_lbs_10_207_0_v1.0.0.pkl",
        OFFICIAL,
    ):
        (models / name).write_bytes(name.encode())
    monkeypatch.setenv(ENV_SMPL, str(tmp_path))
    assert find_smpl().path.name == "basicModel_neutral_lbs_10_207_0_v1.0.0.pkl"
    assert find_smpl("male").path.name == OFFICIAL
    with pytest.raises(FileNotFoundError):
        find_smpl("female")
    (models / "SMPL_MALE.pkl").write_bytes(b"")
    assert find_smpl("male").path.name == "SMPL_MALE.pkl"


def test_a_file_that_changes_gets_another_hash(tmp_path, monkeypatch):
    monkeypatch.setenv(ENV_SMPL, str(tmp_path))
    file = tmp_path / "SMPL_NEUTRAL.npz"
    file.write_bytes(b"one")
    first = find_smpl().sha256
    file.write_bytes(b"another")
    assert find_smpl().sha256 != first


# --- official pickles: chumpy's and scipy's objects beside arrays, written by Python 2 ------------


def foreign(module, name):
    """A class of another package, as far as a pickle can tell."""
    made = type(name, (), {"__module__": module})
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        sys.modules.setdefault(".".join(parts[:end]), types.ModuleType(parts[end - 1]))
    setattr(sys.modules[module], name, made)
    return made


def foreign_object(module, name, **state):
    made = foreign(module, name)()
    made.__dict__.update(state)
    return made


@pytest.fixture
def packages():
    """Forgets the packages that `foreign` made up."""
    before = dict(sys.modules)
    yield
    for name in set(sys.modules) - set(before):
        del sys.modules[name]


def official(arrays, *, select):
    """What an official pickle holds."""

    def chumpy_array(x):
        inner = {"deps": ["x"], "value": None, "out_of_date": True}
        state = {"x": x.astype(np.float64), "_dirty_vars": set(), "_itr": None}
        return foreign_object("chumpy.ch", "Ch", **state, _depends_on_deps={"shape": inner})

    shapes = chumpy_array(arrays["shapedirs"])
    if select:
        ten = np.arange(arrays["shapedirs"].size).reshape(arrays["shapedirs"].shape)[:, :, :10]
        shapes = foreign_object(
            "chumpy.reordering",
            "Select",
            a=shapes,
            idxs=ten.ravel(),
            preferred_shape=ten.shape,
            _dirty_vars={"a"},
        )
    columns = scipy.sparse.csc_matrix(arrays["J_regressor"].astype(np.float64))
    sparse = foreign_object(
        "scipy.sparse.csc",
        "csc_matrix",
        _shape=columns.shape,
        maxprint=50,
        indices=columns.indices,
        indptr=columns.indptr,
        data=columns.data,
    )
    return {
        **arrays,
        "shapedirs": shapes,
        "J_regressor": sparse,
        "J_regressor_prior": sparse,
        "weights_prior": arrays["weights"],
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


class Python2TextPickler(Python2Pickler):
    """Protocol 0, as the larger releases are: text, objects made by ``copy_reg._reconstructor``."""

    dispatch: ClassVar = dict(Python2Pickler.dispatch)

    def __init__(self, file):
        pickle._Pickler.__init__(self, file, protocol=0, fix_imports=True)

    def save_bytes(self, value):
        raw = value.encode("ascii") if isinstance(value, str) else value
        self.write(pickle.STRING + repr(raw)[1:].encode("ascii") + b"\n")
        self.memoize(value)

    def save_name(self, value):
        module = value.__module__.replace("builtins", "__builtin__")
        self.write(pickle.GLOBAL + f"{module}\n{value.__name__}\n".encode())
        self.memoize(value)

    def reducer_override(self, value):
        if type(value).__module__.startswith(("chumpy", "scipy")):
            return copyreg._reconstructor, (type(value), object, None), value.__dict__
        return super().reducer_override(value)

    dispatch[str] = dispatch[bytes] = save_bytes
    dispatch[type] = save_name


class Python3Pickler(pickle._Pickler):
    """Protocol 3, which Python 3 wrote by default until 3.7."""

    def __init__(self, file):
        super().__init__(file, protocol=3)


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("pickler", [Python2Pickler, Python2TextPickler, Python3Pickler])
@pytest.mark.parametrize("select", [False, True])
def test_official_pickles_are_read_without_their_packages(arrays, tmp_path, pickler, select):
    model = dict(arrays)
    if select:
        model["shapedirs"] = np.concatenate([arrays["shapedirs"]] * 2, axis=2)
    file = tmp_path / OFFICIAL
    with file.open("wb") as stream:
        pickler(stream).dump(official(model, select=select))
    found = read_smpl(file)
    for name, wanted in arrays.items():
        np.testing.assert_allclose(found[name], wanted, rtol=1e-6, err_msg=name)
    assert found["J_regressor"].shape == (24, 6890)


def test_nothing_else_is_named_let_alone_run(tmp_path):
    file = tmp_path / OFFICIAL
    file.write_bytes(
        pickle.dumps({"v_template": Trap(exec, f"open({str(tmp_path / 'ran')!r}, 'w')")}, 2)
    )
    with pytest.raises(safe_pickle.UnsafePickleError, match="exec, which is not data"):
        read_smpl(file)
    assert not (tmp_path / "ran").exists()


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("name", ["chumpy.ch ChLambda", "scipy.sparse.csc csr_matrix", "os system"])
def test_other_objects_of_these_packages_are_refused(tmp_path, name):
    module, kind = name.split()
    stream = io.BytesIO()
    stream.write(b"\x80\x02c" + f"{module}\n{kind}\n".encode() + b")\x81.")
    (tmp_path / OFFICIAL).write_bytes(stream.getvalue())
    with pytest.raises(safe_pickle.UnsafePickleError, match="refused"):
        read_smpl(tmp_path / OFFICIAL)


def test_the_plain_loader_knows_no_stand_ins(tmp_path):
    (tmp_path / "x.pkl").write_bytes(b"\x80\x02cchumpy.ch\nCh\n)\x81.")
    with pytest.raises(safe_pickle.UnsafePickleError, match="chumpy"):
        safe_pickle.load(tmp_path / "x.pkl")


def spoilt(arrays, part):
    """A model in which one object says what it must not, and the array it is of."""
    idxs = np.arange(arrays["shapedirs"].size)
    shape = arrays["shapedirs"].shape
    sparse = {"_shape": (24, 6890), "indices": np.zeros(6890, np.int64), "data": np.ones(6890)}
    sparse["indptr"] = np.arange(6891)
    select = {"a": arrays["shapedirs"], "idxs": idxs, "preferred_shape": shape}
    changes = {
        "shapedirs outside": select | {"idxs": idxs + 10**12},
        "shapedirs before": select | {"idxs": idxs - 1},
        "shapedirs text": select | {"idxs": "0123"},
        "shapedirs huge": select | {"preferred_shape": (6890, 3, 10**15)},
        "shapedirs no source": {"idxs": idxs, "preferred_shape": shape},
        "J_regressor outside": sparse | {"indices": np.full(6890, 24)},
        "J_regressor huge": sparse | {"_shape": (2**40, 2**40)},
        "J_regressor columns": sparse | {"indptr": np.arange(6890)},
        "J_regressor backwards": sparse | {"indptr": np.arange(6891)[::-1]},
        "J_regressor few": sparse | {"data": np.ones(3)},
    }
    name = part.split()[0]
    kind = ("chumpy.reordering", "Select") if name == "shapedirs" else ("scipy.sparse.csc",)
    kind = kind if len(kind) == 2 else (*kind, "csc_matrix")
    return {**arrays, name: foreign_object(*kind, **changes[part])}, name


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize(
    "part",
    [f"shapedirs {what}" for what in ("outside", "before", "text", "huge", "no source")]
    + [f"J_regressor {what}" for what in ("outside", "huge", "columns", "backwards", "few")],
)
def test_objects_that_lie_are_refused(arrays, tmp_path, part):
    model, name = spoilt(arrays, part)
    model["posedirs"] = np.zeros((6890, 3, 207), np.float16)  # quick to write
    file = tmp_path / OFFICIAL
    file.write_bytes(pickle.dumps(model, 2))
    with pytest.raises(ValueError, match=name) as error:
        read_smpl(file)
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("packages")
def test_an_object_that_selects_from_itself_ends(arrays, tmp_path):
    loop = foreign_object("chumpy.reordering", "Select", idxs=np.arange(3), preferred_shape=(3,))
    loop.a = loop
    file = tmp_path / OFFICIAL
    file.write_bytes(pickle.dumps({**arrays, "shapedirs": loop}, 2))
    with pytest.raises(ValueError, match="shapedirs"):
        read_smpl(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": None}, "has no weights"),
        ({"v_template": np.zeros((10475, 3))}, r"v_template is float64\(10475, 3\)"),
        ({"posedirs": np.full((6890, 3, 207), np.nan, np.float32)}, "posedirs"),
        ({"shapedirs": np.zeros((6890, 3, 4))}, "ten shape directions"),
        ({"kintree_table": np.full((2, 24), 23)}, "no tree"),
        ({"J_regressor": np.array([None])}, "J_regressor.*it holds objects"),
    ],
)
def test_other_files_are_refused(arrays, tmp_path, change, message):
    changed = {key: value for key, value in {**arrays, **change}.items() if value is not None}
    np.savez(tmp_path / "SMPL_NEUTRAL.npz", **changed)
    with pytest.raises(ValueError, match=message) as error:
        read_smpl(tmp_path / "SMPL_NEUTRAL.npz")
    assert "\n" not in str(error.value)


def test_damaged_files_are_refused(folder, tmp_path):
    whole = (folder / "SMPL_NEUTRAL.npz").read_bytes()
    (tmp_path / "SMPL_NEUTRAL.npz").write_bytes(whole[:-1000])
    with pytest.raises(ValueError, match="cut short: use the official"):
        read_smpl(tmp_path / "SMPL_NEUTRAL.npz")
    (tmp_path / "SMPL_NEUTRAL.pkl").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ValueError, match="no dictionary"):
        read_smpl(tmp_path / "SMPL_NEUTRAL.pkl")


def test_a_body_is_loaded_once(environment):
    assert load_smpl() is load_smpl()
    assert smpl._load.cache_info().maxsize == 3
