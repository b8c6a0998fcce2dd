"""Damage to one file, then the command that reads it: was it said, harmless, or silently used?"""

import random
import re
import shutil
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaign.edits import edit
from tests.campaign.home import Home, Ran
from tests.campaign.world import COMMANDS, RESULTS, World
from tests.damage import cut, flip_bit

OUTCOMES = ("detected", "harmless", "silently used", "traceback")
_SAID = re.compile(
    r"damage|made again|anew|error|refuse|cannot be|left out|sha256|cut short|clips failed", re.I
)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Files to damage, and the command that reads them.

    Attributes:
        state: in which the command meets them.
        command: a name of `COMMANDS`, and words to add.
        files: globs below the home.
        out: results that are removed first, so that the command reads its inputs.
    """

    state: str
    command: str
    files: tuple[str, ...]
    out: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The command's name."""
        return self.command.partition(" ")[0]

    @property
    def line(self) -> str:
        """The command."""
        return COMMANDS[self.name] + self.command.removeprefix(self.name)


def _store(name: str) -> tuple[str, ...]:
    files = ("index.parquet", "motion.parquet", "gt.parquet", "manifest.json", "videos/**/*.mp4")
    return tuple(f"{name}/{file}" for file in files)


_RUNS = "reports/runs"
KINDS = {
    "run record": Kind(state="table done", command="table", files=(f"{_RUNS}/*/*/*.json",)),
    "run weights": Kind(
        state="table done",
        command="table",
        files=(f"{_RUNS}/train/*/model.safetensors", f"{_RUNS}/train/*/*.[!sj]*"),
    ),
    "run predictions": Kind(
        state="table done", command="table", files=(f"{_RUNS}/predict/*/*.parquet",)
    ),
    "run scores": Kind(state="table done", command="table", files=(f"{_RUNS}/score/*/*.parquet",)),
    "run i2vm": Kind(
        state="i2vm done",
        command="i2vm",
        files=(f"{_RUNS}/*/*/*.json", f"{_RUNS}/*/*/*.parquet", f"{_RUNS}/train/*/*.safetensors"),
    ),
    # What reads generated videos again: the estimate and the scores, which are not there yet.
    "run videos": Kind(
        state="i2vm done",
        command="i2vm",
        files=(f"{_RUNS}/predict/*/videos/*.mp4", f"{_RUNS}/predict/*/*.parquet"),
        out=(f"{_RUNS}/estimate", f"{_RUNS}/score"),
    ),
    "run unfinished": Kind(
        state="table done",
        command="table",
        files=(f"{_RUNS}/predict/*/*.parquet", f"{_RUNS}/train/*/*"),
        out=(f"{_RUNS}/predict/*/run.json", f"{_RUNS}/train/*/run.json", f"{_RUNS}/score"),
    ),
    "resume tokenizer": Kind(state="tokenizer", command="tokenizer", files=("tok/*",)),
    "resume transformer": Kind(state="transformer", command="transformer", files=("unimo/*",)),
    "resume regressor": Kind(state="regressor", command="regressor", files=("reg/resume.*",)),
    "regressor examples": Kind(state="regressor", command="regressor", files=("reg/pictures.npz",)),
    "token cache": Kind(
        state="tokens", command="transformer --steps 1", files=("data/tokens/*/tokens*",)
    ),
    "pseudo_gt shards": Kind(
        state="pseudo_gt done", command="pseudo_gt", files=("motion/.work/shards/*", "motion/*.*")
    ),
    "pseudo_gt progress": Kind(
        state="pseudo_gt", command="pseudo_gt", files=("motion/.work/**/*", "motion/videos/**/*")
    ),
    "prepare unfinished": Kind(
        state="prepare", command="prepare", files=("made/.work/**/*", "made/videos/**/*.mp4")
    ),
    "store read by transformer": Kind(
        state="base", command="transformer --steps 1", files=_store("shots")
    ),
    "store read by tokenizer": Kind(
        state="base", command="tokenizer --steps 1", files=_store("walks")
    ),
    "store read by pseudo_gt": Kind(
        state="trained", command="pseudo_gt", files=_store("shots"), out=("motion",)
    ),
    "store read by run": Kind(
        state="i2vm done",
        command="i2vm",
        files=_store("shots"),
        out=tuple(f"{_RUNS}/{stage}" for stage in ("predict", "estimate", "score")),
    ),
    "checkpoint tokenizer": Kind(state="trained", command="compare", files=("tok/model.*",)),
    "checkpoint transformer": Kind(state="trained", command="generate", files=("unimo/*.*",)),
    "checkpoint regressor": Kind(state="trained", command="pseudo_gt", files=("reg/model.*",)),
    "report": Kind(state="table done", command="report", files=("reports/smoke*/table*.json",)),
    "report page": Kind(
        state="i2vm done", command="report", files=("reports/smoke*/*/*.json", "reports/smoke*/*")
    ),
}


