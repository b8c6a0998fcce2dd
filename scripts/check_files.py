"""``python scripts/check_files.py FILE...`` refuses large files and paths of one machine."""

import re
import sys
from pathlib import Path

LIMIT = 2_000_000  # bytes
SHIPPED = Path("model/assets")  # the small trained set
# A home folder or a temporary one with something below it. The user names in docs are examples.
MACHINE_PATH = re.compile(
    r"(?<![\w.])/(?:home|Users)/(?!(?:you|me|user|annotator)\b)\w+/|(?<![\w.])/root/\w"
)
TEXTS = {".py", ".md", ".json", ".toml", ".txt", ".yml", ".yaml", ".csv", ".tex", ".html", ".cff"}


def problems(file: Path) -> list[str]:
    """Return one line for each thing that must not be committed; empty for a file that may be."""
    found = []
    if file.stat().st_size > LIMIT and SHIPPED not in file.parents:
        found.append(f"{file}: {file.stat().st_size} bytes, more than {LIMIT}: leave it out")
    if file.suffix in TEXTS:
        for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1):
            if match := MACHINE_PATH.search(line):
                found.append(f"{file}:{number}: {match[0]}… is a path of one machine: take it out")
    return found


if __name__ == "__main__":
    lines = [line for name in sys.argv[1:] if Path(name).is_file() for line in problems(Path(name))]
    print("\n".join(lines), end="\n" if lines else "")
    sys.exit(1 if lines else 0)
