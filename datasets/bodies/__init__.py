"""Body models: SMPL-X and SMPL, their files, and the free stand-in body.

Importing this package is light; `load_body`, which needs torch, is loaded on first use.
"""

from typing import TYPE_CHECKING

from datasets.bodies.smplx_file import find_body

if TYPE_CHECKING:
    from datasets.bodies.smplx import load_body

__all__ = ["find_body", "load_body"]


def __getattr__(name: str):
    if name == "load_body":
        from datasets.bodies.smplx import load_body

        return load_body
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
