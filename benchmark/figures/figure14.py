"""Figure 14: motion from video on RICH, GVHMR, 4DHumans and UniMo."""

from benchmark.figures.drawing.strips import official_dataset

FIGURE = official_dataset("figure14", "rich", "RICH")
