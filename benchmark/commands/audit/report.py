"""The verb ``audit``: every check on the paper's numbers, as Markdown and JSON."""

from pathlib import Path

from benchmark.commands.audit import arithmetic, claims
from benchmark.commands.audit.paper import Paper
from benchmark.commands.audit.rules import Check
from benchmark.results.render.layout import Field
from benchmark.results.render.markdown import escape, table
from benchmark.runs import provenance
from datasets.tools.files import write_json, write_text

SCHEMA_VERSION = 1
# What a reader of the table should know is missing from it, as no printed number decides it.
_OPEN = (
    "Not stated in the paper: the joints behind MPJPE, the unit and frame rate of Accel, the "
    "variant and reference of FID and DIV.",
    "The 300 test clips are said to come from five datasets; the captions of tables 1, 3, 7 and 10 "
    "name Human4DiT-Video alone, and no table reports DNA-Rendering or BEDLAM.",
    "Table 2 compares FID and DIV of motions that GVHMR extracted from the baseline's videos with "
    "those of motions that UniMo generated.",
    "VBench-2.0 is cited, for dimensions of VBench 1.",
    "Table 6 has no caption in the text at hand.",
)


def checks(paper: Paper) -> list[Check]:
    """Return all checks in the order in which they are printed."""
    return [*arithmetic.checks(paper), *claims.checks(paper)]


def examine(paper: Paper) -> dict:
    """Return all checks as a JSON-ready result."""
    return {
        "schema_version": SCHEMA_VERSION,
        "checks": [
            {
                "check": check.name,
                "tables": check.tables.split(", "),
                **check.finding._asdict(),
                "note": check.note,
            }
            for check in checks(paper)
        ],
        "notes": list(_OPEN),
    }


def to_markdown(result: dict) -> str:
    """Return the report as text."""
    lines = [("check", "tables", "expected", "printed", "result", "note")]
    for check in result["checks"]:
        outcome = "holds" if check["holds"] else "fails"
        tables = ", ".join(check["tables"])
        fields = check["check"], tables, check["expected"], check["printed"], outcome, check["note"]
        lines.append(fields)
    held = sum(check["holds"] for check in result["checks"])
    return "\n".join(
        [
            "# Audit: the paper's numbers against each other",
            "",
            *table([[Field(text) for text in line] for line in lines]),
            "",
            f"{held} of {len(result['checks'])} checks hold. Beyond them:",
            "",
            *(f"- {escape(note)}" for note in result["notes"]),
            "",
        ]
    )


def write(result: dict, out: Path) -> list[Path]:
    """Write the files of a result; returns their paths."""
    paths = [out / "audit.json", out / "audit.md"]
    write_json(paths[0], result | {"provenance": provenance.collect()})
    write_text(paths[1], to_markdown(result))
    return paths
