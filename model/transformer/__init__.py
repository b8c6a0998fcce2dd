"""The autoregressive transformer of the paper's section 3.2.

Importing this package is light; `UniMo`, which needs torch, is loaded on first use.
"""

from model.transformer.config import UniMoConfig

__all__ = ["UniMo", "UniMoConfig"]


def __getattr__(name: str):
    if name == "UniMo":
        from model.transformer.network import UniMo

        return UniMo
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
