"""The progress of an extraction, and a bar that shows it."""

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from datasets.pseudo_gt.shards import Shard, read_rows, scratch_files


class ProgressBar:
    """A bar on stderr that counts clips, those of unfinished shards by their scratch files.

    `unfinished` are the shards without a file in the working folder `work`, by number.
    """

    def __init__(self, work: Path, shards: Iterable[Shard], *, visible: bool):
        self._work, self._visible = work, visible
        self._statuses: Counter[str] = Counter()  # of finished shards
        self.unfinished: dict[int, Shard] = {}
        total = 0
        for shard in shards:
            total += len(shard.clip_ids)
            rows = read_rows(shard.file(work), shard.key)
            if rows is None:
                self.unfinished[shard.number] = shard
                if shard.file(work).exists():
                    print(f"{shard.file(work)} is damaged: it is made again", file=sys.stderr)
            else:
                self._statuses.update(rows.column("status").to_pylist())
        self._bar = tqdm(total=total, unit=" clips", leave=False, disable=not visible)

    def finish(self, shard: Shard, statuses: Counter[str]) -> None:
        """Count a shard whose file was written, and its clips by their status."""
        del self.unfinished[shard.number]
        self._statuses.update(statuses)

    def show(self) -> None:
        """Bring the bar up to date."""
        if not self._visible:
            return
        statuses = self._statuses.copy()
        for shard in self.unfinished.values():
            statuses.update(file.suffix[1:] for file in scratch_files(shard.scratch(self._work)))
        self._bar.n = statuses.total()
        self._bar.set_postfix(ok=statuses["ok"], failed=statuses.total() - statuses["ok"])

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()
