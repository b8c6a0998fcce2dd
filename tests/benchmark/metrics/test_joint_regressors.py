"""GVHMR's matrices: where they are found, and that damaged or hostile ones are refused."""

import numpy as np
import pytest
import torch

from benchmark.api.errors import Unavailable
from benchmark.metrics.bodies import joint_regressors
from tests.benchmark.methods import mini_gvhmr_files as mini
from tests.benchmark.methods.official_files import JOINTS14, JOINTS24
from tests.pickle_trap import Trap


def test_rows_that_nearly_sum_to_one_are_scaled_and_others_refused(own):
    file = own.matrices / JOINTS14
    whole = joint_regressors.LSP14.load()
    torch.save(mini.tensor(JOINTS14) * (1 - 4e-4), file)
    assert abs(joint_regressors.LSP14.load() - whole).max() < 1e-7
    np.testing.assert_allclose(joint_regressors.LSP14.load().sum(axis=1), 1, atol=1e-12)
    for spoilt in (mini.tensor(JOINTS14) * 0.9, mini.tensor(JOINTS14) * float("nan")):
        torch.save(spoilt, file)
        with pytest.raises(ValueError, match="do not sum to 1"):
            joint_regressors.LSP14.load()


def test_other_contents_are_refused_and_never_run(own, tmp_path):
    outside = torch.sparse_coo_tensor(
        torch.tensor([[0, 10**9], [0, 10**9]]), torch.ones(2), (24, 6890), check_invariants=False
    )
    file = own.matrices / JOINTS24
    for content, message in (
        (torch.zeros(24, 100), r"holds \(24, 100\), expected \(24, 6890\)"),
        ({"matrix": 1}, "holds dict"),
        (Trap(open, str(tmp_path / "ran"), "w"), "install gvhmr again"),
        (outside, "install gvhmr again"),
    ):
        torch.save(content, file)
        with pytest.raises(ValueError, match=message) as error:
            joint_regressors.SMPL24.load()
        assert "\n" not in str(error.value)
    file.write_bytes(b"damaged")
    with pytest.raises(ValueError, match="install gvhmr again"):
        joint_regressors.SMPL24.load()
    assert not (tmp_path / "ran").exists()


def test_an_interpreter_that_cannot_run_has_no_files(tmp_path, monkeypatch):
    broken = tmp_path / "python"
    broken.write_text("#!/no/such/program\n")
    broken.chmod(0o755)
    monkeypatch.setenv("GVHMR_PYTHON", str(broken))
    with pytest.raises(Unavailable, match="has no package gvhmr"):
        joint_regressors.SMPL24.path()


def test_the_package_is_found_whatever_lies_in_the_current_folder(official, tmp_path, monkeypatch):
    (tmp_path / "gvhmr").mkdir()
    (tmp_path / "gvhmr" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    joint_regressors._package.cache_clear()
    assert joint_regressors.SMPL24.path() == official.matrices / JOINTS24
