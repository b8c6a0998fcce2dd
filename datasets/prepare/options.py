"""Options of a dataset: how its files are read and how it is split."""

import dataclasses
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets.sequence import Dataset, PersonSequence


NUM_FRAMES = 65  # of a clip, as the video tasks have it
VIDEO_SIZE = 512  # pixels, as well


class OptionError(ValueError):
    """An option that a dataset does not know, or that does not fit it."""


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """The split of a dataset without official splits; None for the usual rule.

    At most one of `test_share`, `test_takes` and `fold` is given.

    Attributes:
        group_by: what is never separated: ``file``, ``folder``, or a regular expression that is
            searched in a sequence's name: its first group, or all that it matches.
        test_share: of all frames that the test split holds at least.
        test_takes: names of the sequences to test on; what is in a group with one goes with it.
        fold: (k, n): test on the k-th of n parts of the groups, counted from 1.
    """

    group_by: str | None = None
    test_share: Fraction | None = None
    test_takes: tuple[str, ...] | None = None
    fold: tuple[int, int] | None = None

    def group_of(self, sequence: "PersonSequence") -> str:
        """Return the group of a sequence by these options, else its own.

        Raises:
            ValueError: the regular expression does not match the name.
        """
        name = sequence.sequence
        if self.group_by is None:
            return sequence.group
        if self.group_by == "file":
            return name
        if self.group_by == "folder":
            return name.rpartition("/")[0] or "."
        found = re.search(self.group_by, name)
        if found is None:
            raise ValueError(f"its name does not match --group-by {self.group_by}")
        return found[1] if found.re.groups and found[1] is not None else found[0]

    def given(self) -> dict[str, Any]:
        """JSON values by name, of those that are given."""
        values = {
            "group_by": self.group_by,
            "test_share": None if self.test_share is None else str(self.test_share),
            "test_takes": None if self.test_takes is None else list(self.test_takes),
            "fold": None if self.fold is None else list(self.fold),
        }
        return {name: value for name, value in values.items() if value is not None}


def with_options(dataset: "Dataset", *, fps: float | None, **given: Any) -> "Dataset":
    """Return a dataset with the options of its own that the user gave, None for the others.

    Adapters that have options also learn the frames per second that the store will have.

    Raises:
        OptionError: the adapter does not know one of them.
    """
    given = {name: value for name, value in given.items() if value is not None}
    known = getattr(dataset, "takes", ())
    for name in given:
        if name not in known:
            raise OptionError(f"{dataset.name} does not know {option_word(name)}")
    if not hasattr(dataset, "options"):
        return dataset
    options = dataclasses.replace(dataset.options, fps=fps, **given)
    return dataclasses.replace(dataset, options=options)


def option_word(name: str) -> str:
    """Return the option's name on the command line."""
    return {"fold": "--folds"}.get(name, f"--{name.replace('_', '-')}")


def options_of(dataset: "Dataset") -> dict[str, Any] | None:
    """The options of a dataset as JSON values, files by their contents; None where none is given.

    Raises:
        FileNotFoundError: a file that an option names is not there.
    """
    from datasets.tools.files import sha256_of

    if not hasattr(dataset, "options"):
        return None
    given = {
        field.name: getattr(dataset.options, field.name)
        for field in dataclasses.fields(dataset.options)
        if field.name != "fps"  # the store has one
    }
    return {
        name: sha256_of(value) if isinstance(value, Path) else value
        for name, value in given.items()
        if value is not None
    } or None
