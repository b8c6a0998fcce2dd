"""Section 4: stores of the licensed datasets and of built-in data, and the cache of runs."""

from pathlib import Path

from benchmark import discover
from benchmark.api.errors import one_line
from benchmark.api.paths import display_path
from benchmark.commands.doctor.page import Group
from benchmark.runs.data import built_in_path, prepared_path
from datasets.store.manifest import check_file, read_manifest
from datasets.store.schema import FILES

# Where each is requested; docs/datasets.md tells more.
PAGES = {
    "threedpw": "https://virtualhumans.mpi-inf.mpg.de/3DPW/",
    "rich": "https://rich.is.tue.mpg.de/",
    "bedlam": "https://bedlam.is.tue.mpg.de/",
    "dna_rendering": "https://dna-rendering.github.io/",
    "human4dit": "https://github.com/DSaurus/Human4DiT",
}


def groups() -> list[Group]:
    """Rows (found, missing, wrong or to be made, what, where it is or how to get it)."""
    return [
        Group(
            "Licensed datasets, asked for at their pages and then prepared from the FOLDER they "
            "are in (docs/datasets.md)",
            [_prepared(name) for name in PAGES],
        ),
        Group(
            "Built-in data, of each profile",
            [
                _built_in(profile, kind, task)
                for profile in discover.summaries("profiles")
                for kind, task in (("motion", "tokenizer"), ("videos", "v2m"))
            ],
        ),
        Group("Finished runs, which no command repeats", [_cache()]),
    ]


def _prepared(name: str) -> tuple[str, str, str]:
    path = prepared_path(name)
    cure = f"python -m datasets.prepare {name} --root FOLDER --out {display_path(path)}"
    if not path.exists():
        return "missing", name, f"{PAGES[name]}\n{cure}"
    return _store(name, path, cure)


def _built_in(profile: str, kind: str, task: str) -> tuple[str, str, str]:
    name = f"{profile}, {kind}"
    try:
        path = built_in_path(discover.load("profiles", profile), task)
    except (OSError, ValueError) as error:
        return "unknown", name, f"it depends on the body model: {one_line(error)}"
    if not (path / "manifest.json").exists():
        return "to make", name, "made when first needed"
    return _store(name, path, "delete the folder, it is made again")


def _store(name: str, path: Path, cure: str) -> tuple[str, str, str]:
    """Return the row of a store, by its manifest and the sizes of its files, not their content."""
    try:
        manifest = read_manifest(path)
        for file in FILES:
            check_file(path / file, manifest["files"][file], hashed=False)
        splits = ", ".join(f"{number} {split}" for split, number in manifest["splits"].items())
    except Exception as error:  # of whatever is damaged in it
        return "wrong", name, f"{one_line(error)} ({cure})"
    return "found", name, f"{display_path(path)}: {manifest['num_clips']} clips ({splits})"


def _cache() -> tuple[str, str, str]:
    folder = Path("reports", "runs").absolute()
    runs = sum(1 for _ in folder.glob("*/*/run.json"))
    try:
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except OSError as error:  # another process tidies up
        return "wrong", "cache", one_line(error)
    return "found", "cache", f"{display_path(folder)}: {runs} runs, {size / 2**20:.0f} MB"
