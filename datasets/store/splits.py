"""Train and test for datasets without official splits."""

import hashlib
from collections.abc import Iterable, Mapping
from fractions import Fraction

from datasets.tools.command_line import and_more

TEST_SHARE = Fraction(1, 5)
_SALT = "unimo-split-v1|"
# Seed of the rules that say what is tested on; `rule` has one of its own.
TEST_SEED = "unimo-test-v1|"


def rule(share: Fraction = TEST_SHARE) -> str:
    """Return the rule of `split_groups` in words."""
    return (
        f'groups in the order of sha256("{_SALT}" + group) go to test until it holds at least '
        f"{float(share * 100):g}% of all frames, the others to train, which gets at least one; a "
        "single group is all test; sequences too short for a clip do not count; groups that hold "
        "the same motion or video are one"
    )


TAKES_RULE = "the takes that the command names go to test with their groups, the others to train"


def fold_rule(fold: int, folds: int) -> str:
    """Return the rule of `fold_groups` in words, for one fold."""
    return (
        f'groups in the order of sha256("{_SALT}" + group) go to that of {folds} folds which holds '
        f"the fewest frames; fold {fold} is test, the others train"
    )


def rank(name: str) -> bytes:
    """Sort key of a name in the test rules: sha256(`TEST_SEED` + name)."""
    return hashlib.sha256((TEST_SEED + name).encode()).digest()


def split_of(group: str) -> str:
    """``train``, or for one group in five ``test``, from its name alone: `rank` begins below 51.

    For datasets of which parts come and go: a group stays where it is whatever else is there.
    """
    return "test" if rank(group)[0] < 51 else "train"


def split_groups(frames: Mapping[str, int], *, share: Fraction = TEST_SHARE) -> dict[str, str]:
    """Return ``train`` or ``test`` for every group by `rule`, from their names and lengths alone.

    `frames` are those of all usable sequences of a group; test holds at least a `share` of them.
    """
    ranked = _ranked(frames)
    total = sum(frames.values())
    splits = {}
    held = 0
    for position, group in enumerate(ranked):
        enough = held >= total * share
        keep_for_train = 0 < position == len(ranked) - 1
        splits[group] = "train" if enough or keep_for_train else "test"
        held += frames[group] if splits[group] == "test" else 0
    return splits


def split_takes(groups: Mapping[str, str], test: Iterable[str]) -> dict[str, str]:
    """Return ``test`` for the groups of the takes `test`, ``train`` for the others.

    `groups` are those of all takes, by name of the take.

    Raises:
        ValueError: there is no such take, or none is named.
    """
    test = list(test)
    unknown = [take for take in test if take not in groups]
    if unknown or not test:
        raise ValueError(
            f"no usable take is called {and_more([repr(take) for take in unknown])}: names are "
            "paths below the root without suffix"
            if unknown
            else "no take to test on is named"
        )
    chosen = {groups[take] for take in test}
    return {group: "test" if group in chosen else "train" for group in groups.values()}


def fold_groups(frames: Mapping[str, int], folds: int) -> dict[str, int]:
    """Return the fold, 1 to `folds`, of every group: folds have about as many frames (`fold_rule`).

    Raises:
        ValueError: there are fewer groups than folds.
    """
    if len(frames) < folds:
        raise ValueError(f"{folds} folds of {len(frames)} groups: give fewer folds")
    held = [0] * folds
    found = {}
    for group in _ranked(frames):
        fold = held.index(min(held))
        found[group] = fold + 1
        held[fold] += frames[group]
    return found


def _ranked(groups: Iterable[str]) -> list[str]:
    return sorted(groups, key=lambda group: hashlib.sha256((_SALT + group).encode()).digest())
