"""What the tests of adapters share: reading all of a dataset, and what was skipped."""

import dataclasses

from datasets.adapters.formats.motion_files import ReadOptions
from datasets.sequence import PersonSequence, SkipLog

Key = tuple[str, str, str]


def key(sequence: PersonSequence) -> Key:
    """Sequence, camera and person."""
    return sequence.sequence, sequence.camera, sequence.person


def read(dataset, root, split=None) -> tuple[dict[Key, PersonSequence], dict[str, str]]:
    """The sequences by their keys, of which there are no two; the reason for each thing skipped."""
    log = SkipLog()
    found = list(dataset.sequences(root, split, skipped=log))
    keyed = {key(sequence): sequence for sequence in found}
    assert len(keyed) == len(found)
    return keyed, {entry.name: entry.reason for entry in log.entries}


def read_names(dataset, root):
    """Sequences by name, and the reason for each file that was skipped."""
    found, skipped = read(dataset, root)
    return {name: sequence for (name, *_), sequence in found.items()}, skipped


def with_options(dataset, **options):
    return dataclasses.replace(dataset, options=ReadOptions(**options))
