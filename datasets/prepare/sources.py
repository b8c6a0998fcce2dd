"""The files that a store is made from, and whether they are still the same."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from datasets.adapters.formats.root_folder import files_below
from datasets.sequence import FrameSource, PersonSequence
from datasets.store.schema import FolderError
from datasets.store.work_folder import is_store
from datasets.tools.command_line import and_more, counted
from datasets.tools.files import sha256_of

Fingerprint = tuple[int, int, str]  # bytes, time of the last change in ns, sha256


class Sources:
    """Fingerprints of source files, each taken once; their names are relative to the root."""

    def __init__(self, root: Path | None):
        self._root = root
        self._known: dict[Path, Fingerprint] = {}
        self._used: dict[str, Fingerprint] = {}

    def use(self, sequence: PersonSequence) -> None:
        """Record the files of a sequence that goes into the store; its pictures only as a video."""
        pictures = _files(sequence.source, range(len(sequence)))
        for path in (*sequence.files, *(pictures if len(pictures) == 1 else ())):
            self._used[os.path.relpath(path, self._root)] = self.of(path)

    def manifest(self) -> dict[str, list]:
        """Name -> [bytes, time in ns, sha256] of the files that were used, sorted."""
        return {name: list(self._used[name]) for name in sorted(self._used)}

    def unused(self) -> list[str]:
        """Names of the files below the root, of the kinds that were used, that were not; sorted."""
        return _others(self._root, self._used)

    def of(self, path: Path) -> Fingerprint:
        """Return a file's size, time and sha256."""
        if path not in self._known:
            self._known[path] = _fingerprint(path)
        return self._known[path]

    def content(self, sequence: PersonSequence) -> str:
        """Return an identity of the motion or, without one, of the video that a sequence shows.

        Empty for pictures in many files and for what is drawn.
        """
        digest = hashlib.sha256()
        if (motion := sequence.motion) is not None:
            for array in (motion.global_orient, motion.body_pose, motion.transl):
                digest.update(array.tobytes())
            return digest.hexdigest()
        files = _files(sequence.source, range(len(sequence)))
        return self.of(files[0])[2] if len(files) == 1 else ""

    def pictures(self, source: FrameSource, rows: range) -> str:
        """An identity of the files that some pictures are read from; of many without sha256."""
        files = _files(source, rows)
        if len(files) == 1:
            size, _, sha256 = self.of(files[0])
            return f"{size} {sha256}"
        found = (os.stat(path) for path in files if path.exists())
        lines = "".join(f"{stat.st_size} {stat.st_mtime_ns}\n" for stat in found)
        return hashlib.sha256(lines.encode()).hexdigest()


def require_same(manifest: dict, root: Path | None, out: Path) -> None:
    """Check that the files a finished store was made from have not changed, and none was added.

    Raises:
        FolderError: some have, or were; the message names the first.
    """
    changed = []
    for name, (size, time, sha256) in manifest.get("sources", {}).items():
        path = Path(root or ".") / name
        try:
            stat = path.stat()
            same = stat.st_size == size
            if same and stat.st_mtime_ns != time:
                same = _fingerprint(path)[2] == sha256
        except OSError:
            same = False
        if not same:
            changed.append(name)
    what = "its sources have changed since"
    if not changed and "unused_sources" in manifest:
        known = {*manifest["sources"], *manifest["unused_sources"]}
        changed = [name for name in _others(root, manifest["sources"]) if name not in known]
        what = (
            f"{counted(len(changed), 'file')} {'was' if len(changed) == 1 else 'were'} added since"
        )
    if changed:
        raise FolderError(
            f"{out} is finished, but {what} ({and_more(changed)}): name a new folder, or delete "
            "this one to make it again"
        )


def _others(root: Path | None, used: Iterable[str]) -> list[str]:
    """Names of the files below a root that have the suffix of a used one and are none."""
    used = set(used)
    kinds = {Path(name).suffix.lower() for name in used}
    if root is None or not kinds:
        return []
    names = (
        os.path.relpath(path, root)
        for path in files_below(root, is_left_out=is_store)
        if path.suffix.lower() in kinds
    )
    return [name for name in names if name not in used]


def _files(source: FrameSource | None, rows: range) -> list[Path]:
    return [] if source is None else source.paths(rows)


def _fingerprint(path: Path) -> Fingerprint:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, sha256_of(path)
