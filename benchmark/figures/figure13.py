"""Figure 13: motion from video on 3DPW, GVHMR, 4DHumans and UniMo."""

from benchmark.figures.drawing.strips import official_dataset

FIGURE = official_dataset("figure13", "threedpw", "3DPW")
