"""What `datasets.prepare` tells its user: what a store holds and what was left out."""

from datasets.sequence import Skipped

_REASONS = 10  # shown of why something was left out; the manifest has all


def why_nothing(left_out: list[Skipped], split: str | None) -> str:
    """Why a dataset gave no clip at all, of a split or of any."""
    if left_out:
        first = left_out[0]
        return f"{len(left_out)} skipped, the first, {first.name}: {first.reason}"
    return "the dataset is empty" if split is None else f"no sequence is in the {split} split"


def summary(manifest: dict, out: str) -> str:
    """What was written, in lines for the user."""
    splits = ", ".join(f"{name} {count}" for name, count in sorted(manifest["splits"].items()))
    lines = [
        f"{manifest['num_clips']} clips of {manifest['num_frames']} frames ({splits}) "
        f"from {manifest['num_sequences']} sequences of {manifest['dataset']}"
    ]
    lines += [f"note: {note}" for note in manifest["notes"]]
    if manifest["skipped"]:
        lines.append(f"skipped {len(manifest['skipped'])}:")
    by_reason: dict[str, list[str]] = {}
    for entry in manifest["skipped"]:
        by_reason.setdefault(entry["reason"], []).append(entry["name"])
    for reason, names in list(by_reason.items())[:_REASONS]:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        lines.append(f"  {names[0]}{more}: {reason}")
    if len(by_reason) > _REASONS:
        lines.append(f"  and {len(by_reason) - _REASONS} more reasons, all in its manifest.json")
    return "\n".join([*lines, f"store: {out}"])
