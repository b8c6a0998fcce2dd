"""README and docs/: their commands are understood, links lead somewhere, the example runs."""

import argparse
import importlib
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = ("benchmark.", "datasets.", "model.")


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)


def commands():
    """(page, words after ``-m``) of every command of ours in the pages' shell blocks and tables."""
    for page in PAGES:
        lines = "\n".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
        lines += re.findall(r"`(python -m [^`]+)`", page.read_text("utf-8").replace("\n", " "))
        for line in lines:
            words = shlex.split(line, comments=True)
            while "-m" in words:
                words = words[words.index("-m") + 1 :]
                if words[0].startswith(PROGRAMS):
                    yield page.name, tuple(words)


def command_module(name):
    """The module that ``python -m name`` runs."""
    package = importlib.util.find_spec(name).submodule_search_locations
    return importlib.import_module(f"{name}.__main__" if package else name)


class Parsed(BaseException):
    """Nothing of the program runs after its command line is understood."""


COMMANDS = sorted({command for _, command in commands()})


def test_there_are_commands_of_all_three_packages():
    assert {words[0].partition(".")[0] for words in COMMANDS} == {"benchmark", "datasets", "model"}
    assert len(COMMANDS) > 60


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_of_the_pages_is_understood(words, monkeypatch):
    parse = argparse.ArgumentParser.parse_args

    def only_parse(self, args=None, namespace=None):
        parse(self, args, namespace)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_parse)
    with pytest.raises(Parsed):
        command_module(words[0]).main(list(words[1:]))


@pytest.mark.parametrize("words", [w for w in COMMANDS if w[0] == "benchmark.run"], ids=" ".join)
def test_what_they_name_exists(words):
    from benchmark import discover, run
    from datasets.tools import isolated

    verb = words[1] if len(words) > 1 and words[1] in run.VERBS else "run"
    names = [word for word in words[1:] if re.fullmatch(r"(table|figure)\d+", word)]
    assert set(names) <= {*discover.summaries("tables"), *discover.summaries("figures")}
    if verb == "setup" and len(words) > 2 and words[2].islower():
        assert words[2] in isolated.names()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_every_page_of_docs_is_linked_from_the_readme():
    readme = (ROOT / "README.md").read_text("utf-8")
    assert all(f"(docs/{page.name})" in readme for page in (ROOT / "docs").glob("*.md"))


def test_the_example_of_ones_own_system_is_measured(clips_folder, tmp_path):
    """In a copy of the program, as a user adds the file to a clone."""
    (example,) = re.findall(
        r"<!-- example -->\n```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S
    )
    for package in ("benchmark", "datasets", "model"):
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    (tmp_path / "benchmark" / "methods" / "mine.py").write_text(example)
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(b"whatever the system keeps its weights in")
    weights.with_suffix(".json").write_text('{"class": "Mine"}')
    words = ["table1", "--profile", "smoke", "--steps", "2", "--rows", "Our", "--limit", "2"]
    words += ["--workers", "1"]
    words += ["--data", clips_folder, "--checkpoint", weights, "--out", tmp_path / "reports"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmark.run", *map(str, words)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (written,) = (tmp_path / "reports").glob(f"smoke-{clips_folder.name}*/table1.json")
    result = json.loads(written.read_text())
    cells = {(cell["row"], cell["column"]): cell for cell in result["cells"]}
    mine, ours = cells["checkpoint mine", "mpjpe"], cells["Our", "mpjpe"]
    assert mine["status"] == ours["status"] == "measured"
    assert 0 < mine["value"] < ours["value"]  # two steps of training against an interpolation
