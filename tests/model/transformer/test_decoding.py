"""Fast decoding draws the tokens of the plain loop; quantised weights stay near the weights."""

import copy
import shutil
import weakref

import numpy as np
import pytest
import torch

from model.sequence import VISUAL
from model.transformer import UniMo, UniMoConfig
from model.transformer.decoding import Decoder, QuantizedHead, QuantizedLinear, quantize
from model.transformer.sampling import Noise
from model.transformer.train.steps import schedules

CONFIGS = {
    "tiny": UniMoConfig.tiny(ape_gate=0.1),
    "pose-first": UniMoConfig.tiny(layout="pose-first"),
    "embedded": UniMoConfig.embedded(n_layers=2, latent_shape=(2, 4, 4)),
}
COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs g++ here")


def made(config, task, batch=2):
    torch.manual_seed(0)
    model = UniMo(config).eval()
    schedule = schedules(config)[task]
    rng = np.random.default_rng(0)
    visual = rng.integers(0, config.visual_vocab, (batch, *config.latent_shape))
    motion = np.zeros((batch, schedule.num_motion), np.int64)
    return model, schedule, torch.from_numpy(schedule.assemble(visual, motion))


def noise(batch=2):
    return Noise(list(range(batch)), torch.device("cpu"))


def stacked(tokens):
    return torch.stack(list(tokens), dim=1)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("task", ["v2m", "i2vm"])
@pytest.mark.parametrize("name", CONFIGS)
def test_draws_what_the_plain_loop_draws(name, task, temperature):
    model, schedule, tokens = made(CONFIGS[name], task)
    wanted = stacked(model.generate(tokens, schedule, noise(), temperature=temperature))
    decoder = Decoder(model, schedule, 2, compile=False)
    for _ in range(2):  # what is left of one generation must not be seen by the next
        found = stacked(decoder.generate(tokens, noise(), temperature=temperature))
        assert torch.equal(found, wanted)


@pytest.mark.slow
@COMPILER
@pytest.mark.parametrize(("name", "kind"), [("tiny", None), ("embedded", "int8")])
def test_compiled_steps_draw_the_same(name, kind):
    model, schedule, tokens = made(CONFIGS[name], "i2vm", batch=1)
    if kind:
        quantize(model, kind)
    decoder = Decoder(model, schedule, 1)
    wanted = stacked(model.generate(tokens, schedule, noise(1)))
    assert torch.equal(stacked(decoder.generate(tokens, noise(1))), wanted)


@pytest.mark.parametrize(
    "compiled", [False, pytest.param(True, marks=[pytest.mark.slow, COMPILER])]
)
def test_a_decoder_and_its_model_go_with_the_last_reference(compiled, no_collector):
    """Where a collector must find them, a GPU holds them beside what is loaded next."""
    model, schedule, tokens = made(CONFIGS["tiny"], "i2vm", batch=1)
    decoder = Decoder(model, schedule, 1, compile=compiled)
    stacked(decoder.generate(tokens, noise(1)))
    gone = weakref.ref(model), weakref.ref(decoder), weakref.ref(decoder.cache.layers[0][0])
    del model, decoder
    assert [one() for one in gone] == [None, None, None]


def test_only_noise_moves_between_recorded_steps():
    """Whatever else a step reads must be a parameter or buffer: a graph copies anything else."""
    model, schedule, tokens = made(CONFIGS["tiny"], "i2vm")
    decoder = Decoder(model, schedule, 2, compile=False)
    moving = []

    def look(graph, inputs):
        for node in graph.graph.nodes:
            fixed = "_dynamo_static_input_type" in node.meta.get("tensor_dict", {})
            if node.op == "placeholder" and not fixed:
                moving.append(tuple(node.meta["example_value"].shape))
            assert node.op != "output" or not node.args[0]
        return graph

    decoder._run = torch.compile(Decoder._advance, fullgraph=True, dynamic=False, backend=look)
    for _ in decoder.generate(tokens, noise()):
        pass
    pairs = {tuple(schedule.modality[p : p + 2]) for p in range(schedule.prefix, len(schedule) - 1)}
    assert len(moving) == len(pairs)
    sizes = {model.config.visual_vocab, model.config.motion_vocab}
    assert {shape[1] for shape in moving} == sizes


def test_the_visual_head_is_not_computed_for_motion(monkeypatch):
    model, schedule, tokens = made(CONFIGS["tiny"], "v2m")
    monkeypatch.setattr(model.output, "forward", lambda hidden: pytest.fail("visual head"))
    stacked(Decoder(model, schedule, 2, compile=False).generate(tokens, noise()))


def test_another_number_of_clips_is_refused():
    model, schedule, tokens = made(CONFIGS["tiny"], "v2m")
    with pytest.raises(ValueError, match="2 clips for a decoder of 3"):
        next(Decoder(model, schedule, 3, compile=False).generate(tokens, noise(3)))


@pytest.mark.parametrize("kind", ["int8", "fp8"])
def test_quantised_weights_are_near(kind):
    torch.manual_seed(0)
    layer = torch.nn.Linear(64, 32, bias=False)
    with torch.no_grad():
        layer.weight[3] = 0.0
        layer.weight[4] *= 1e4
    made = QuantizedLinear(layer, kind)
    assert made.weight.element_size() == 1
    found = made.weight.float() * made.scale[:, None]
    error = (found - layer.weight).abs()
    step = made.scale[:, None]
    if kind == "int8":
        bound = step / 2
    else:  # three bits after the first, and the smallest numbers evenly spaced
        bound = torch.maximum(layer.weight.abs() * 2**-4, step * 2**-10)
    assert (error <= bound * (1 + 1e-5)).all()
    x = torch.randn(5, 64)
    torch.testing.assert_close(made(x), x @ found.T, rtol=1e-4, atol=1e-3)
    assert made(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize(("kind", "most"), [("int8", 0.02), ("fp8", 0.08)])
def test_a_quantised_model_is_near_and_generates(kind, most):
    model, schedule, tokens = made(CONFIGS["tiny"], "i2vm")
    exact, _ = model.prefill(tokens, schedule)
    quantised = quantize(copy.deepcopy(model), kind)
    found, _ = quantised.prefill(tokens, schedule)
    assert (found - exact).norm() < most * exact.norm()
    assert isinstance(quantised.output, QuantizedHead)
    logits = model.output(exact)
    assert (quantised.output(exact) - logits).norm() < most * logits.norm()
    wanted = stacked(quantised.generate(tokens, schedule, noise()))
    assert torch.equal(
        stacked(Decoder(quantised, schedule, 2, compile=False).generate(tokens, noise())), wanted
    )
    assert (wanted[:, schedule.targets[VISUAL] - schedule.prefix] < model.config.visual_vocab).all()


def test_unknown_kinds_of_weights_are_refused():
    with pytest.raises(ValueError, match="choose int8 or fp8"):
        quantize(UniMo(UniMoConfig.tiny()), "int4")
