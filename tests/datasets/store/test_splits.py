"""The split rule: deterministic, by group, about a fifth of the frames."""

import hashlib

import numpy as np
import pytest

from datasets.store.splits import split_groups, split_of


def share(frames, splits):
    return sum(n for group, n in frames.items() if splits[group] == "test") / sum(frames.values())


def test_a_group_goes_to_test_in_the_order_of_its_hash():
    frames = {f"take {i}": 100 for i in range(10)}
    order = sorted(frames, key=lambda g: hashlib.sha256(f"unimo-split-v1|{g}".encode()).hexdigest())
    splits = split_groups(frames)
    assert [g for g in order if splits[g] == "test"] == order[:2]


def test_the_order_of_the_groups_does_not_matter():
    frames = {f"g{i}": 10 + i for i in range(30)}
    assert split_groups(frames) == split_groups(dict(reversed(frames.items())))


@pytest.mark.parametrize("seed", range(20))
def test_test_holds_a_fifth_and_no_group_more_than_it_needs(seed):
    rng = np.random.default_rng(seed)
    frames = {f"{seed}/{i}": int(rng.integers(1, 500)) for i in range(rng.integers(2, 40))}
    splits = split_groups(frames)
    assert set(splits) == set(frames)
    assert set(splits.values()) == {"train", "test"}
    if list(splits.values()).count("train") > 1:
        assert share(frames, splits) >= 0.2
    chosen = [group for group in splits if splits[group] == "test"]
    # Without the group chosen last, test held less than a fifth.
    assert share(frames, {**splits, chosen[-1]: "train"}) < 0.2


def test_exactly_a_fifth_is_enough():
    # 0.2 * 35 is slightly above 7 in floating point: the rule has to count in whole frames.
    frames = {f"g{i}": 7 for i in range(5)}
    assert list(split_groups(frames).values()).count("test") == 1


def test_one_huge_group_leaves_something_on_both_sides():
    for name in "abcdefgh":
        assert set(split_groups({name: 10_000, "small": 1}).values()) == {"train", "test"}


def test_a_single_group_is_all_test_and_none_is_none():
    assert split_groups({"only": 5}) == {"only": "test"}
    assert split_groups({}) == {}


def test_one_name_in_five_is_for_testing_by_its_hash_alone():
    splits = [split_of(f"BV{number}") for number in range(5000)]
    assert 0.18 < splits.count("test") / 5000 < 0.22
    assert set(splits) == {"train", "test"}
    # The first bytes by sha256sum: 0d of unimo-test-v1|0011, 4d of 0018; 33 is 51.
    assert (split_of("0011"), split_of("0018")) == ("test", "train")
