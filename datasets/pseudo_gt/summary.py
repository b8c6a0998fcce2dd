"""Messages of `datasets.pseudo_gt` to its user: results, failures, errors."""

from datasets.prepare.summary import skipped_lines
from datasets.pseudo_gt.input import LEFT_OUT
from datasets.pseudo_gt.shards import is_full_disk
from datasets.sequence import Skipped
from datasets.tools.command_line import counted


def summary(manifest: dict, out: str, *, was_there: bool) -> str:
    """Return the summary of a new store, in lines for the user."""
    facts = manifest["pseudo_gt"]
    lines = ["finished before: nothing to do"] if was_there else []
    lines.append(
        f"{counted(manifest['num_clips'], 'clip')} of {manifest['num_frames']} frames with motion "
        f"by {manifest['estimator']['name']} ({status_text(facts['statuses'])})"
    )
    lines += [f"note: {note}" for note in manifest["notes"]]
    lines += skipped_lines([Skipped(**entry) for entry in manifest["skipped"]])
    if failed := num_failed(facts["statuses"]):
        lines.append(f"{failed} failed: the same command with --retry tries again")
    return "\n".join([*lines, f"store: {out}"])


def num_failed(statuses: dict[str, int]) -> int:
    """Return the number of clips an estimator failed at."""
    return sum(number for name, number in statuses.items() if name not in ("ok", *LEFT_OUT))


def error_line(error: Exception, out: str) -> str:
    """Return the message of an exception, in one line; `out` is the folder of the new store."""
    text = " ".join(str(error).split())
    if not (is_full_disk(error) or is_full_disk(error.__cause__)):
        return text
    where = "" if out in text else f"cannot write {out}: "
    return f"{where}{text}; make room, and the same command goes on where it was"


def status_text(statuses: dict[str, int]) -> str:
    """Return the number of clips of each status, in words."""
    return ", ".join(f"{name} {number}" for name, number in statuses.items())
