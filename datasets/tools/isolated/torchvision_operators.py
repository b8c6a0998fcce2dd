"""Lets torchvision be imported beside torch for the CPU; run inside the environments of tools.

The package index has torchvision for CUDA only. Its library does not load there, and importing the
package fails for want of the operators' declarations. The tools need these and no operator itself
(GVHMR's detector does, on a GPU).
"""

import importlib.util
import os

import torch


def declare():
    """Declare the operators if torchvision's own library does not load.

    Returns:
        The declarations, which live as long as they are referenced, or None.
    """
    folder = importlib.util.find_spec("torchvision").submodule_search_locations[0]
    try:
        torch.ops.load_library(os.path.join(folder, "_C.so"))
    except OSError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return library
    return None
