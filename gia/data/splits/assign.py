"""Train, validation and test: seeded assignments of whole groups of sequences or graphs."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gia.data.splits.parts import GIVEN, PARTS, Split, checked, identical, part_sizes
from gia.data.splits.scaffold import scaffolds
from gia.data.splits.similarity import clusters


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
    group = identical(sequences)
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
    n_val, n_test = part_sizes(n, val_fraction, test_fraction)
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
    return Split(checked(part_of_group[group], group), group)


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
    n_val, n_test = part_sizes(n, val_fraction, test_fraction)
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


def _deal(group: Tensor, val_fraction: float, test_fraction: float, seed: int) -> Tensor:
    """Groups in random order go to the test if they still fit, to validation, else to training."""
    n_val, n_test = part_sizes(len(group), val_fraction, test_fraction)
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
    return checked(part_of_group[group], group)
