"""Train, validation and test: seeded assignments of whole groups of sequences or graphs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gia.data.splits.scaffold import scaffolds
from gia.data.splits.similarity import clusters

PARTS = ("train", "val", "test")
# How a table's column may call them.
GIVEN = {"valid": "val", "validation": "val", "dev": "val"} | {part: part for part in PARTS}


@dataclass
class Split:
    """Where each of n sequences goes.

    Shapes:
        part: [n], int64, 0 for train, 1 for validation, 2 for test, -1 for none of them
        group: [n], int64, the group that was kept together
    """

    part: Tensor
    group: Tensor


def random_split(
    sequences: Sequence[str], *, val_fraction: float, test_fraction: float, seed: int
) -> Split:
    """At random, identical sequences kept together.

    Args:
        sequences: n strings.
        val_fraction: share of the sequences for validation.
        test_fraction: share for the test.
        seed: of the order in which groups are dealt out.

    Raises:
        ValueError: if a part would be empty.
    """
    group = _identical(sequences)
    return Split(_deal(group, val_fraction, test_fraction, seed), group)


def similarity_split(
    sequences: Sequence[str],
    *,
    val_fraction: float,
    test_fraction: float,
    seed: int,
    k: int | None,
    threshold: float,
) -> Split:
    """At random, similar sequences kept together: see :func:`gia.data.clusters`.

    Args:
        sequences: n strings.
        val_fraction: share of the sequences for validation.
        test_fraction: share for the test.
        seed: of the order in which clusters are dealt out.
        k: letters of a k-mer, or None to let their number of letters decide.
        threshold: share of k-mers that links two sequences.

    Raises:
        ValueError: if a part would be empty.
    """
    group = clusters(sequences, k, threshold)
    return Split(_deal(group, val_fraction, test_fraction, seed), group)


def scaffold_split(smiles: Sequence[str], *, val_fraction: float, test_fraction: float) -> Split:
    """By Bemis-Murcko scaffold: see :func:`gia.data.scaffolds`.

    As in `MoleculeNet <https://arxiv.org/abs/1703.00564>`_ nothing is drawn: the most frequent
    scaffolds are trained on, of equally frequent ones those that come later in the table; the rare
    ones are validated, then tested on.

    Args:
        smiles: n molecules.
        val_fraction: share of the molecules for validation.
        test_fraction: share for the test.

    Raises:
        ImportError: if rdkit is not installed.
        ValueError: if a part would be empty.
    """
    n = len(smiles)
    group = scaffolds(smiles)
    n_val, n_test = _sizes(n, val_fraction, test_fraction)
    sizes = torch.bincount(group)
    part_of_group = torch.zeros_like(sizes)
    trained, held = 0, 0
    # Scaffolds are numbered by their first molecule.
    for g in sorted(range(len(sizes)), key=lambda g: (int(sizes[g]), g), reverse=True):
        size = int(sizes[g])
        if trained + size <= n - n_val - n_test:
            trained += size
        elif trained + held + size <= n - n_test:
            part_of_group[g] = PARTS.index("val")
            held += size
        else:
            part_of_group[g] = PARTS.index("test")
    return Split(checked(part_of_group[group]), group)


def given_split(parts: Sequence[str], rows: Sequence[int] | None = None) -> Split:
    """As a column says.

    Args:
        parts: of n graphs, ``train``, ``val`` (or ``valid``, ``validation``, ``dev``) or ``test``;
            ``none`` leaves a graph out.
        rows: of the n graphs, where each stands in its dataset, for errors.

    Raises:
        ValueError: if a part is called otherwise, or would be empty.
    """
    numbers = {name: PARTS.index(part) for name, part in GIVEN.items()} | {"none": -1}
    plain = [part.strip().lower() for part in parts]
    wrong = [place for place, part in enumerate(plain) if part not in numbers]
    if wrong:
        places = range(len(parts)) if rows is None else rows
        named = ", ".join(f"row {places[i]} goes to {parts[i]!r}" for i in wrong[:3])
        raise ValueError(
            f"data.split=given: {named}, but data.split_column must say train, val or test for "
            f"each, or none to leave a row out; {len(wrong):,} of {len(parts):,} say something "
            "else (rows are counted from 0)"
        )
    part = torch.tensor([numbers[name] for name in plain])
    return Split(checked(part), torch.arange(len(parts)))


def kfold_split(
    texts: Sequence[str],
    *,
    folds: int,
    fold: int,
    val_fraction: float,
    seed: int,
    classes: Tensor | None = None,
) -> Split:
    """The test is one of ``folds`` parts of equal size; validation is drawn from the rest.

    Every graph is tested in exactly one fold. Graphs with the same text are kept together, and the
    shares of the classes are kept in all three parts, where classes are given.

    Args:
        texts: of n graphs.
        folds: how many parts there are.
        fold: which of them is the test, from 0.
        val_fraction: share of all graphs for validation.
        seed: of both draws.
        classes: the class of each graph.

    Shapes:
        classes: [n], int64

    Raises:
        ValueError: if an option is out of range, or a part would be empty.
    """
    from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

    n = len(texts)
    _sizes(n, val_fraction, 1 / folds if folds > 1 else 0.5)
    group = _identical(texts)
    firsts = np.unique(group, return_index=True)[1]  # one graph of each text stands for all of it
    if not 2 <= folds <= len(firsts):
        raise ValueError(
            f"data.folds must be from 2 to the number of different graphs ({len(firsts)}), "
            f"got {folds}"
        )
    if not 0 <= fold < folds:
        raise ValueError(f"data.fold must be from 0 to {folds - 1} (data.folds - 1), got {fold}")
    labels = np.zeros(len(firsts), int) if classes is None else classes.numpy()[firsts]
    kind = KFold if classes is None else StratifiedKFold
    splits = kind(folds, shuffle=True, random_state=seed).split(labels, labels)
    rest, test = list(splits)[fold]
    # A class of one graph cannot be shared out: it goes with the most frequent one.
    counts = np.bincount(labels[rest])
    strata = np.where(counts[labels[rest]] < 2, counts.argmax(), labels[rest])
    n_val = max(1, round(val_fraction * len(firsts)))
    _, val = train_test_split(
        rest, test_size=n_val, random_state=seed, stratify=strata if classes is not None else None
    )
    part = torch.zeros(len(firsts), dtype=torch.long)
    part[val], part[test] = PARTS.index("val"), PARTS.index("test")
    return Split(checked(part[group]), group)


def contiguous_split(
    sequences: Sequence[str], *, val_fraction: float, test_fraction: float
) -> Split:
    """In order: the first sequences train, the next validate, the last test.

    Args:
        sequences: n strings, such as the windows of a text.
        val_fraction: share of the sequences for validation.
        test_fraction: share for the test.

    Raises:
        ValueError: if a part would be empty.
    """
    n = len(sequences)
    n_val, n_test = _sizes(n, val_fraction, test_fraction)
    part = torch.zeros(n, dtype=torch.long)
    part[n - n_test - n_val :] = PARTS.index("val")
    part[n - n_test :] = PARTS.index("test")
    return Split(checked(part), torch.arange(n))


def no_split(sequences: Sequence[str]) -> Split:
    """All of them test, to measure a trained model on other data.

    Args:
        sequences: n strings.
    """
    n = len(sequences)
    return Split(torch.full((n,), PARTS.index("test")), torch.arange(n))


def _identical(texts: Sequence[str]) -> Tensor:
    """The number of each text, the same for identical ones."""
    numbers: dict[str, int] = {}
    return torch.tensor([numbers.setdefault(text, len(numbers)) for text in texts])


def _deal(group: Tensor, val_fraction: float, test_fraction: float, seed: int) -> Tensor:
    """Groups in random order go to the test if they still fit, to validation, else to training."""
    n_val, n_test = _sizes(len(group), val_fraction, test_fraction)
    sizes = torch.bincount(group)
    order = torch.randperm(len(sizes), generator=torch.Generator().manual_seed(seed))
    part_of_group = torch.zeros(len(sizes), dtype=torch.long)
    left = {PARTS.index("test"): n_test, PARTS.index("val"): n_val}
    for g in order.tolist():
        size = int(sizes[g])
        for part, room in left.items():
            if size <= room:
                part_of_group[g] = part
                left[part] -= size
                break
    return checked(part_of_group[group])


def _sizes(n: int, val_fraction: float, test_fraction: float) -> tuple[int, int]:
    for name, fraction in (("val", val_fraction), ("test", test_fraction)):
        if not 0 < fraction < 1:
            raise ValueError(f"data.{name}_fraction must lie between 0 and 1, got {fraction}")
    if val_fraction + test_fraction >= 1:
        raise ValueError(
            f"data.val_fraction={val_fraction} and data.test_fraction={test_fraction} leave "
            f"nothing to train on: their sum must be below 1"
        )
    return max(1, round(val_fraction * n)), max(1, round(test_fraction * n))


def checked(part: Tensor) -> Tensor:
    """The same parts.

    Raises:
        ValueError: if one of them is empty.
    """
    for i, name in enumerate(PARTS):
        if not (part == i).any():
            raise ValueError(
                f"the {name} part of the split is empty ({len(part)} sequences in all): give more "
                f"different sequences, or try data.split=random, a higher "
                f"data.similarity_threshold or larger fractions"
            )
    return part
