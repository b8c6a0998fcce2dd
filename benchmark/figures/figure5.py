"""Figure 5: the motion tokenizer with 1 and with 36 tokens per frame."""

from benchmark.api.figure import FigureSpec
from benchmark.api.table import Row
from benchmark.figures.drawing.strips import reconstruction

FIGURE = FigureSpec(
    id="figure5",
    title="Ablation experiments of the number of tokens in the 3D motion tokenizer",
    rows={
        "tokenizer": (
            Row("s=1", "unimo", {"tokens_per_frame": 1, "codebook_size": 512}),
            Row("Ours (s=1/36)", "unimo", {"tokens_per_frame": 36, "codebook_size": 512}),
        )
    },
    draw=reconstruction,
)
