"""The small trained set that ships with the package, made by ``python -m model.build_assets``."""

from pathlib import Path

MADE_BY = "python -m model.build_assets"
FOLDER = Path(__file__).parent
CODEC = FOLDER / "codec.safetensors"
TOKENIZER = FOLDER / "tokenizer.safetensors"
UNIMO = FOLDER / "unimo.safetensors"
