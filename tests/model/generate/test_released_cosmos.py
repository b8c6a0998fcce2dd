"""Released Cosmos: its own conditioning, attention and sampling, from the official file alone."""

import numpy as np
import pytest
import torch

from model.generate.completion import SAMPLING, Completion, Sampling
from model.generate.released_cosmos import ReleasedCosmos
from model.sequence import VISUAL, released_i2v
from model.training.sidecar import CheckpointError
from model.transformer import UniMoConfig
from model.transformer.decoding import Decoder
from model.transformer.sampling import Noise
from model.video_tokens.fitted.linear import LinearCodec
from tests.model.cosmos_state import make, official, plain_cosmos, transformer_engine

CONFIG = UniMoConfig.tiny(visual_vocab=64_000, latent_shape=(3, 2, 2))


class Codec(LinearCodec):
    """Remembers what it has encoded."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def encode(self, frames):
        self.seen.append(frames)
        return super().encode(frames)


@pytest.fixture(scope="module")
def state():
    return official(make(visual_vocab=CONFIG.visual_vocab, latent_shape=CONFIG.latent_shape))


@pytest.fixture
def cosmos(state, tmp_path):
    torch.save({"model": {f"model.{k}": v for k, v in state.items()}}, tmp_path / "model.pt")
    return ReleasedCosmos.load(tmp_path / "model.pt", Codec(), config=CONFIG)


def pictures(count):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 32, 32, 3), np.uint8)


def ids(count):
    shape = (count, int(np.prod(CONFIG.latent_shape)))
    return torch.from_numpy(np.random.default_rng(1).integers(0, 64_000, shape))


SCHEDULE = released_i2v(CONFIG.num_frames, CONFIG.height, CONFIG.width)


def test_the_sequence_is_the_video_alone_and_its_condition_the_first_latent_frame():
    assert (SCHEDULE.modality == VISUAL).all() and len(SCHEDULE) == 12 and SCHEDULE.prefix == 4
    assert np.array_equal(SCHEDULE.index, np.arange(12)) and SCHEDULE.num_motion == 0
    t, h, w = np.indices(CONFIG.latent_shape).reshape(3, -1)
    for found, wanted in ((SCHEDULE.t, t), (SCHEDULE.h, h), (SCHEDULE.w, w)):
        assert np.array_equal(found, wanted)
    paper = released_i2v()
    assert (len(paper), paper.prefix, paper.bidirectional) == (9216, 1024, 0)


def test_its_logits_are_those_of_a_plain_causal_forward(cosmos, state):
    tokens = ids(2)
    with torch.no_grad():
        found = cosmos.completion.model(tokens, SCHEDULE)["visual"]
    wanted = plain_cosmos(state, tokens, CONFIG)[:, 3:-1]
    assert wanted.std() > 0.3
    assert (found - wanted).norm() <= 1e-5 * wanted.norm()


@pytest.mark.parametrize("changed", [1, 3, 6, 10])
def test_nothing_depends_on_a_token_after_it_not_even_within_the_condition(changed, cosmos):
    model, tokens = cosmos.completion.model, ids(1)
    other = tokens.clone()
    other[:, changed] = (other[:, changed] + 7) % 64_000
    with torch.no_grad():
        before, after = (model(t, SCHEDULE)["visual"][0] for t in (tokens, other))
        caches = [model.prefill(t, SCHEDULE)[1].layers[1] for t in (tokens, other)]
    first = max(0, changed - 3)  # of the targets that see it: target i follows position i + 3
    assert before[:first].equal(after[:first])
    assert all((before[i] - after[i]).abs().max() > 1e-4 for i in range(first, len(before)))
    for one, two in zip(*caches, strict=True):  # of the second block
        assert one[:, :, :changed].equal(two[:, :, :changed])
        assert changed > 3 or not torch.allclose(one[:, :, changed], two[:, :, changed])


def test_the_likeliest_tokens_are_those_of_the_plain_forward(cosmos, state):
    """With the cache, with the decoder of a GPU, and each token read by all of its future."""
    first = ids(2)[:, :4].reshape(2, 1, 2, 2).numpy()
    greedy = Completion(cosmos.completion.model, Sampling(temperature=0.0))
    visual, motion = greedy.complete(SCHEDULE, first, [0, 1], progress=False)
    flat = torch.from_numpy(visual.reshape(2, -1))
    wanted = plain_cosmos(state, flat, CONFIG).argmax(-1)
    assert flat[:, 4:].equal(wanted[:, 3:-1])
    assert visual[:, :1].tolist() == first.tolist() and motion.shape == (2, 0)
    decoder = Decoder(cosmos.completion.model, SCHEDULE, 2, compile=False)
    steps = decoder.generate(flat, Noise([0, 1], torch.device("cpu")), temperature=0.0)
    assert torch.stack(list(steps), dim=1).equal(flat[:, 4:])


def test_a_picture_is_tokenised_as_a_whole_still_video(cosmos):
    images = pictures(2)
    visual = cosmos.i2v(images, [3, 4])
    assert visual.shape == (2, 3, 2, 2)
    for seen, image, found in zip(cosmos.codec.seen, images, visual, strict=True):
        assert np.array_equal(seen, np.repeat(image[None], 17, axis=0))
        assert np.array_equal(found[:1], LinearCodec().encode(seen)[:1])
    assert cosmos.completion.sampling == SAMPLING == Sampling(p=0.8, temperature=1.0)


def test_a_clip_depends_on_its_seed_and_on_no_other_clip(cosmos):
    images = pictures(3)
    whole = cosmos.i2v(images, [5, 6, 7])
    assert np.array_equal(cosmos.i2v(images[[2, 0]], [7, 5]), whole[[2, 0]])
    assert not np.array_equal(cosmos.i2v(images[:1], [6]), whole[:1])
    with pytest.raises(ValueError, match="1 seeds for 2 clips"):
        cosmos.i2v(images[:2], [0])
    with pytest.raises(ValueError, match=r"this model wants \(1, 32, 32\)"):
        cosmos.i2v(np.zeros((1, 64, 64, 3), np.uint8), [0])


def test_only_the_official_file_of_that_size_is_taken(state, tmp_path):
    def load(state, **changes):
        torch.save(state, tmp_path / "model.pt")
        config = UniMoConfig.tiny(visual_vocab=64_000, latent_shape=(3, 2, 2), **changes)
        return ReleasedCosmos.load(tmp_path / "model.pt", Codec(), config=config)

    tokens = ids(1)
    with torch.no_grad():
        found = load(transformer_engine(state)).completion.model(tokens, SCHEDULE)["visual"]
    wanted = plain_cosmos(state, tokens, CONFIG)[:, 3:-1]
    assert (found - wanted).norm() <= 1e-5 * wanted.norm()
    text = {**state, "layers.0.cross_attention.wq.weight": torch.zeros(2, 2)}
    for broken, changes, why in (
        (text, {}, "cross_attention"),  # of Video2World
        (state, {"n_layers": 3}, r"no tensor layers\.2"),
        (state, {"ffn_hidden_size": 128}, "another configuration"),
        ({}, {}, "no tensor"),
    ):
        with pytest.raises(CheckpointError, match=why):
            load(broken, **changes)
    with pytest.raises(CheckpointError, match="is not there"):
        ReleasedCosmos.load(tmp_path / "none.pt", Codec(), config=CONFIG)
