"""A result as a LaTeX table for ``booktabs``, with the paper's numbers below each row."""

import re
from pathlib import Path

from benchmark.results.render import layout
from datasets.tools.files import write_text

_REPLACEMENTS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "²": r"$^2$",
    "×": r"$\times$",
}
_SPECIAL = re.compile("|".join(map(re.escape, _REPLACEMENTS)))


def render(result: dict, path: Path) -> None:
    """Write the ``.tex`` file, to be used with ``\\input``."""
    write_text(path, to_latex(result))


def to_latex(result: dict) -> str:
    """The text of the ``.tex`` file."""
    heading, *body = [" & ".join(map(_field, line)) + r" \\" for line in layout.grid(result)]
    columns = "l" + "c" * heading.count("&")
    facts = [f"{escape(name)}: {escape(text)}." for name, text in layout.facts(result)]
    notes = [rf"{number}.~{escape(note)}\par" for number, note in enumerate(result["notes"], 1)]
    return "\n".join(
        [
            r"% Needs \usepackage{booktabs}.",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{' '.join([escape(result['title']) + '.', *facts])}}}",
            rf"\label{{tab:{result['table']}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            heading,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\smallskip\footnotesize\raggedright",
            *notes,
            r"\end{table}",
            "",
        ]
    )


def escape(text: str) -> str:
    """`text` so that LaTeX prints it literally, on one line."""
    return _SPECIAL.sub(lambda match: _REPLACEMENTS[match[0]], " ".join(text.split()))


def _field(field: layout.Field) -> str:
    text = escape(field.text)
    if field.quoted:
        return rf"\textit{{{text}}}"
    marked = {0: rf"\textbf{{{text}}}", 1: rf"\underline{{{text}}}", None: text}[field.rank]
    return marked + field.rest
