"""The lines of `datasets.prepare` for its user: what a store holds, what was left out and why."""

from datasets.prepare.groups import verdict
from datasets.prepare.plan import VIDEO_ALONE
from datasets.sequence import Skipped
from datasets.store.schema import StoreError
from datasets.tools.command_line import and_more, counted

_REASONS = 10  # shown of why something was left out; the manifest has all
_GROUPS = 5  # shown of those that were drawn for the test split; the manifest has all


class NoClipError(StoreError):
    """A dataset gave no clip: `skipped` says why, `by_command` that the options exclude all."""

    def __init__(self, why: str, skipped: list[Skipped], *, by_command: bool = False):
        super().__init__(f"no clip to write: {why}")
        self.skipped = skipped
        self.by_command = by_command


def no_clip(
    left_out: list[Skipped], split: str | None, splits: dict | None, video_size: int | None
) -> NoClipError:
    """The error of a dataset without clips; `splits` are derived, None where it has its own."""
    none_there = not left_out if splits is None else bool(splits) and split not in splits.values()
    if split is not None and none_there:
        return NoClipError(f"no sequence is in the {split} split", left_out, by_command=True)
    if not left_out:
        return NoClipError("the dataset is empty", left_out)
    if video_size is None and any(entry.reason == VIDEO_ALONE for entry in left_out):
        why = "what is there has no labels, and no videos were asked for"
        return NoClipError(why, left_out, by_command=True)
    return NoClipError("everything was skipped", left_out)


def summary(manifest: dict, out: str) -> str:
    """Return the lines for the user on a finished store."""
    splits = ", ".join(f"{name} {count}" for name, count in sorted(manifest["splits"].items()))
    lines = [
        f"{counted(manifest['num_clips'], 'clip')} of {counted(manifest['num_frames'], 'frame')} "
        f"({splits}) from {counted(manifest['num_sequences'], 'sequence')} of "
        f"{manifest['dataset']}",
        *_rate_lines(manifest.get("rates", []), manifest["num_frames"]),
        *_group_lines(manifest),
    ]
    for entry in manifest.get("assumed", []):
        more = entry["sequences"] - len(entry["examples"])
        names = ", ".join(entry["examples"]) + (f" and {more} more" if more else "")
        lines.append(f"assumed: {entry['what']} ({names})")
    lines += [f"note: {note}" for note in manifest["notes"]]
    skipped = [Skipped(**entry) for entry in manifest["skipped"]]
    reasons = skipped_lines(skipped)
    if len(skipped) > len(reasons[1:]):  # the first line counts them
        reasons.append("  all are in its manifest.json")
    return "\n".join([*lines, *reasons, f"store: {out}"])


def _rate_lines(rates: list[dict], num_frames: int) -> list[str]:
    if len(rates) < 2:
        return [f"frames per second: {rate['fps']:g}" for rate in rates]
    each = ", ".join(f"{rate['fps']:g} ({counted(rate['clips'], 'clip')})" for rate in rates)
    shortest, longest = num_frames / rates[-1]["fps"], num_frames / rates[0]["fps"]
    return [
        f"frames per second: {each}",
        f"warning: {num_frames} frames last {shortest:.2g} to {longest:.2g} s, and measures of "
        "speed mix them; --fps N brings all clips to one rate",
    ]


def _group_lines(manifest: dict) -> list[str]:
    groups = manifest.get("groups", {})
    lines = [f"groups: {', '.join(f'{name} {n}' for name, n in groups.items())}"] if groups else []
    if named := manifest.get("test_groups"):
        more = len(named) - _GROUPS
        rest = f" and {more} more (all are in its manifest.json)" if more > 0 else ""
        lines.append(f"test: {', '.join(named[:_GROUPS])}{rest}")
    if "test" in groups and (line := verdict(groups["test"])):
        ours = manifest["split_rule"] != "official"
        hint = "; --group-by, --test-share, --test-takes and --folds change the split"
        lines.append(f"note: {line}{hint if ours else ''}")
    return lines


def skipped_lines(skipped: list[Skipped]) -> list[str]:
    """Return the lines on what was left out, one a reason; none if nothing was."""
    if not skipped:
        return []
    lines = [f"skipped {len(skipped)}:"]
    by_reason: dict[str, list[str]] = {}
    for entry in skipped:
        by_reason.setdefault(entry.reason, []).append(entry.name)
    for reason, names in list(by_reason.items())[:_REASONS]:
        lines.append(f"  {and_more(names)}: {reason}")
    if len(by_reason) > _REASONS:
        lines.append(f"  and {len(by_reason) - _REASONS} more reasons")
    return lines
