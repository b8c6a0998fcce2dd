"""Adapters are found by name without importing anything heavy."""

import subprocess
import sys

import pytest

from datasets import adapters


def test_every_name_resolves_to_an_adapter_of_that_name():
    names = adapters.names()
    assert names == sorted(names)
    assert {"amass", "bvh", "smplx_npz"} <= set(names)
    for name in names:
        adapter = adapters.get(name)
        assert adapter.name == name
        assert isinstance(adapter.version, int)
        assert isinstance(adapter.needs_root, bool)


def test_modules_without_the_attribute_are_not_datasets():
    assert not {"motion", "rotation", "prepare", "splits", "assets"} & set(adapters.names())


def test_an_unknown_name_gets_the_nearest_match_and_all_names():
    with pytest.raises(ValueError, match=r"mean smplx_npz.*amass, bedlam, bvh"):
        adapters.get("smplxnpz")
    with pytest.raises(ValueError, match="amass, bedlam, bvh"):
        adapters.get("")


def test_listing_and_help_import_nothing_heavy():
    code = (
        "import sys; from datasets import adapters; adapters.names()\n"
        "from datasets.prepare.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'torch', 'pyarrow', 'tqdm'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
