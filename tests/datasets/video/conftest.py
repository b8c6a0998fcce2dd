import pytest

from datasets.video import files


@pytest.fixture(params=["decord", "pyav"])
def reader(request, monkeypatch):
    """Both ways of reading."""
    if request.param == "pyav":
        monkeypatch.setattr(files, "decord", None)
    elif files.decord is None:
        pytest.skip("decord is not installed")
