"""The page in a browser: it never scrolls sideways, its tables do."""

import dataclasses
import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmark.results.page import document
from benchmark.results.page.document import write_page
from benchmark.results.reading import read
from datasets.tools.files import write_json

REPORTS = Path(__file__).parents[3] / "reports" / "embedded"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# The page in a frame of a width, as windows cannot be as narrow as telephones.
FRAME = """<!DOCTYPE html><body><iframe width="{width}" height="900" srcdoc="{page}"></iframe>
<script>
const frame = document.querySelector("iframe");
frame.onload = () => {{
  const page = frame.contentDocument;
  page.querySelectorAll("details").forEach((one) => {{ one.open = true; }});
  const first = page.querySelector(".values tbody th");
  page.querySelector(".scroll").scrollLeft = 1e6;
  const left = first.getBoundingClientRect().left;
  document.body.dataset.found = page.documentElement.scrollWidth + " " + (left >= 0);
}};
</script>"""


def test_what_scrolls_sideways_holds_what_is_unseen_in_it():
    style = (Path(document.__file__).parent / "style.css").read_text("utf-8")
    (rule,) = re.findall(r"^\.scroll \{(.*?)\}", style, re.S | re.M)
    assert "overflow-x: auto" in rule and "position: relative" in rule
    (rule,) = re.findall(r"^\.unseen \{(.*?)\}", style, re.M)
    assert "position: absolute" in rule


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("columns", [0, 200])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_as_wide_as_its_window(width, columns, tmp_path):
    folder = shutil.copytree(REPORTS, tmp_path / "embedded")
    if columns:
        result = read(REPORTS).tables["table1"]
        keys = [f"c{number}" for number in range(columns)]
        wide = dataclasses.replace(
            result,
            columns=tuple(dataclasses.replace(result.columns[0], key=key) for key in keys),
            cells=tuple(
                dataclasses.replace(result.cell(row.label, "mpjpe"), column=key)
                for row in result.rows
                for key in keys
            ),
        )
        write_json(folder / "table1.json", wide.to_json())
    page, _ = write_page(folder, tmp_path / "nowhere")
    text = FRAME.format(width=width, page=html.escape(page.read_text("utf-8")))
    (tmp_path / "frame.html").write_text(text)
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu"),
            *("--virtual-time-budget=5000", "--dump-dom", str(tmp_path / "frame.html")),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    found = re.search(r'data-found="(\d+) (\w+)"', done.stdout)
    # The labels of rows stay at the left of a table that is scrolled to its end.
    assert int(found[1]) <= width and found[2] == "true"
