"""The groups of a dataset, which a split must not separate, measured in a pass over its labels."""

from dataclasses import dataclass, field

from datasets.prepare.options import SplitOptions
from datasets.sequence import PersonSequence
from datasets.store import splits


@dataclass
class Groups:
    """The groups of a dataset's sequences; those that hold the same motion or video are one.

    Attributes:
        options: of the user.
        frames: name of a group before it is joined with others -> its usable frames.
        takes: name of a sequence -> one such group.
    """

    options: SplitOptions
    frames: dict[str, int] = field(default_factory=dict)
    takes: dict[str, str] = field(default_factory=dict)
    _parents: dict[str, str] = field(default_factory=dict)
    _owners: dict[str, str] = field(default_factory=dict)

    def add(self, sequence: PersonSequence, content: str) -> None:
        """Count a usable sequence; `content` identifies what it shows, empty where unknown.

        Raises:
            ValueError: its name gives no group.
        """
        group = self.options.group_of(sequence)
        self.frames[group] = self.frames.get(group, 0) + len(sequence)
        self.takes[sequence.sequence] = group
        if content:
            one, other = self._top(self._owners.setdefault(content, group)), self._top(group)
            if one != other:  # the joined group has the first name
                self._parents[max(one, other)] = min(one, other)

    def of(self, sequence: PersonSequence) -> str:
        """Return the group of a sequence.

        Raises:
            ValueError: its name gives none.
        """
        return self._top(self.options.group_of(sequence))

    def splits(self) -> dict[str, str]:
        """``train`` or ``test`` for every group with a usable sequence.

        Raises:
            ValueError: a take to test on is not there, or there are fewer groups than folds.
        """
        frames: dict[str, int] = {}
        for group, count in self.frames.items():
            top = self._top(group)
            frames[top] = frames.get(top, 0) + count
        options = self.options
        if options.test_takes is not None:
            takes = {take: self._top(group) for take, group in self.takes.items()}
            return splits.split_takes(takes, options.test_takes)
        if options.fold is not None:
            fold, folds = options.fold
            found = splits.fold_groups(frames, folds)
            return {group: "test" if found[group] == fold else "train" for group in frames}
        return splits.split_groups(frames, share=options.test_share or splits.TEST_SHARE)

    def rule(self) -> str:
        """Return the rule of the splits, in words."""
        options = self.options
        if options.test_takes is not None:
            return splits.TAKES_RULE
        if options.fold is not None:
            return splits.fold_rule(*options.fold)
        return splits.rule(options.test_share or splits.TEST_SHARE)

    def _top(self, group: str) -> str:
        while group in self._parents:
            group = self._parents[group]
        return group


def verdict(groups: int) -> str:
    """Return the limits of `compare` and the tables with so many test groups; empty if none.

    An interval needs two groups. The signed-rank test of `compare` has at best p = 2 / 2^groups,
    which Holm's correction multiplies by the number of comparisons.
    """
    if groups == 1:
        return "1 group to test on gives neither intervals nor verdicts of `compare`"
    if groups < 6:
        return (
            f"{groups} groups to test on give wide intervals (t over the means of groups) and no "
            "verdict of `compare`, which needs 6"
        )
    comparisons = int(0.05 * 2 ** (groups - 1))
    if comparisons > 20:
        return ""
    more = "comparison" if comparisons == 1 else "comparisons"
    return (
        f"{groups} groups to test on are enough for a verdict of `compare` over {comparisons} "
        f"{more} at once, not more"
    )
