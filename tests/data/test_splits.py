"""Train, validation and test."""

import pytest
import torch

from gia.data import (
    contiguous_split,
    given_split,
    kfold_split,
    no_split,
    random_split,
    scaffold_split,
    scaffolds,
    similarity_split,
)
from gia.data.splits.kfold import folds_of_training

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
    sequences = [record.sequence for record in peptides]
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
    sequences = [record.sequence for record in peptides][::5]
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
    with pytest.raises(ValueError, match=r"the val part .* empty: there are 20 items in 1 groups"):
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


def classes_of(counts):
    return torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))


def test_scaffolds_do_not_straddle(bbbp_table):
    texts = [data.text for data in bbbp_table.graphs]
    split = scaffold_split(texts, **FRACTIONS)
    assert torch.equal(split.part, scaffold_split(texts, **FRACTIONS).part)
    assert spread(split.group.tolist(), split.part) == 1
    assert spread(texts, split.part) == 1
    assert split.part.bincount().tolist() == [1427, 204, 408]
    # The frequent scaffolds are trained on, of the rare ones the earlier are tested on.
    sizes = split.group.bincount()[split.group]
    assert sizes[split.part == 0].min() >= sizes[split.part == 1].max() == 1
    assert split.group[split.part == 2].max() < split.group[split.part == 1].min()


def test_scaffolds_by_hand():
    molecules = ["CCO", "c1ccccc1O", "CC", "Cc1ccccc1", "C1CCCCC1", "C1CCCCC1N", "C1CC1", "C1CCC1"]
    assert scaffolds(molecules).tolist() == [0, 1, 0, 1, 2, 2, 3, 4]
    split = scaffold_split(molecules, val_fraction=0.125, test_fraction=0.125)
    assert split.part.tolist() == [0] * 6 + [2, 1]
    assert scaffolds(["C[C@H]1CC[C@@H](O)CC1", "CC1CCC(O)CC1"]).tolist() == [0, 0]


def test_given():
    split = given_split(["train", "Valid", " test", "dev", "TRAIN"])
    assert split.part.tolist() == [0, 1, 2, 1, 0]
    with pytest.raises(
        ValueError, match=r"goes to 'holdout', but data.split_column must say train"
    ):
        given_split(["train", "val", "holdout"])
    with pytest.raises(ValueError, match="the val part of the split is empty"):
        given_split(["train", "test"])


@pytest.mark.parametrize("classes", [None, classes_of([30, 15, 8])])
def test_folds_cover_all_once(classes):
    texts = [str(i // 2) if i < 6 else f"g{i}" for i in range(53)]  # three pairs of duplicates
    options = {"folds": 5, "val_fraction": 0.2, "seed": 3, "classes": classes}
    splits = [kfold_split(texts, fold=fold, **options) for fold in range(5)]
    tested = sum((split.part == 2).int() for split in splits)
    assert tested.tolist() == [1] * 53
    for split in splits:
        assert spread(texts, split.part) == 1
        assert (split.part == 1).sum() == pytest.approx(0.2 * 53, abs=3)
        if classes is not None:
            for part in range(3):
                shares = (
                    classes[split.part == part].bincount(minlength=3) / (split.part == part).sum()
                )
                assert torch.allclose(shares, torch.tensor([30, 15, 8]) / 53, atol=0.15)
    again = kfold_split(texts, fold=2, **options)
    assert torch.equal(again.part, splits[2].part)
    assert not torch.equal(kfold_split(texts, fold=2, **options | {"seed": 4}).part, again.part)


@pytest.mark.filterwarnings("ignore:The least populated class")
@pytest.mark.parametrize("classed", [False, True])
def test_folds_of_the_training_part_validate_it_once(classed):
    texts = [f"{number % 40}" for number in range(100)]  # each two or three times
    classes = torch.tensor([int(text) % 4 == 0 for text in texts]).long()
    whole = random_split(texts, val_fraction=0.1, test_fraction=0.2, seed=0)
    options = {"folds": 4, "seed": 0, "classes": classes if classed else None}
    validated = []
    for fold in range(4):
        split = folds_of_training(whole, fold=fold, **options)
        assert split.members("test") == whole.members("test")
        train, val = split.members("train"), split.members("val")
        assert sorted(train + val) == whole.members("train")
        assert not {texts[row] for row in train} & {texts[row] for row in val}
        assert (split.part[whole.members("val")] == -1).all()
        if classed:
            assert abs(classes[val].float().mean() - classes[train].float().mean()) < 0.1
        validated += val
    assert sorted(validated) == whole.members("train")
    groups = len({texts[row] for row in whole.members("train")})
    with pytest.raises(ValueError, match=f"has {groups} groups of items that stay together"):
        folds_of_training(whole, folds=groups + 1, fold=0, seed=0)
    with pytest.raises(ValueError, match="got 7 of 3"):
        folds_of_training(whole, folds=3, fold=7, seed=0)
    rare = torch.arange(100)  # classes of one item each
    assert folds_of_training(whole, folds=4, fold=0, seed=0, classes=rare).members("val")


def test_a_class_too_rare_to_share_out():
    split = kfold_split(
        [str(i) for i in range(21)],
        folds=5,
        fold=0,
        val_fraction=0.2,
        seed=0,
        classes=classes_of([10, 10, 1]),
    )
    assert split.part.bincount().tolist() == [12, 4, 5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, r"data\.folds must be from 2 to .* \(9\), got 1"),
        ({"folds": 10}, "got 10"),
        ({"fold": 3}, r"data\.fold must be from 0 to 2 \(data\.folds - 1\), got 3"),
        ({"fold": -1}, "got -1"),
        ({"val_fraction": 0.7}, r"data\.val_fraction=0\.7"),
    ],
)
def test_folds_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        kfold_split(
            list("ABCDEFGHI"),
            **{"folds": 3, "fold": 0, "val_fraction": 0.2, "seed": 0} | options,
        )
