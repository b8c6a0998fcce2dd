"""The motion tokenizer of the paper's section 3.1: 36 discrete tokens for each frame of motion.

Importing this package is light; `MotionTokenizer`, which needs torch, is loaded on first use.
"""

from model.tokenizer.config import TokenizerConfig

__all__ = ["MotionTokenizer", "TokenizerConfig"]


def __getattr__(name: str):
    if name == "MotionTokenizer":
        from model.tokenizer.network import MotionTokenizer

        return MotionTokenizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
