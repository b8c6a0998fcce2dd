"""Train and test for datasets without official splits."""

import hashlib
from collections.abc import Mapping

TEST_PERCENT = 20
_SALT = "unimo-split-v1|"

RULE = (
    f'groups in the order of sha256("{_SALT}" + group) go to test until it holds at least '
    f"{TEST_PERCENT}% of all frames, the others to train, which gets at least one; a single "
    "group is all test; sequences too short for a clip do not count"
)


# Seed of the rules that say what is tested on; `RULE` has one of its own.
TEST_SEED = "unimo-test-v1|"


def rank(name: str) -> bytes:
    """Sort key of a name in the test rules: sha256(`TEST_SEED` + name)."""
    return hashlib.sha256((TEST_SEED + name).encode()).digest()


def split_of(group: str) -> str:
    """``train``, or for one group in five ``test``, from its name alone: `rank` begins below 51.

    For datasets of which parts come and go: a group stays where it is whatever else is there.
    """
    return "test" if rank(group)[0] < 51 else "train"


def split_groups(frames: Mapping[str, int]) -> dict[str, str]:
    """``train`` or ``test`` for every group, from their names and lengths alone (`RULE`).

    Args:
        frames: group -> frames in all its usable sequences together.
    """
    ranked = sorted(frames, key=lambda group: hashlib.sha256((_SALT + group).encode()).digest())
    total = sum(frames.values())
    splits = {}
    held = 0
    for position, group in enumerate(ranked):
        enough = held * 100 >= total * TEST_PERCENT
        keep_for_train = 0 < position == len(ranked) - 1
        splits[group] = "train" if enough or keep_for_train else "test"
        held += frames[group] if splits[group] == "test" else 0
    return splits
