"""Commands killed at a random moment, and commands at work in one folder at once."""

import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.campaign.home import Home
from tests.campaign.world import COMMANDS, RESULTS, World

# Command -> the state that it starts from.
_STARTS = {
    "prepare": "empty",
    "pseudo_gt": "trained",
    "tokenizer": "base",
    "transformer": "base",
    "regressor": "empty",
    "generate": "trained",
    "table": "base",
    "i2vm": "base",
    "compare": "trained",
    "report": "i2vm done",
}
# Command -> the words of another one that wants the same folder.
_RIVALS = {
    "prepare": "--limit 9",
    "pseudo_gt": "--limit 4",
    "tokenizer": "--seed 1",
    "transformer": "--seed 1",
    "regressor": "--seed 1",
    "generate": "--seed 1",
    "table": "",
    "i2vm": "",
}


@dataclass
class Kills:
    """What became of the commands.

    Attributes:
        counts: by command and outcome.
        bad: a line for each case that must not be.
    """

    counts: Counter = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)

    def add(self, name: str, case: str, problems: list[str]) -> None:
        """Count a case; its problems are said."""
        self.counts[name, "faults" if problems else "equal"] += 1
        for problem in problems:
            self.bad.append(f"{case}: {problem}")
            print(self.bad[-1], file=sys.stderr, flush=True)

    def table(self) -> str:
        """Markdown: a row a command."""
        names = list(dict.fromkeys(name for name, _ in self.counts))
        lines = ["| command | equal | faults |", "| --- | --- | --- |"]
        for name in names:
            lines.append(
                f"| {name} | {self.counts[name, 'equal']} | {self.counts[name, 'faults']} |"
            )
        return "\n".join(lines)


@dataclass(frozen=True)
class _Reference:
    """An undisturbed run: its results, all files, and its seconds."""

    results: dict[str, str]
    files: set[str]
    seconds: float


def _reference(home: Home, world: World, name: str, line: str) -> _Reference:
    home.restore(world.state(_STARTS[name]))
    _clear(home, name)
    start = time.monotonic()
    ran = home.run(line, inline=False)
    if ran.code:
        raise RuntimeError(f"{line}: exit code {ran.code}: {ran.err}")
    seconds = time.monotonic() - start
    return _Reference(home.results(RESULTS[name]), home.listing(), seconds)


def _clear(home: Home, name: str) -> None:
    for glob in RESULTS[name] if name == "report" else ():
        for file in home.folder.glob(glob):
            file.unlink()


def run_kills(home: Home, world: World, cases: int, seed: int, only: str, outcome: Kills) -> None:
    """Kill so many commands; the same command again must end as if nothing had been."""
    word, _, number = only.partition(":")
    names = [name for name in _STARTS if word in ("", f"kill {name}")]
    references: dict[str, _Reference] = {}
    wanted = len(names) * (int(number) + 1) if number else cases
    for case in range(wanted if names else 0):
        name, own = names[case % len(names)], case // len(names)
        if number and own != int(number):
            continue
        line = COMMANDS[name]
        if name not in references:
            references[name] = _reference(home, world, name, line)
        reference = references[name]
        home.restore(world.state(_STARTS[name]))
        _clear(home, name)
        moment = random.Random(f"{seed} {name} {own}").uniform(0, reference.seconds)
        command = home.start(line, inline=False)
        time.sleep(moment)
        command.kill()
        killed = command.end()
        problems = [f"process {pid} lives on" for pid in command.orphans()]
        # What a killed call of `generate` has written is overwritten only when that is asked for.
        again = home.run(line + (" --overwrite" if name == "generate" else ""), inline=False)
        if again.code:
            problems.append(f"the same command ends with {again.code}: {again.err.strip()}")
        problems += _differences(home, name, reference)
        where = f'--seed {seed} --only "kill {name}:{own}" ({moment:.2f} s, code {killed.code})'
        outcome.add(f"kill {name}", where, problems)
        if (case + 1) % 10 == 0:
            print(f"{case + 1} of {wanted} kills", file=sys.stderr, flush=True)


def _differences(home: Home, name: str, reference: _Reference) -> list[str]:
    found, files = home.results(RESULTS[name]), home.listing()
    problems = []
    wrong = [file for file, digest in reference.results.items() if found.get(file) != digest]
    if wrong:
        problems.append(f"differs: {', '.join(wrong)}")
    if files - reference.files:
        problems.append(f"left over: {', '.join(sorted(files - reference.files))}")
    if reference.files - files:
        problems.append(f"lacks: {', '.join(sorted(reference.files - files))}")
    return problems


def run_rivals(home: Home, world: World, rounds: int, seed: int, only: str, outcome: Kills) -> None:
    """Two commands in one folder: each ends well or says in a line why not; nothing is lost."""
    for name, words in _RIVALS.items():
        if not rounds or only not in ("", f"two {name}"):
            continue
        lines = [COMMANDS[name], f"{COMMANDS[name]} {words}".strip()]
        references = [_reference(home, world, name, line) for line in dict.fromkeys(lines)]
        for number in range(rounds):
            home.restore(world.state(_STARTS[name]))
            rng = random.Random(f"{seed} {name} {number}")
            pause = rng.choice((0.0, rng.uniform(0, references[0].seconds)))
            first = home.start(lines[0], "first", inline=False)
            time.sleep(pause)
            second = home.start(lines[1], "second", inline=False)
            ends = [first.end(), second.end()]
            problems = [
                f"exit code {ran.code}, which must be 0 to 2: {ran.err.strip()[-300:]}"
                for ran in ends
                if ran.code not in (0, 1, 2) or "Traceback" in ran.err
            ]
            owners = [index for index, ran in enumerate(ends) if ran.code == 0]
            if not owners:
                problems.append(f"neither ended well: {ends[0].err} / {ends[1].err}")
            elif words and len(owners) == 2:
                problems.append("both say that they are done")
            else:
                own = references[owners[0] if len(references) > 1 else 0]
                problems += _differences(home, name, own)
            problems += [
                f"said in {len(ran.err.splitlines())} lines: {ran.err.strip()}"
                for ran in ends
                if ran.code and len(ran.err.strip().splitlines()) != 1
            ]
            outcome.add(f"two {name}", f"two {name}, seed {seed}, round {number}", problems)
