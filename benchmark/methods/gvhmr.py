"""GVHMR, from whose estimates the paper's training and pseudo ground truth are made."""

from benchmark.methods.estimators import External

METHOD = {
    "v2m": External(
        "gvhmr",
        "Where the true motion is itself GVHMR's estimate, as in the paper, this row compares it "
        "with itself.",
    )
}