@dataclass
class Damages:
    """What became of the cases.

    Attributes:
        counts: by kind and outcome.
        bad: a line for each case that must not be.
    """

    counts: Counter = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)

    def table(self) -> str:
        """Markdown: a row a kind."""
        names = list(dict.fromkeys(kind for kind, _ in self.counts))
        rows = [[name, *(self.counts[name, outcome] for outcome in OUTCOMES)] for name in names]
        total = [sum(row[column] for row in rows) for column in range(1, 5)]
        lines = [["file", *OUTCOMES], ["---"] * 5, *rows, ["all", *total]]
        return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def classify(whole: Ran, wanted: dict, ran: Ran, found: dict, *, remade: bool) -> str:
    """The outcome of a case.

    Args:
        whole: the command on files that are whole.
        wanted: its results.
        ran: the same on a damaged file.
        found: its results.
        remade: the damaged file was written again, or removed.
    """
    if "Traceback (most recent call last)" in ran.err + ran.out or ran.code < 0 or ran.code > 3:
        return "traceback"
    lines = set(_lines(ran.err + ran.out)) - set(_lines(whole.err + whole.out))
    said = any(_SAID.search(line) for line in lines)
    if found == wanted:
        return "detected" if said or remade else "harmless"
    return "detected" if said else "silently used"


def _lines(text: str) -> list[str]:
    return [re.sub(r"\d+", "0", line) for line in text.splitlines()]


def run_damages(
    home: Home, world: World, cases: int, seed: int, only: str, outcome: Damages
) -> None:
    """Do so many cases, dealt over the kinds; `only` is a kind, or ``KIND:NUMBER`` for one case."""
    word, _, number = only.partition(":")
    kinds = [name for name in KINDS if word in ("", name)]
    baselines: dict[str, tuple[Ran, dict]] = {}
    wanted = len(kinds) * (int(number) + 1) if number else cases
    for case in range(wanted if kinds else 0):
        name, own = kinds[case % len(kinds)], case // len(kinds)
        if number and own != int(number):
            continue
        kind = KINDS[name]
        if name not in baselines:
            baselines[name] = _baseline(home, world, kind)
        _restore(home, world, kind)
        rng = random.Random(f"{seed} {name} {own}")
        # Names first: a rare file counts as much as the many videos.
        groups = [files for glob in kind.files if (files := _files(home, glob))]
        file = rng.choice(rng.choice(groups))
        what = rng.choice((flip_bit, cut, edit))(file, rng)
        damaged = file.read_bytes()
        ran = home.run(kind.line, inline=True)
        remade = not file.is_file() or file.read_bytes() != damaged
        found = home.results(RESULTS[kind.name])
        end = classify(*baselines[name], ran, found, remade=remade)
        if end == "silently used" and _baseline(home, world, kind)[1] != baselines[name][1]:
            raise RuntimeError(f"{kind.line}: other results on the same files")
        outcome.counts[name, end] += 1
        if end in OUTCOMES[2:]:
            place = file.relative_to(home.folder)
            line = (
                f'{end}: --seed {seed} --only "{name}:{own}": {place}: {what}; `{kind.line}`: '
                f"exit code {ran.code}; {' / '.join(ran.err.split(chr(10))[-4:])}"
            )
            outcome.bad.append(line)
            print(line, file=sys.stderr, flush=True)
        if (case + 1) % 25 == 0:
            print(f"{case + 1} of {wanted} damages", file=sys.stderr, flush=True)


def _baseline(home: Home, world: World, kind: Kind) -> tuple[Ran, dict]:
    """The command on whole files."""
    _restore(home, world, kind)
    ran = home.run(kind.line, inline=True)
    results = home.results(RESULTS[kind.name])
    if ran.code or not results:
        raise RuntimeError(f"{kind.line}: exit code {ran.code}: {ran.err}")
    return ran, results


def _restore(home: Home, world: World, kind: Kind) -> None:
    home.restore(world.state(kind.state))
    for glob in kind.out:
        for path in sorted(home.folder.glob(glob)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _files(home: Home, glob: str) -> list[Path]:
    found = sorted(home.folder.glob(glob))
    return [path for path in found if path.is_file() and path.stat().st_size]
