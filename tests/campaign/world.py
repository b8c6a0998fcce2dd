"""A small world: stores, trained models, a run cache; and the states in which commands meet it."""

import importlib
import itertools
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from datasets.adapters.embedded import EmbeddedDataset
from datasets.adapters.embedded_shots import EmbeddedShots
from datasets.prepare.prepare_store import prepare
from tests.campaign.home import Home

_SMOKE = "--profile smoke --steps 3 --workers 2 --quiet --out reports"
COMMANDS = {
    "prepare": "datasets.prepare embedded_shots --out made --limit 12 --frames 17 --size 64 "
    "--workers 2 --quiet",
    "pseudo_gt": "datasets.pseudo_gt --store shots --out motion --estimator regressor "
    "--checkpoint reg/model.safetensors --quiet",
    "tokenizer": "model.tokenizer.train --data walks --out tok --steps 4 --batch-size 2 --quiet",
    "transformer": "model.transformer.train --data shots --out unimo --steps 4 --batch-size 2 "
    "--quiet",
    "regressor": "model.regressor.train --out reg --steps 4 --sequences 3 --quiet",
    "generate": "model.generate v2m clip.mp4 --out gen --checkpoint unimo/model.safetensors "
    "--quiet",
    "table": f"benchmark.run run table5 --data walks --rows s=1/36?B=256 {_SMOKE}",
    "i2vm": f"benchmark.run run table2 --data shots --rows Ours --limit 2 {_SMOKE}",
    "compare": "benchmark.run compare --checkpoint tok/model.safetensors --against paper "
    "--task tokenizer --data walks --workers 1 --quiet --out reports",
    "report": "benchmark.run report --out reports",
}
_STORE = ("index.parquet", "motion.parquet", "gt.parquet", "manifest.json")
RESULTS = {
    "prepare": (*(f"made/{name}" for name in _STORE), "made/videos/**/*.mp4"),
    "pseudo_gt": tuple(f"motion/{name}" for name in (*_STORE, "pseudo_gt.parquet")),
    "tokenizer": ("tok/model.*",),
    # Not resume.*, which holds how long it took.
    "transformer": tuple(f"unimo/{name}.*" for name in ("model", "tokenizer", "codec")),
    "regressor": ("reg/model.*",),
    "generate": ("gen/*",),
    "table": ("reports/smoke*/table*.json", "reports/smoke*/table*.md"),
    "i2vm": ("reports/smoke*/table*.json", "reports/smoke*/table*.md"),
    "compare": ("reports/compare/*/*",),
    "report": ("reports/*/*.md", "reports/*/*.csv", "reports/*/*.tex", "reports/*/*.html"),
}


class World:
    """The states, each a folder that `Home.restore` copies, by name.

    ``base`` holds stores and inputs alone, ``trained`` what the trainings made of them; those with
    a command's name what it had made when it was stopped halfway; ``... done`` what it has made.
    """

    def __init__(self, home: Home, temporary: Path):
        self._home, self._folder = home, temporary / "states"

    def state(self, name: str) -> Path:
        """The folder of a state."""
        return self._folder / name

    def build(self) -> None:
        """Make all states."""
        self._home.restore(None)
        self._do("prepare", _prepare_stores)
        self._keep("base")
        self._keep("empty", only=())
        for name in ("tokenizer", "transformer", "regressor"):
            self._do(name, _interrupted, code=130)
            self._keep(name)
            self._do(name)
        self._keep("trained")
        self._keep("tokens", only=("shots", "data"))
        self._do("pseudo_gt", _killed("datasets.pseudo_gt.worker", "write_rows", 6), code=9)
        self._keep("pseudo_gt", only=("shots", "reg", "motion"))
        self._do("pseudo_gt")
        (self._home.folder / "motion" / "manifest.json").unlink()  # killed right before its end
        self._keep("pseudo_gt done", only=("shots", "reg", "motion"))
        self._home.restore(None)
        self._do("prepare", _killed("datasets.store.writer", "ClipStoreWriter.add", 9), code=9)
        self._keep("prepare")
        for name, needs in (("table", ("walks",)), ("i2vm", ("shots", "data"))):
            self._home.restore(self.state("trained"))
            self._do(name)
            self._keep(f"{name} done", only=(*needs, "reports"))

    def _do(self, name: str, before: Callable | None = None, code: int = 0) -> None:
        print(f"building: {name}", file=sys.stderr, flush=True)
        ran = self._home.run(COMMANDS[name], inline=True, before=before)
        if ran.code != code:
            raise RuntimeError(f"{COMMANDS[name]}: exit code {ran.code}: {ran.err}")

    def _keep(self, name: str, only: tuple[str, ...] | None = None) -> None:
        names = [path.name for path in self._home.folder.iterdir()]
        self.state(name).mkdir(parents=True)
        for own in names if only is None else only:
            source, target = self._home.folder / own, self.state(name) / own
            shutil.copytree(source, target) if source.is_dir() else shutil.copy2(source, target)


def _prepare_stores() -> None:
    """Write the stores and inputs that commands read; then end the process."""
    prepare(EmbeddedDataset(2, 2), None, Path("walks"), video_size=None, progress=False)
    shots = EmbeddedShots(2, 1, shot_frames=17, image_size=64)
    prepare(shots, None, Path("shots"), num_frames=17, video_size=64, progress=False)
    shutil.copy(min(Path("shots", "videos").rglob("*.mp4")), "clip.mp4")
    os._exit(0)


def _interrupted() -> None:
    """Have the training get Ctrl-C in its third step."""
    from model.training.loop import TrainingRun

    update = TrainingRun.update

    def update_and_stop(self, *args):
        if self.step == 2:
            signal.raise_signal(signal.SIGINT)
        update(self, *args)

    TrainingRun.update = update_and_stop


def _killed(module: str, path: str, calls: int) -> Callable[[], None]:
    """Have the process die at this call of a function."""

    def before() -> None:
        owner = importlib.import_module(module)
        *names, last = path.split(".")
        for name in names:
            owner = getattr(owner, name)
        function, count = getattr(owner, last), itertools.count(1)

        def call(*args, **options):
            if next(count) == calls:
                os._exit(9)
            return function(*args, **options)

        setattr(owner, last, call)

    return before
