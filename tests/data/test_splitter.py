"""Which split, and what does where one leaves a part empty."""

import random
import re
from dataclasses import replace

import pytest
import torch

from gia.data import Items, Splitter, clusters
from gia.data.splits import EmptyPart

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"


def items(texts, kind="sequence", **options):
    return Items(graphs=[], kind=kind, num_rows=len(texts), **options)


def refusal(splitter, texts, kind="sequence", **options):
    with pytest.raises(EmptyPart) as caught:
        splitter(items(texts, kind, **options), texts, range(len(texts)))
    return str(caught.value)


def settings(message):
    """What a message says to try."""
    found = dict(re.findall(r"data\.(\w+)=([\w.]+)(?= (?:data|fills))", message))
    return {name: value if name == "split" else float(value) for name, value in found.items()}


def family(number, length):
    """Sequences that share their first 20 residues."""
    draw = random.Random(0)
    head = "".join(draw.choices(AMINO_ACIDS, k=20))
    return [head + "".join(draw.choices(AMINO_ACIDS, k=length)) for _ in range(number)]


@pytest.mark.parametrize(
    ("splitter", "texts", "kind", "message"),
    [
        (Splitter("similarity"), family(40, 5), "sequence",
         r"val part of the split is empty: there are 40 items in 1 groups, the largest of 40, each "
         r"a family of similar sequences \(data\.similarity_threshold=0\.3\): "
         r"data\.similarity_threshold=0\.9 fills all parts, with relatives in several of them"),
        (Splitter("similarity"), family(40, 30), "sequence",
         r"data\.similarity_threshold=0\.5 fills all parts, with relatives"),
        (Splitter("similarity", similarity_k=1), family(40, 5), "sequence",
         r"data\.split=random fills all parts, with relatives"),
        (Splitter("random"), [*"AAAABBBBCCCC"], "name",
         r"12 items in 3 groups, the largest of 4, each of identical items: "
         r"data\.val_fraction=0\.34 data\.test_fraction=0\.34 fills all parts$"),
        (Splitter("scaffold"), ["C" * n for n in range(1, 20)], "smiles",
         r"19 items in 1 groups, .* each of one scaffold: data\.split=random fills all parts, "),
    ],
)  # fmt: skip
def test_what_a_message_says_works(splitter, texts, kind, message):
    said = refusal(splitter, texts, kind)
    assert re.search(message, said), said
    part = replace(splitter, **settings(said))(items(texts, kind), texts, range(len(texts))).part
    assert part.unique().tolist() == [0, 1, 2]


@pytest.mark.parametrize("split", ["similarity", "random", "contiguous", "kfold"])
def test_fewer_than_three_cannot_be_split(split):
    for texts in (["MKV"], ["MKV", "MKV"], ["MKV", "WWW"]):
        if split == "kfold":
            with pytest.raises(ValueError, match=r"data\.folds must be from 2 to the number of"):
                Splitter(split)(items(texts), texts, range(len(texts)))
            continue
        if split == "contiguous" and len(texts) > 2:
            continue
        said = refusal(Splitter(split), texts)
        assert said == (
            f"three parts take 3 different items at least, here is {len(set(texts))}: give more "
            "different ones"
        )


def test_a_long_sequence_is_shown_its_windows():
    said = refusal(Splitter("random"), ["A" * 9000], level="node", letters={"A": 9000})
    assert said.endswith("for a language model: data.windows=true data.max_length=256")
    assert "windows" not in refusal(Splitter("random"), ["A" * 9000], letters={"A": 9000})


def test_a_column_that_fills_no_part():
    texts = ["a", "b", "c"]
    with pytest.raises(EmptyPart, match=r"val part .* 3 items; data\.split_column must send some"):
        Splitter("given")(items(texts), texts, range(3), parts=["train", "train", "test"])


def test_unknown_symbols_make_no_family():
    draw = random.Random(0)
    dna = ["".join(draw.choices("ACGT", k=40)) for _ in range(30)]
    masked = [f"{text[:20]}{'<unk>' * 20}{text[20:]}" for text in dna]
    assert len(clusters(dna).unique()) == 30
    assert len(clusters(masked).unique()) == 30  # and k is that of four letters
    assert torch.equal(clusters(["<unk>" * 9, "<unk>" * 9, "ACGT"]), torch.tensor([0, 0, 1]))


def classes_of(counts):
    return torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))


def folded(counts, names=("a", "b", "c"), **options):
    texts = [str(i) for i in range(sum(counts))]
    labelled = items(texts, "name", class_names=list(names))
    splitter = Splitter("kfold", **options)
    return splitter(labelled, texts, range(len(texts)), classes=classes_of(counts))


@pytest.mark.filterwarnings("error")
def test_a_class_of_fewer_graphs_than_folds_is_told():
    split = folded([20, 20, 3], folds=10)
    assert split.notes == [
        "the class 'c' has 3 different graphs, fewer than data.folds=10: 7 of the folds have none "
        "of it in the test"
    ]
    assert folded([20, 20, 10], folds=10).notes == []


@pytest.mark.filterwarnings("error")
def test_more_folds_than_any_class_has_graphs():
    message = r"data\.folds=10 is .* any class, the most are 7 of 'b': give data\.folds=7, or data"
    with pytest.raises(ValueError, match=message):
        folded([5, 7], folds=10)
    assert folded([5, 7], folds=7, val_fraction=0.2).part.unique().tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"the most are 1 of 'a': give data\.split=random"):
        folded([1, 1, 1], folds=3)


def test_validation_takes_one_of_each_class():
    with pytest.raises(ValueError, match=r"data\.val_fraction puts 2 of 36 .* each of the 3 "):
        folded([20, 10, 10], folds=10, val_fraction=0.05)
    assert folded([20, 10, 10], folds=10, val_fraction=0.1).part.bincount().tolist() == [32, 4, 4]
