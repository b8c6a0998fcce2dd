"""The folder of an unfinished store: one process and one command at a time; work can go on."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from datasets.store.schema import FILES, UNFINISHED, VIDEOS, WORK, FolderError, StoreError
from datasets.store.video_list import LIST_FILE, VideoList
from datasets.tools.command_line import cannot_write
from datasets.tools.files import BusyError, NoLocksError, locked, read_json, write_json


def is_finished(path: Path, job: dict) -> bool:
    """Return True if the folder holds the finished store of a job."""
    manifest = read_json(path / "manifest.json") or {}
    return bool(manifest) and all(manifest.get(name) == value for name, value in job.items())


@contextlib.contextmanager
def claimed(
    path: Path, job: dict, *, files: tuple[str, ...] = (), keep: str | None = None
) -> Iterator[VideoList]:
    """Hold the folder `path` for a job while it makes the store; yields the list of its videos.

    A job that is stopped leaves its videos, its work and its description, and the same job goes
    on from there. If it has done no work yet, it leaves nothing.

    Args:
        path: the store's folder.
        job: JSON values by name: everything that the store's content depends on.
        files: names of further files that the job writes there; a stopped job's are removed.
        keep: name of a folder of the work that stays in the finished store. Such a store can be
            claimed again, and is unfinished from then on.

    Raises:
        FolderError: the folder holds something else, or the unfinished work of another job.
        StoreError: another process works there, or the folder cannot be written.
    """
    work = path / WORK
    with contextlib.ExitStack() as held:
        try:
            path.mkdir(parents=True, exist_ok=True)
            _refuse_finished(path, job)
            owned = ("manifest.json", *FILES, *files) if keep else (*FILES, *files)
            _refuse_others_files(path, owned)
            work.mkdir(exist_ok=True)
            held.enter_context(locked(work / "lock", wait=False))
            if keep is None and (path / "manifest.json").exists():
                # Another process finished the store since this one looked.
                _remove(path, WORK)
                raise StoreError(
                    f"{path} was finished by another process just now: repeat the command to see"
                )
            _refuse_other_job(path, job)
            for name in owned:  # a job killed while it finished leaves some of them
                (path / name).unlink(missing_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise FolderError(f"{path} is a file or below one: name a new folder") from None
        except BusyError:
            raise StoreError(
                f"{path}: another process is making this store: wait until it ends, or name "
                "another folder"
            ) from None
        except NoLocksError as error:
            raise StoreError(str(error)) from error
        except OSError as error:
            line = cannot_write(error, path) or f"cannot write {path}: {error}"
            raise StoreError(line) from error
        videos = VideoList.read(path)
        try:
            yield videos
        except BaseException:
            if not _anything_made(path):
                VideoList.read(path).remove_others(set())
                _remove(path, WORK)
            raise
        if keep is None:
            _remove(path, WORK)
        else:
            names = (file.name for file in work.iterdir())
            _remove(work, *(name for name in names if name not in ("lock", "job.json", keep)))


def is_store(path: Path) -> bool:
    """Return True if a folder is a clip store, finished or not."""
    return (path / WORK).is_dir() or "content_sha256" in (read_json(path / "manifest.json") or {})


def _anything_made(path: Path) -> bool:
    work = (file.name for file in (path / WORK).rglob("*") if file.is_file())
    return VideoList.read(path).any_made() or not {"lock", "job.json", LIST_FILE}.issuperset(work)


def _refuse_others_files(path: Path, owned: tuple[str, ...]) -> None:
    # A folder of videos is only ours, to add to and to tidy, where a job of ours made it.
    begun = (path / WORK / "job.json").is_file()
    videos = () if (path / VIDEOS).is_symlink() else (VIDEOS,)
    ours = (*UNFINISHED, WORK, *((*videos, *owned) if begun else ()))
    others = sorted(p.name for p in path.iterdir() if p.name not in ours)
    if not begun:  # a process that was killed at once leaves no more than these
        ours = ("lock", "job.json.tmp", "job.json")
        work = (p for p in (path / WORK).rglob("*") if p.is_file() and p.name not in ours)
        others += sorted(f"{WORK}/{p.name}" for p in work)
    if others:
        raise FolderError(
            f"{path} is not empty (it holds {others[0]}): name a new folder or empty this one first"
        )


def _refuse_finished(path: Path, job: dict) -> None:
    manifest = read_json(path / "manifest.json") or {}
    difference = _difference(manifest, job)
    if "content_sha256" in manifest and difference:
        raise FolderError(
            f"{path} holds the finished store of another command ({difference}): name a new "
            "folder, or delete this one first"
        )


def _refuse_other_job(path: Path, job: dict) -> None:
    file = path / WORK / "job.json"
    if not file.exists():
        write_json(file, job)
        return
    difference = _difference(read_json(file) or {}, job)
    if difference:
        raise FolderError(
            f"{path} holds the unfinished work of another command ({difference}): repeat that "
            "one, delete the folder or name another"
        )


def _difference(theirs: dict, job: dict) -> str:
    """Return the first difference between two commands' jobs in words; empty if there is none."""
    for name, value in job.items():
        if value != theirs.get(name):
            if isinstance(value, dict | list):
                return f"{name} differs"
            return f"{name} was {theirs.get(name)!r}, now {value!r}"
    return ""


def _remove(path: Path, *names: str) -> None:
    for name in names:
        shutil.rmtree(path / name, ignore_errors=True)
    with contextlib.suppress(OSError):  # not empty: a store
        path.rmdir()
