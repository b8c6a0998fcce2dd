"""What is drawn beside the page from the cache of runs: charts and galleries, kept and redrawn."""

import json
import random
import shutil

import pytest

from benchmark import discover
from benchmark.commands.regenerate import regenerate
from benchmark.commands.request import Options
from benchmark.profiles import smoke
from benchmark.runs import outcomes
from datasets.tools.files import read_json
from datasets.video.files import read_video
from tests.benchmark.commands.comparing import without_workers
from tests.benchmark.results.pages import HOSTILE, Page, page_of, squeezed
from tests.damage import cut, edit_json, flip_bit, rewrite_json


def measure(name, store, out):
    """The reports folder of a table, measured with models trained for three steps."""
    profile = smoke().with_steps(3)
    options = Options(
        data=[store], test=None, train=False, decoder=None, seedvr=False,
        rows=[], limit=None, steps=None, seeds=[0], device="cpu", workers=1,
        body=None, checkpoint=[], out=out, dry_run=False, always=None, retry=False, strict=False,
        quiet=True, full=False, json=False,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcomes, "execute", without_workers)
        assert regenerate([discover.load("tables", name)], profile, options) == 0
    return out / f"smoke-{store.name}"


@pytest.fixture(scope="module")
def measured(tmp_path_factory, shots_folder):
    return measure("table3", shots_folder, tmp_path_factory.mktemp("reports"))


@pytest.fixture
def drawn(measured, tmp_path):
    """A folder with the reports of table 3, drawn from the cache beside it."""
    return shutil.copytree(measured.parent, tmp_path / "reports") / measured.name


def check_gallery(folder, name, ours):
    """Its clips go from our best to our worst, in videos of six pictures each."""
    page = Page((folder / "index.html").read_text("utf-8"))
    files = videos(page)
    assert len(files) == 3 and all((folder / file).is_file() for file in files)
    entry = read_json(folder / "gallery" / "gallery.json")["entries"][name]
    errors = [clip["error"] for clip in entry["clips"]]
    assert errors == sorted(errors)
    assert [clip["rank"] for clip in entry["clips"]] == [1, 4, 7]
    assert len(entry["panels"]) == 6
    frames = read_video(folder / "gallery" / entry["files"][0])
    assert frames.shape[0] == 17 and frames.shape[2] * 2 == frames.shape[1] * 3
    (section,) = page.all("section", id=f"gallery-{name}")
    assert f"{errors[-1]:.1f} mm rank 7 of 7, the worst" in squeezed(section[2])
    cells = read_json(folder / f"{name}.json")["cells"]
    mean = next(cell["value"] for cell in cells if (cell["row"], cell["column"]) == (ours, "mpjpe"))
    assert errors[0] <= mean <= errors[-1]


def videos(page):
    return [video[1]["src"].partition("#")[0] for video in page.all("video")]


def test_the_gallery_goes_from_the_best_to_the_worst(drawn):
    check_gallery(drawn, "table3", "Our")


@pytest.mark.slow
def test_the_gallery_of_generated_videos(shots_folder, tmp_path):
    check_gallery(measure("table2", shots_folder, tmp_path / "reports"), "table2", "Ours")


def test_what_was_drawn_is_kept_without_the_cache(drawn):
    before = (drawn / "index.html").read_bytes()
    shutil.rmtree(drawn.parent / "runs")
    page = page_of(drawn, drawn.parent / "runs")
    assert (drawn / "index.html").read_bytes() == before
    assert len(videos(page)) == 3
    assert {image[1]["src"] for image in page.all("img")} == {
        "page/table3-errors.png",
        "page/table3-losses.png",
    }


@pytest.mark.parametrize("row", ["Our", "built-in regressor"])
def test_what_is_of_other_runs_is_left_out(drawn, row):
    shutil.rmtree(drawn.parent / "runs")
    path = drawn / "table3.json"
    result = read_json(path)
    for run in result["provenance"]["runs"][row].values():
        run["run_id"] = run["run_id"].partition("/")[0] + "/" + "0" * 16
    rewrite_json(path, result)
    page = page_of(drawn, drawn.parent / "runs")
    assert not videos(page) and not page.all("img")
    assert page.all("section", id="table3")
    assert not page.all("section", id="gallery-table3")


def test_what_cannot_be_drawn_though_the_runs_are_there_is_told(drawn, capsys):
    shutil.rmtree(drawn / "page")
    for scores in (drawn.parent / "runs" / "score").glob("*/scores.parquet"):
        scores.write_bytes(b"damaged")
    page = page_of(drawn, drawn.parent / "runs")
    assert "page/table3-errors.png" not in {image[1]["src"] for image in page.all("img")}
    (line,) = capsys.readouterr().err.splitlines()
    assert "page/table3-errors is not drawn: " in line


@pytest.mark.slow
def test_a_lost_clip_is_drawn_again_byte_by_byte(drawn):
    clip = drawn / "gallery" / "table3-0001.mp4"
    before = clip.read_bytes()
    clip.unlink()
    page_of(drawn, drawn.parent / "runs")
    assert clip.read_bytes() == before


def test_charts_are_drawn_again_byte_by_byte(drawn):
    before = {path.name: path.read_bytes() for path in (drawn / "page").iterdir()}
    shutil.rmtree(drawn / "page")
    page_of(drawn, drawn.parent / "runs")
    assert {path.name: path.read_bytes() for path in (drawn / "page").iterdir()} == before


@pytest.mark.parametrize("damage", [flip_bit, cut, edit_json])
def test_a_damaged_index_of_drawings_is_said_and_made_again(drawn, capsys, damage):
    index = drawn / "page" / "page.json"
    before = index.read_bytes()
    damage(index, random.Random(0))
    page_of(drawn, drawn.parent / "runs")
    assert index.read_bytes() == before
    assert f"{index} is damaged: what it names is drawn again\n" in capsys.readouterr().err


def test_hostile_names_in_what_is_drawn(drawn):
    for path in (drawn / "table3.json", drawn / "gallery" / "gallery.json"):
        text = path.read_text("utf-8")
        changed = json.loads(text.replace("built-in regressor", json.dumps(HOSTILE)[1:-1]))
        rewrite_json(path, changed)
    page = page_of(drawn, drawn.parent / "runs")
    (script,) = page.all("script")
    assert "alert" not in script[2]
    assert len(videos(page)) == 3
    assert all(HOSTILE in video[1]["aria-label"] for video in page.all("video"))
