"""Cosmos's autoregressive model, the baseline of I2VM: it makes videos alone."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.api.clips import Clips, Data, Prediction
from benchmark.api.method import Progress
from benchmark.api.profile import Profile
from benchmark.api.table import Row
from benchmark.methods import transformers
from benchmark.methods.systems import Transformer
from datasets.tools.files import read_json, sha256_of, write_json
from model.sequence import VIDEO_ALONE
from model.video_tokens.cosmos.files import cosmos_file, cosmos_tokenizer

if TYPE_CHECKING:
    from model.generate.released_cosmos import ReleasedCosmos

NO_MOTION = (
    "It makes no motion of its own: FID and DIV are of the motion that the estimator sees in its "
    "videos, and there is no consistency to measure."
)


class VideoAlone(Transformer):
    """A transformer that is trained here, on video alone, as UniMo's is on video and motion."""

    learned = (VIDEO_ALONE,)

    def pixels(self, profile: Profile) -> dict[str, str]:
        return transformers.pixels(profile)

    def predict(
        self,
        weights: Path,
        clips: Clips,
        *,
        device: str,
        seed: int,
        pixels: Mapping[str, str] | None = None,
    ) -> Prediction:
        system = self._load(weights, device)
        pictures, failed = transformers.first_pictures(clips)
        visual = system.i2v(pictures, transformers.clip_seeds(clips.ids, seed))
        videos, crashed = transformers.decoded(
            system.codec, visual, clips.ids, pixels, device=device
        )
        return Prediction(None, videos=videos, failed=failed, crashed=crashed)

    def _load(self, weights: Path, device: str) -> "transformers.Pipeline | ReleasedCosmos":
        return transformers.load(weights, device)


class Baseline(VideoAlone):
    """Cosmos as it is released, where the profile has its tokens."""

    note = (
        f"{NO_MOTION} With Cosmos's tokens it is Cosmos 4B as released, with nothing trained: it "
        "continues the first picture with its own conditioning and sampling, in clips of another "
        "size than those of its training (33 frames of 640 x 1024 pixels). With the built-in "
        "codec, whose tokens it cannot read, the same transformer as UniMo's stands for it, "
        "trained here as long on the same clips, on video alone."
    )

    def learns(self, profile: Profile) -> bool:
        return not _is_released(profile)

    def training_spec(self, params: Mapping[str, object], profile: Profile, *, seed: int) -> dict:
        if not _is_released(profile):
            return super().training_spec(params, profile, seed=seed)
        with transformers.cosmos_there():
            return {"released": _files(), "model": profile.unimo.of_cosmos().to_dict()}

    def builds_on(self, row: Row, profile: Profile) -> tuple[str, Row] | None:
        return None

    def training_command(self, row: Row, profile: Profile) -> str:
        return ""

    def use_of(self, sidecar: Mapping[str, Any], row: Row, profile: Profile) -> str:
        return "" if _is_released(profile) else super().use_of(sidecar, row, profile)

    def train(
        self,
        spec: dict,
        data: Data,
        out: Path,
        *,
        device: str,
        progress: Progress,
        base: Path | None = None,
    ) -> Path:
        """Train the stand-in; of the released model, write what it is."""
        if "released" not in spec:
            return super().train(spec, data, out, device=device, progress=progress, base=base)
        path = out / "cosmos.json"
        write_json(path, spec)
        return path

    def release(self) -> None:
        _released.cache_clear()
        super().release()

    def facts(self, weights: Path) -> dict[str, float]:
        if weights.suffix != ".json":
            return super().facts(weights)
        from model.transformer import UniMoConfig
        from model.transformer.cosmos_weights import num_parameters

        return {"params_m": num_parameters(UniMoConfig.from_dict(_read(weights)["model"])) / 1e6}

    def _load(self, weights: Path, device: str) -> "transformers.Pipeline | ReleasedCosmos":
        if weights.suffix != ".json":
            return super()._load(weights, device)
        if _read(weights)["released"] != _files():
            raise ValueError("Cosmos's files were replaced meanwhile: run the same command again")
        return _released(weights, sha256_of(weights), device)


def _is_released(profile: Profile) -> bool:
    return profile.codec == "cosmos"


def _files() -> dict[str, str]:
    """Return the sha256 of Cosmos's files by name."""
    folder = cosmos_tokenizer()
    paths = (cosmos_file(), folder / "encoder.jit", folder / "decoder.jit")
    return {path.name: sha256_of(path) for path in paths}


def _read(weights: Path) -> dict:
    found = read_json(weights)
    if found is None:
        raise ValueError(f"{weights} is damaged: remove its folder, and run the command again")
    return found


@functools.lru_cache(maxsize=1)
def _released(weights: Path, version: str, device: str) -> "ReleasedCosmos":
    """Kept, as loading and compiling take minutes."""
    from model.generate.released_cosmos import ReleasedCosmos
    from model.transformer import UniMoConfig
    from model.video_tokens.choose import open_codec

    transformers.release()  # a GPU may not hold two models
    config = UniMoConfig.from_dict(_read(weights)["model"])
    codec = open_codec(str(cosmos_tokenizer()), device=device)
    return ReleasedCosmos.load(cosmos_file(), codec, config=config, device=device)


METHOD = {"i2vm": Baseline()}
