"""The verb ``speed``: its formulas against numbers worked out by hand, and that it always ends."""

import json
import math

import pytest
import torch

from benchmark import run
from benchmark.api.errors import Unavailable
from benchmark.commands.speed import generation, machine, report, training
from benchmark.commands.speed.bench import Bench
from benchmark.commands.speed.report import measured_row
from model.sequence import MOTION, TASKS, VISUAL
from model.training import memory
from model.transformer import UniMo, UniMoConfig
from model.transformer import cost as formulas
from model.transformer.train.steps import schedules

PAPER = UniMoConfig.paper()
V2M, I2VM = (schedules(PAPER)[task] for task in TASKS)
TB, TFLOP = 1e12, 1e12


def test_bytes_of_a_token_at_the_papers_size():
    assert formulas.streamed_parameters(PAPER, VISUAL) == 3_751_944_192
    assert formulas.cache_bytes(PAPER) == 65_536
    assert round(4.3 * TB / formulas.step_bytes(PAPER, 1026, VISUAL)) == 568
    assert round(4.3 * TB / formulas.step_bytes(PAPER, 11558, VISUAL)) == 520


def floor(schedule, *, head=None, weight=2):
    """Seconds at 4.3 TB/s for all targets, each with the same head or with its own."""
    sizes = (
        formulas.step_bytes(
            PAPER,
            position,
            int(schedule.modality[position]) if head is None else head,
            weight=weight,
        )
        for position in range(schedule.prefix, len(schedule))
    )
    return sum(sizes) / (4.3 * TB)


def test_floors_at_the_papers_size():
    assert floor(V2M, head=VISUAL) == pytest.approx(4.45, abs=0.005)
    assert floor(I2VM, head=VISUAL) == pytest.approx(19.4, abs=0.05)
    assert floor(V2M, head=VISUAL, weight=1) == pytest.approx(2.41, abs=0.005)
    assert floor(V2M) == pytest.approx(4.17, abs=0.005)
    for schedule in (V2M, I2VM):
        first = int(schedule.modality[schedule.prefix])
        one = formulas.step_bytes(PAPER, schedule.prefix, first) / (4.3 * TB)
        decode = formulas.decode_bytes(PAPER, schedule) / (4.3 * TB)
        assert decode == pytest.approx(floor(schedule) - one)


def test_clips_share_the_weights_alone():
    one, two = (formulas.step_bytes(PAPER, 1000, MOTION, batch=batch) for batch in (1, 2))
    assert two - one == 1000 * formulas.cache_bytes(PAPER)


def test_flops_at_the_papers_size():
    assert formulas.block_flops(PAPER, 11558) / TFLOP == pytest.approx(80.7, abs=0.05)
    assert formulas.head_flops(PAPER, VISUAL, 11558) / TFLOP == pytest.approx(6.06, abs=0.005)
    assert formulas.attention_flops(PAPER, 9218, 11558) / TFLOP == pytest.approx(28.6, abs=0.06)
    assert formulas.attention_flops(PAPER, 1026, 11558) / TFLOP == pytest.approx(17.6, abs=0.06)
    assert formulas.prefill_flops(PAPER, 9218) / TFLOP == pytest.approx(86.6, abs=0.05)
    forward = formulas.training_flops(PAPER, V2M) / 3 / TFLOP
    assert forward == pytest.approx(80.67 + 28.65 + 0.0098, abs=0.05)


@pytest.mark.parametrize("make", [UniMoConfig.paper, UniMoConfig.embedded, UniMoConfig.tiny])
def test_matrices_and_heads_are_the_models(make):
    config = make()
    with torch.device("meta"):
        model = UniMo(config)
    blocks = sum(p.numel() for p in model.layers.parameters() if p.ndim == 2)
    assert formulas.matrix_parameters(config) == blocks
    outputs = getattr(model.output, "outputs", model.output)
    rows = {VISUAL: outputs, MOTION: model.motion_output}
    for modality, head in rows.items():
        expected = sum(p.numel() for p in head.parameters())
        assert formulas.head_parameters(config, modality) == expected


def every_cell(result):
    for part in result["parts"]:
        assert part["rows"]
        for row in part["rows"]:
            yield part, row


def test_the_verb_writes_its_files(tmp_path, capsys):
    words = ["speed", "--size", "tiny", "--device", "cpu", "--batch", "1", "2"]
    assert run.main([*words, "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "speed" / "cpu-tiny.json").read_text())
    text = (tmp_path / "speed" / "cpu-tiny.md").read_text()
    assert text in capsys.readouterr().out
    assert {path.suffix for path in (tmp_path / "speed").iterdir()} == {".json", ".md"}
    assert [part["name"] for part in result["parts"]] == [*report.PARTS]
    for _, row in every_cell(result):
        assert row["how"] == "measured", row
        for value in row.values():
            assert not isinstance(value, float) or (math.isfinite(value) and value > 0)
    tasks = [(row["task"], row["batch"]) for row in result["parts"][1]["rows"]]
    assert tasks == [("v2m", 1), ("v2m", 2), ("i2vm", 1), ("i2vm", 2)]


@pytest.mark.parametrize("weights", ["int8", "fp8", "bf16"])
def test_other_weights(weights, monkeypatch):
    monkeypatch.setattr(report, "PARTS", {"generation": generation.PART})
    result = report.measure("cpu", "tiny", weights, [1])
    assert [row["how"] for _, row in every_cell(result)] == ["measured"] * 2


def test_one_row_that_fails_leaves_the_others():
    def no_memory():
        raise torch.OutOfMemoryError("tried to\nallocate")

    def absent():
        raise Unavailable("no such thing")

    found = {
        "fails": no_memory,
        "absent": absent,
        "not a number": lambda: {"value": math.nan},
        "works": lambda: {"value": 1.0},
    }
    made = [measured_row({"what": what}, work) for what, work in found.items()]
    assert [one["how"] for one in made] == [
        "unavailable: OutOfMemoryError: tried to allocate",
        "unavailable: no such thing",
        "unavailable: value came out as no finite number",
        "measured",
    ]


def measured(part, bench):
    return [measured_row(*row) for row in part.rows(bench)]


def test_what_does_not_fit_is_said_before_it_is_tried(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 5 * 10**9)
    bench = Bench(device="cpu", size="paper", weights="bf16", batches=(1,))
    made = [measured(part, bench) for part in (generation.PART, training.PART)]
    for one in (*made[0], *made[1]):
        assert one["how"].startswith("unavailable: ") and "5.0 GB are free" in one["how"]
    assert "8.4 GB" in made[0][0]["how"]
    needed = float(made[1][0]["how"].split(" GB")[0].split()[-1])
    assert 64.3 < needed < 90  # 16 bytes a weight, and what blocks keep


def test_estimates_say_so(monkeypatch):
    monkeypatch.setattr(Bench, "estimates", property(lambda bench: True))
    monkeypatch.setattr(generation, "_SAMPLE", 8)
    bench = Bench(device="cpu", size="tiny", weights="fp32", batches=(1,))
    for one in measured(generation.PART, bench):
        assert one["how"].startswith("estimated from ") and one["seconds"] > 0


def test_stopping_writes_nothing(tmp_path, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(machine, "require_memory", stop)
    assert run.main(["speed", "--size", "tiny", "--out", str(tmp_path)]) == 130
    assert "nothing was written" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(capsys):
    assert run.main(["speed", "--device", "cuda"]) == 2
    assert "finds no GPU" in capsys.readouterr().err
