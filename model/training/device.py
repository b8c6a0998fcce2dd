"""The device that a command computes on."""

import argparse
import sys
from pathlib import Path

from model.training.config import TrainingError


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--device``, whose word is for `device_named`."""
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="default auto: the GPU if there is one",
    )


def device_named(name: str) -> str:
    """Return ``cpu`` or ``cuda``; ``auto`` is the GPU if there is one, else the CPU.

    torch is imported only where a driver is present; where it then finds no GPU, stderr says so.

    Raises:
        TrainingError: ``cuda`` without a GPU.
    """
    driver = Path("/dev/nvidiactl").exists()
    if name == "cpu" or (name == "auto" and not driver):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    why = f"torch {torch.__version__} finds no GPU here"
    if name == "cuda":
        raise TrainingError(f"--device cuda: {why}; use --device cpu")
    print(
        f"{why}, though there is a driver (too old for this torch?): computing on the CPU",
        file=sys.stderr,
    )
    return "cpu"
