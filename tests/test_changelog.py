"""CHANGELOG.md has a line for each version that was raised."""

import ast
import re
from pathlib import Path

from benchmark import discover

ROOT = Path(__file__).parents[1]
CONSTANT = re.compile(r"(SCHEMA|RULE|FORMAT)_VERSION")


def constants():
    """Words and value of every version of a file format or a rule: ``store schema version``, 2."""
    for layer in ("datasets", "model", "benchmark"):
        for file in sorted((ROOT / layer).rglob("*.py")):
            for node in ast.parse(file.read_text("utf-8")).body:
                names = [t.id for t in getattr(node, "targets", ()) if isinstance(t, ast.Name)]
                for name in filter(CONSTANT.fullmatch, names):
                    yield f"{file.parent.name} {name.replace('_', ' ').lower()}", node.value.value


def plug_ins():
    """Words and value of the version of every method, metric and dataset."""
    for kind in ("methods", "metrics", "datasets"):
        for name in discover.summaries(kind):
            found = discover.load(kind, name)
            for one in found.values() if kind == "methods" else [found]:
                yield f"{kind[:-1]} {name} version", one.version


def test_every_raised_version_has_its_line():
    text = " ".join((ROOT / "CHANGELOG.md").read_text("utf-8").split())
    versions = [*constants(), *plug_ins()]
    assert len(versions) > 25
    missing = {
        f"{words} {value}"
        for words, value in versions
        if value > 1 and not re.search(rf"\b{words} {value}\b", text)
    }
    assert missing == set()


def test_what_is_coming_stands_first():
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert headings[0] == "Unreleased" and headings[-1] == "0.1.0"
