"""A result as a LaTeX table for ``booktabs``, with the paper's numbers below each row."""

from collections.abc import Sequence
from pathlib import Path

from benchmark.results.render import layout
from benchmark.results.schema import Result
from datasets.tools.files import write_text

_REPLACEMENTS = str.maketrans(
    {
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
        "±": r"$\pm$",
        "[": "{[}",  # at the beginning of a line it would be an option of the line before
        "\ufffd": "?",
    }
)
_LABEL = 26  # letters of a label on one line of a column


def render(result: Result, path: Path, *, full: bool = False) -> None:
    """Write the ``.tex`` file, to be used with ``\\input``."""
    write_text(path, to_latex(result, full=full))


def to_latex(result: Result, *, full: bool = False) -> str:
    """Return the text of the ``.tex`` file.

    Args:
        result: of a table.
        full: a float with caption, intervals and notes; else a tabular that is shrunk where it is
            wider than a column, with facts and notes as comments.
    """
    heading, *body = layout.grid(result, brief=not full)
    lines = [
        rf"\begin{{tabular}}{{l{'c' * (len(heading) - 1)}}}",
        r"\toprule",
        _line(heading, wrap=not full),
        r"\midrule",
        *(_line(line, wrap=not full) for line in body),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    notes = [f"{number}. {note}" for number, note in enumerate(result.notes, 1)]
    facts = [f"{name}: {text}." for name, text in layout.footnotes(result)]
    if not full:
        texts = [f"{result.table}: {result.title}.", *facts, *notes]
        return "\n".join(
            [
                *(f"% {' '.join(text.split())}" for text in texts),
                r"% Needs \usepackage{booktabs,graphicx}.",
                r"\resizebox{\ifdim\width>\columnwidth\columnwidth\else\width\fi}{!}{%",
                *lines[:-1],
                lines[-1] + "}",
                "",
            ]
        )
    return "\n".join(
        [
            r"% Needs \usepackage{booktabs}.",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{' '.join(map(escape, [result.title + '.', *facts]))}}}",
            rf"\label{{tab:{result.table}}}",
            *lines,
            r"\par\smallskip\footnotesize\raggedright",
            *(rf"{escape(note)}\par" for note in notes),
            r"\end{table}",
            "",
        ]
    )


def escape(text: str) -> str:
    """Return `text` so that LaTeX prints it literally, on one line."""
    return " ".join(text.split()).translate(_REPLACEMENTS)


def _line(fields: Sequence[layout.Field], *, wrap: bool) -> str:
    label, *others = fields
    text = _field(label)
    if wrap and len(label.text) > _LABEL:
        text = rf"\parbox[t]{{{_LABEL // 2}em}}{{\raggedright {text}\strut}}"
    return " & ".join([text, *map(_field, others)]) + r" \\"


def _field(field: layout.Field) -> str:
    text = escape(field.text)
    if field.quoted:
        return rf"\textit{{{text}}}"
    marked = {0: rf"\textbf{{{text}}}", 1: rf"\underline{{{text}}}", None: text}[field.rank]
    spread = field.spread.replace("±", r"$\pm$").replace(layout.TIE, r"$\approx$")
    return marked + spread + field.interval
