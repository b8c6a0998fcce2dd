"""The paper's figures: what they are of, that they show what was measured, and only that."""

import csv
import dataclasses
import functools
import json
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark import discover, run
from benchmark.api.errors import Unavailable
from benchmark.api.table import TASKS
from benchmark.figures.drawing import bodies, strips
from benchmark.figures.figure10 import continued
from benchmark.profiles import smoke
from benchmark.results import figure as illustrate
from benchmark.results.cells import RowOutcome
from benchmark.results.figure_schema import FigureResult, FigureRow
from benchmark.results.origin import Provenance
from benchmark.runs import chain
from benchmark.runs.plan import LEFT_OUT, plan
from benchmark.runs.stages import perform
from benchmark.runs.stores import Stores
from benchmark.runs.work_item import distinct
from tests.benchmark.work import context_in, ignore

FIGURES = discover.summaries("figures")


def figure(name):
    return discover.load("figures", name)


def test_every_figure_that_shows_results_is_there():
    # Figures 1 and 2 are a teaser and a diagram.
    assert set(FIGURES) == {f"figure{number}" for number in range(3, 15)}


@pytest.mark.parametrize("name", FIGURES)
def test_every_row_names_who_fills_it(name):
    spec = figure(name)
    assert spec.id == name and spec.rows.keys() <= TASKS.keys()
    rows = [(task, row) for task, own in spec.rows.items() for row in own]
    for task, row in rows:
        discover.method(row.method, task)  # raises where it does not do the task
    assert len({row.label for _, row in rows}) == len(rows)
    assert {row.dataset for _, row in rows} - {""} <= discover.summaries("datasets").keys()
    for note in spec.notes:
        assert note.endswith(".") and note == " ".join(note.split())


@pytest.mark.parametrize("name", sorted(set(FIGURES) - {"figure13", "figure14"}))
def test_figures_show_systems_that_tables_measure(name):
    """Equal methods and parameters are equal work, so one training serves both."""
    measured = [
        (table.task, row.method, row.params)
        for table in map(lambda name: discover.load("tables", name), discover.summaries("tables"))
        for row in (*table.rows, *table.more_rows)
    ]
    for task, rows in figure(name).rows.items():
        assert all((task, row.method, row.params) in measured for row in rows)


def test_list_show_and_all(capsys):
    assert run.main(["list", "figures"]) == 0
    assert run.main(["show", "figure7"]) == 0
    shown = capsys.readouterr().out
    assert "figure12" in shown and "v2m: Only V2M, Our" in shown
    tables, figures = discover.exhibits(["figure7", "all"])
    assert {figure.id for figure in figures} == set(FIGURES)
    assert {table.id for table in tables} == set(discover.summaries("tables"))


