"""What the tests of adapters share: reading all of a dataset, and what was skipped."""

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
