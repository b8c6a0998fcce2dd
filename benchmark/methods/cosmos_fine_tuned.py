"""Cosmos's autoregressive model, trained on with the training clips, on video alone."""

from collections.abc import Mapping

from benchmark.api.errors import NotApplicable
from benchmark.api.profile import Profile
from benchmark.methods.cosmos import NO_MOTION, VideoAlone
from model.sequence import VIDEO_ALONE


class FineTuned(VideoAlone):
    """UniMo's transformer without motion: the same start, training and clips."""

    note = (
        f"{NO_MOTION} It is trained from Cosmos 4B as UniMo is, as long on the same clips, on "
        "video alone: what UniMo gains over it is not the training on these clips."
    )
    checkpoint_class = "UniMo"
    checkpoint_task = VIDEO_ALONE

    def training_spec(self, params: Mapping[str, object], profile: Profile, *, seed: int) -> dict:
        if profile.codec != "cosmos":
            raise NotApplicable(
                "there is no released model of the built-in codec's tokens to be fine-tuned; the "
                "row Baseline is trained on these clips"
            )
        return super().training_spec(params, profile, seed=seed)


METHOD = {"i2vm": FineTuned()}
