"""Train, validation and test."""

import pytest
import torch

from gia.data import contiguous_split, no_split, random_split, similarity_split

FRACTIONS = {"val_fraction": 0.1, "test_fraction": 0.2}
SIMILARITY = {"k": 4, "threshold": 0.3}


def spread(values, part):
    """In how many parts the most widespread value appears."""
    places = {}
    for value, p in zip(values, part.tolist(), strict=True):
        places.setdefault(value, set()).add(p)
    return max(len(found) for found in places.values())


@pytest.mark.parametrize("seed", [0, 1])
def test_duplicates_never_straddle(peptides, seed):
    sequences = [record.sequence for record in peptides.load()]
    by_chance = random_split(sequences, **FRACTIONS, seed=seed)
    by_family = similarity_split(sequences, **FRACTIONS, seed=seed, **SIMILARITY)
    assert spread(sequences, by_chance.part) == 1
    assert spread(sequences, by_family.part) == 1
    assert spread(by_family.group.tolist(), by_family.part) == 1
    # The two differ: at random, families do straddle.
    assert spread(by_family.group.tolist(), by_chance.part) == 3
    for split in (by_chance, by_family):
        assert split.part.bincount().tolist() == [3640, 520, 1040]


def test_the_seed_decides(peptides):
    sequences = [record.sequence for record in peptides.load()][::5]
    for split, options in ((random_split, {}), (similarity_split, SIMILARITY)):
        first, again, other = (
            split(sequences, **FRACTIONS, seed=seed, **options).part for seed in (0, 0, 1)
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


def test_contiguous_keeps_the_order():
    split = contiguous_split(["a"] * 10, **FRACTIONS)
    assert split.part.tolist() == [0] * 7 + [1] + [2] * 2
    assert split.group.tolist() == list(range(10))


def test_a_group_too_large_to_hold_out_is_trained_on():
    sequences = ["A"] * 5 + list("BCDEF")
    for seed in range(5):
        split = random_split(sequences, **FRACTIONS, seed=seed)
        assert split.part[:5].tolist() == [0] * 5
        assert split.part.bincount().tolist() == [7, 1, 2]


def test_an_empty_part_is_an_error():
    with pytest.raises(ValueError, match=r"the val part of the split is empty \(20 sequences"):
        random_split(["A"] * 20, **FRACTIONS, seed=0)
    with pytest.raises(ValueError, match="the train part of the split is empty"):
        contiguous_split(["A", "B"], **FRACTIONS)


@pytest.mark.parametrize(("val", "test"), [(0, 0.1), (0.1, 1), (-1, 0.1), (0.5, 0.5)])
def test_fractions_out_of_range(val, test):
    with pytest.raises(ValueError, match=r"data\.(val|test)_fraction"):
        contiguous_split(["A"] * 9, val_fraction=val, test_fraction=test)


def test_no_split_is_all_for_the_test():
    split = no_split(["A", "B", "A"])
    assert split.part.tolist() == [2, 2, 2]
