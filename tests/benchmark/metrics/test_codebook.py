"""Codebook use on hand-made token arrays."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.api.metric import Evaluation, MetricContext, Score
from benchmark.metrics.codebook import METRIC, SAMPLE, utilisation
from datasets.bodies.smplx_file import find_body


def test_distinct_codes_are_counted_over_all_tokens():
    tokens = np.array([[0, 3, 3], [7, 0, 3]])
    assert utilisation(tokens, 8) == (3, 3 / 8)
    assert utilisation(torch.from_numpy(tokens), 8) == (3, 3 / 8)
    assert utilisation(np.arange(8, dtype=np.uint8), 8) == (8, 1.0)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([], "no tokens"),
        ([0, 8], "outside a codebook of 8"),
        ([-1, 0], "outside a codebook of 8"),
        ([0.0, 1.0], "must be integers"),
    ],
)
def test_bad_tokens_are_refused(tokens, message):
    with pytest.raises(ValueError, match=message):
        utilisation(tokens, 8)


def evaluation_of(tokens, seed=0):
    context = MetricContext(
        task="tokenizer", body=find_body(), seed=seed, dataset="", cache=Path("unused")
    )
    return Evaluation(
        context=context, clips=None, motion=None, truth=None, tokens=tokens, codebook_size=512
    )


def test_the_metric_pools_a_random_sample_of_clips():
    tokens = np.arange(300)[:, None].repeat(4, axis=1)  # every clip has a code of its own
    (score,) = METRIC.score(evaluation_of(tokens), progress=None)
    assert score == Score(
        "pooled", "codebook_util_pct", sum=100.0 * SAMPLE, count=512, clips=SAMPLE
    )
    few = METRIC.score(evaluation_of(tokens[:7]), progress=None)[0]
    assert (few.sum / few.count, few.clips) == (100 * 7 / 512, 7)
    assert METRIC.score(evaluation_of(None), progress=None) == []


def test_the_sample_depends_on_the_seed_alone():
    tokens = np.random.default_rng(0).integers(0, 512, size=(300, 2))
    draws = [METRIC.score(evaluation_of(tokens, seed), progress=None) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
