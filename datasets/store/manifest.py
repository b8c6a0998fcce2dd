"""Reading a clip store's ``manifest.json``, and checking the store's files against it."""

import json
from pathlib import Path

from datasets.store.schema import (
    FILES,
    SCHEMA_VERSION,
    UNFINISHED,
    WORK,
    FolderError,
    StoreError,
    content_digest,
)
from datasets.tools.files import fits_own_sha256, sha256_of

REBUILD = "Delete the folder and run `python -m datasets.prepare` again."


def read_manifest(path: Path) -> dict:
    """The manifest of the store in a folder; raises `StoreError` where there is no finished one."""
    if not path.is_dir():
        raise FolderError(
            f"no clip store at {path}: make one with `python -m datasets.prepare NAME --out {path}`"
        )
    if (path / WORK).is_dir() and not (path / "manifest.json").exists():
        raise StoreError(f"{path} is not finished: run the command that makes it again to go on")
    if not any((path / name).exists() for name in (*FILES, *UNFINISHED)):
        raise FolderError(
            f"{path} is not a clip store: if it holds the files of a dataset, "
            f"`python -m datasets.prepare NAME --root {path} --out NEW` makes one"
        )
    file = path / "manifest.json"
    if not file.is_file():
        raise StoreError(f"{path} has no manifest.json: it is not a finished store. {REBUILD}")
    try:
        manifest = json.loads(file.read_text())
        version = manifest["schema_version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(f"{file} is not a store manifest ({error}). {REBUILD}") from error
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema version {version}, this program reads {SCHEMA_VERSION}. {REBUILD}"
        )
    if not _is_complete(manifest):
        raise StoreError(f"{file} is incomplete. {REBUILD}")
    if manifest.get("content_sha256") != content_digest(manifest["files"]):
        raise StoreError(f"{file}: content_sha256 is not that of the files listed. {REBUILD}")
    if not fits_own_sha256(manifest):
        raise StoreError(f"{file} is damaged or was edited: its own_sha256 differs. {REBUILD}")
    return manifest


def check_file(path: Path, expected: dict, *, hashed: bool) -> None:
    """Raise `StoreError` where a file is not the one of the manifest, by size or by sha256."""
    try:
        differs = "size" if path.stat().st_size != expected["bytes"] else None
        if hashed and sha256_of(path) != expected["sha256"]:
            differs = "sha256"
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error}): {REBUILD}") from error
    if differs:
        raise StoreError(f"{path} is damaged: its {differs} differs from the manifest's. {REBUILD}")


def _is_complete(manifest: dict) -> bool:
    files = manifest.get("files")
    return (
        isinstance(files, dict)
        and sorted(files) == sorted(FILES)
        and all(
            isinstance(f, dict) and type(f.get("bytes")) is int and isinstance(f.get("sha256"), str)
            for f in files.values()
        )
        and all(type(manifest.get(name)) is int for name in ("num_clips", "num_frames"))
    )
