"""Figure 11: motion tokenizers, SOLAMI and UniMo."""

from benchmark.figures.strips import reconstruction
from benchmark.spec import FigureSpec
from benchmark.tables import table1

FIGURE = FigureSpec(
    id="figure11",
    title="Comparison of tokenizers",
    rows={"tokenizer": table1.TABLE.rows},
    draw=reconstruction,
)