@pytest.fixture(scope="module")
def made(shots_folder, tmp_path_factory):
    """Figures 6, 7 and 10 planned on two test clips, and their work done with tiny models."""
    folder = tmp_path_factory.mktemp("figures")
    profile = smoke().with_steps(2)
    context = context_in(folder)
    specs = [figure(name) for name in ("figure6", "figure7", "figure10")]
    planned = plan(specs, profile, Stores(profile, data=[shots_folder], limit=2))
    assert planned.refused == {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("model.transformer.train.token_set.CACHE", folder / "tokens")
        for item in distinct(planned.items):
            perform(context, item, progress=ignore)

    def draw(name, out, *, always=True):
        systems = [
            RowOutcome(
                row=row.row,
                items=row.items,
                outcomes=[chain.lookup(context, item) for item in row.items],
                task=row.task,
            )
            for row in planned.rows[name]
        ]
        result, paths = illustrate.illustrate(
            figure(name),
            systems,
            out,
            context=context,
            profile=profile,
            options={"data": "shots", "seeds": [0]},
            always=always,
        )
        return result, {path.suffix: path for path in paths}

    first = functools.cache(lambda name: draw(name, folder / "first"))
    return SimpleNamespace(draw=draw, first=first, rows=planned.rows, context=context)


def test_figure_7_has_the_curves_of_the_trainings(made):
    result, paths = made.first("figure7")
    assert FigureResult.from_json(json.loads(paths[".json"].read_text())) == result
    assert paths[".png"].read_bytes().startswith(b"\x89PNG")
    assert result.status == "drawn" and illustrate.complete(result)
    curves = result.values["losses"]
    columns = {
        "Only V2M": {"v2m_motion"},
        "Our": {"v2m_motion", "i2vm_motion", "i2vm_visual"},
        "Only I2VM": {"i2vm_motion", "i2vm_visual"},
    }
    assert curves.keys() == columns.keys()
    for row in made.rows["figure7"]:
        file = chain.train_stage(made.context, row.items[0]).folder / "losses.csv"
        with file.open(newline="") as text:
            lines = list(csv.DictReader(text))
        found = curves[row.row.label]
        names = columns[row.row.label]
        assert found.keys() == names | {f"held_out_{name}" for name in names}
        for name, points in found.items():
            wanted = {int(line["step"]): float(line[name]) for line in lines if line[name]}
            assert dict(zip(points["step"], points["value"], strict=True)) == wanted


def test_the_same_input_gives_the_same_bytes(made, tmp_path):
    """Of a strip of pictures; what is drawn already is compared for curves, below."""
    _, first = made.first("figure6")
    _, second = made.draw("figure6", tmp_path / "second")
    assert_same_files(first, second)


def assert_same_files(first, second):
    assert first.keys() == second.keys() > {".json", ".md", ".png"}
    for suffix in first.keys() - {".json"}:
        assert first[suffix].read_bytes() == second[suffix].read_bytes()


def test_what_is_drawn_already_is_not_drawn_again(made, tmp_path, monkeypatch):
    result, paths = made.draw("figure7", tmp_path)
    assert_same_files(made.first("figure7")[1], paths)
    with monkeypatch.context() as patch:
        patch.setattr(illustrate, "write_pictures", None)  # cannot be called
        assert made.draw("figure7", tmp_path, always=False)[0] == result
    (tmp_path / "figure7.md").unlink()
    assert ".md" in made.draw("figure7", tmp_path, always=False)[1]


def test_a_strip_shows_clips_by_rank_and_their_errors(made):
    result, _ = made.first("figure6")
    errors = result.values["mpjpe_mm"]
    assert errors.keys() == {"Only V2M", "Uni-Embed.", "Our"}
    assert "percentiles 25, 75" in result.caption
    ours = list(errors["Our"].values())
    assert tuple(errors["Our"]) == result.clips and ours == sorted(ours)
    # The error is the one that tables have: that of the metric, by the same joints.
    scored = _scored(made)
    for name, value in errors["Our"].items():
        assert value == pytest.approx(scored[name], rel=1e-6)


def _scored(made):
    """MPJPE of each clip by the metric, of our row."""
    (row,) = (row for row in made.rows["figure6"] if row.row.label == "Our")
    item = dataclasses.replace(row.items[0], metrics=("pose",))
    perform(made.context, item, progress=ignore)
    scores = chain.lookup(made.context, item).scores["pose"]
    return {score.clip_id: score.sum / score.count for score in scores if score.column == "mpjpe"}


def test_a_figure_without_its_data_says_so_and_has_no_picture(tmp_path):
    for suffix in (".png", ".svg"):
        (tmp_path / "smoke").mkdir(exist_ok=True)
        (tmp_path / "smoke" / f"figure13{suffix}").write_text("of an earlier run")
    words = ["figure13", "--profile", "smoke", "--out", str(tmp_path), "--quiet"]
    assert run.main(words) == 0
    result = json.loads((tmp_path / "smoke" / "figure13.json").read_text())
    assert result["status"] == "unavailable" and "no store of threedpw" in result["reason"]
    assert "unavailable: " in (tmp_path / "smoke" / "figure13.md").read_text()
    assert not list((tmp_path / "smoke").glob("figure13.[ps][nv]g"))
    assert run.main([*words, "--strict"]) == 3


def test_missing_systems_are_named_beside_those_that_are_there():
    def result(status="drawn", *reasons):
        return FigureResult(
            figure="figure4", title="", profile="smoke", data="", body="", status=status,
            reason=None, values={}, notes=(), drawn_from="", provenance=Provenance(packages={}),
            rows=tuple(
                FigureRow(
                    label=str(number),
                    task="v2m",
                    status="unavailable" if reason else "measured",
                    reason=reason,
                )
                for number, reason in enumerate(reasons)
            ),
        )  # fmt: skip

    assert illustrate.complete(result("drawn", None, None))
    assert not illustrate.complete(result("drawn", None, "not installed"))
    assert illustrate.complete(result("drawn", None, LEFT_OUT))
    assert illustrate.complete(result("unavailable", LEFT_OUT))  # none was asked for


def test_longer_videos_are_pieces_that_share_a_picture(made):
    """Of a model whose pieces count up from the picture they are given."""

    class Counting:
        model = SimpleNamespace(config=SimpleNamespace(num_frames=5))
        codec = SimpleNamespace(decode=lambda tokens: tokens)

        def i2vm(self, pictures, seeds):
            seen.append(list(seeds))
            steps = np.arange(5, dtype=np.uint8)[:, None, None, None]
            channels = np.zeros((len(pictures), 5, 79), np.float32)
            channels[..., 78] = 0.25 * seeds[0]  # each piece 25 cm further away
            return np.stack([picture[None] + steps for picture in pictures]), channels

    seen = []
    pictures = np.array([10, 20], np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    videos, motions, jumps = continued(Counting(), pictures, [0, 0], frames=11)
    assert seen == [[0, 0], [1, 1], [2, 2]]
    assert videos.shape == (2, 11, 2, 2, 3) and motions.shape == (2, 11, 79)
    assert np.array_equal(videos[:, :, 0, 0, 0], [[*range(10, 21)], [*range(20, 31)]])
    assert np.allclose(jumps, 250, atol=1e-2) and jumps.shape == (2, 2)
    assert np.allclose(motions[0, [3, 4, 5], 78], [0, 0.125, 0.25])


def test_a_drawing_that_fails_says_so_and_is_tried_again(made, tmp_path, monkeypatch):
    def broken(*arguments):
        raise ValueError("a video is damaged")

    """Of figure 10, whose clips are those that did not fail."""
    with monkeypatch.context() as patch:
        patch.setattr("benchmark.figures.figure10.continued", broken)
        result, paths = made.draw("figure10", tmp_path)
        assert (result.status, result.reason) == ("failed", "a video is damaged")
        assert paths.keys() == {".json", ".md"}
    result, paths = made.draw("figure10", tmp_path, always=False)
    assert (result.status, result.reason) == ("drawn", None)
    assert len(result.clips) == 2 and ".png" in paths


def test_ranks_leave_out_what_has_no_error():
    errors = np.array([5.0, np.nan, 1.0, 3.0, 2.0, 4.0])
    assert bodies.at_percentiles(errors, (0, 50, 100)) == [2, 3, 0]
    assert bodies.at_percentiles(errors[:2], (10, 90)) == [0]
    with pytest.raises(Unavailable):
        bodies.at_percentiles(np.array([np.nan]), (50,))


def test_clips_and_frames_are_spread_evenly():
    assert bodies.evenly_spaced(range(12), 3) == [2, 6, 10]
    assert bodies.evenly_spaced([7], 3) == [7]
    assert bodies.times(17, 4) == [0, 5, 11, 16]
    assert strips.every_nth(65) == [0, 10, 20, 30, 40, 50, 60]
    assert strips.every_nth(17) == [0, 3, 6, 9, 12, 15]


def test_a_perfect_reconstruction_covers_the_true_body_on_the_stage(clips_folder):
    from datasets.motion import Motion
    from datasets.store.reader import ClipStore

    store = ClipStore.open(clips_folder)
    (name, *_) = store.ids("test")
    channels = store.channels([name])[0]
    truth = Motion.from_channels(channels, fps=30, space=store.spaces([name])[0])
    aside = channels.copy()
    aside[:, 76] += 0.3
    true, same, moved = bodies.on_stage(truth, [(channels, "#D55E00"), (aside, "#D55E00")], [0, 30])
    # Beside the two bodies all pictures are the same.
    covered, half_covered = (
        (np.ptp(made.astype(int), axis=-1) > 40)[(made != true).any(axis=-1)].mean()
        for made in (same, moved)
    )
    assert covered > 0.9 and half_covered < 0.75
