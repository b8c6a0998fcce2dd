"""Figure 11: motion tokenizers, SOLAMI and UniMo."""

from benchmark.api.figure import FigureSpec
from benchmark.figures.drawing.strips import reconstruction
from benchmark.tables import table1

FIGURE = FigureSpec(
    id="figure11",
    title="Comparison of tokenizers",
    rows={"tokenizer": table1.TABLE.rows},
    draw=reconstruction,
)
