"""How often a run asks its cache: once an item, and a cached item costs a few reads."""

import sys
from collections import Counter

import pytest

from benchmark import run
from benchmark.runs import artifacts, cache, chain
from datasets.tools import files
from tests.benchmark.commands.comparing import without_workers


@pytest.fixture
def count(monkeypatch):
    """A counter of the calls of functions, wherever they are imported; they still run."""
    calls = Counter()

    def watch(module, name):
        function = getattr(module, name)

        def counted(*args, **options):
            calls[name] += 1
            return function(*args, **options)

        for other in list(sys.modules.values()):
            if getattr(other, name, None) is function:
                monkeypatch.setattr(other, name, counted)

    watch(chain, "lookup")
    watch(files, "read_json")
    watch(artifacts, "read_scores")
    watch(cache, "make_key")
    return calls


@pytest.mark.usefixtures("no_drawing")
def test_a_cached_run_looks_each_item_up_once(clips_folder, tmp_path, monkeypatch, count, capsys):
    monkeypatch.setattr("benchmark.runs.outcomes.execute", without_workers)
    words = ["table1", "figure11", "--profile", "smoke", "--data", str(clips_folder)]
    words += ["--steps", "1", "--limit", "2", "--quiet", "--out", str(tmp_path)]
    assert run.main(words) == 0
    assert run.main([*words, "--dry-run"]) == 0
    work = [line for line in capsys.readouterr().out.splitlines() if line.endswith(": cached")]
    items = len(work)
    assert items > 1
    for more in ([], ["--dry-run"]):
        count.clear()
        assert run.main([*words, *more]) == 0
        assert count["lookup"] == items
        # Four stages an item, and the files of the reports.
        assert count["read_json"] <= 5 * items + 5
        assert count["read_scores"] <= 2 * items
        # Its identity, once a row that it stands in, and its stages.
        assert count["make_key"] <= 8 * items
