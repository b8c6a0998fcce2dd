"""Which codec a transformer's tokens are of, by the sidecar of its weights."""

import json

import pytest

from benchmark.methods import transformers

COSMOS = {"name": "cosmos-dv8x16x16", "weights": "0" * 64}
BUILT_IN = {"name": "linear", "trained_on": '"name": "cosmos'}


@pytest.mark.parametrize("written", [lambda identity: identity, json.dumps], ids=["object", "text"])
def test_the_codec_is_known_by_its_name_alone(written):
    assert transformers.is_cosmos(written(COSMOS))
    assert not transformers.is_cosmos(written(BUILT_IN))


@pytest.mark.parametrize("codec", [None, "", "cosmos", "[1]", {}, {"name": None}, 7])
def test_what_is_no_identity_of_a_codec_is_not_cosmos(codec):
    assert not transformers.is_cosmos(codec)
