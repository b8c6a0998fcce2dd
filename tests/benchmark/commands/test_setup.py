import re
import sys

import pytest

from benchmark import run
from datasets.tools import isolated


def test_setup_alone_lists_the_tools_and_their_state(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("UNIMO_TOOLS", str(tmp_path))
    monkeypatch.delenv("GVHMR_PYTHON", raising=False)
    assert run.main(["setup"]) == 0
    assert "gvhmr        gvhmr is not installed: run `python -m" in capsys.readouterr().out
    monkeypatch.setenv("GVHMR_PYTHON", sys.executable)
    assert run.main(["setup"]) == 0
    assert f"installed: {sys.executable}" in capsys.readouterr().out


def test_an_unknown_tool_gets_the_nearest_match(capsys):
    assert run.main(["setup", "gvhm"]) == 2
    assert "unknown tool 'gvhm'. Did you mean gvhmr?" in capsys.readouterr().err


def test_doctor_tells_tools_and_weights_and_does_not_need_them(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("GVHMR_PYTHON", sys.executable)
    for variable in ("GVHMR_CHECKPOINTS", "PHALP_HOME"):
        monkeypatch.delenv(variable, raising=False)
    code = run.main(["doctor"])
    text = capsys.readouterr().out
    assert re.search(rf"installed +gvhmr +{re.escape(sys.executable)}", text)
    assert re.search(r"below \$GVHMR_CHECKPOINTS \(not set", text)
    assert re.search("absent +4D-Humans +install 4D-Humans", text)
    assert re.search(r"missing +gvhmr/gvhmr_siga24_release.ckpt +163,508,011 bytes", text)
    assert code == int("MISSING" in text)


@pytest.mark.slow
def test_a_build_that_fails_says_where(capfd, monkeypatch, tmp_path):
    (tmp_path / "tiny.txt").write_text("# pip install --no-index\ntiny==1.0\n")
    monkeypatch.setattr(isolated, "REQUIREMENTS", tmp_path)
    monkeypatch.setenv("UNIMO_TOOLS", str(tmp_path))
    assert run.main(["setup", "tiny"]) == 1
    assert "error: tiny: step 1 of 1 failed" in capfd.readouterr().err
