"""Train, validation and test: seeded assignments of whole groups of sequences."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gia.data.similarity import clusters

PARTS = ("train", "val", "test")


@dataclass
class Split:
    """Where each of n sequences goes.

    Shapes:
        part: [n], int64, 0 for train, 1 for validation, 2 for test
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
    numbers: dict[str, int] = {}
    group = torch.tensor([numbers.setdefault(s, len(numbers)) for s in sequences])
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
    return Split(_checked(part), torch.arange(n))


def no_split(sequences: Sequence[str]) -> Split:
    """All of them test, to measure a trained model on other data.

    Args:
        sequences: n strings.
    """
    n = len(sequences)
    return Split(torch.full((n,), PARTS.index("test")), torch.arange(n))


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
    return _checked(part_of_group[group])


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


def _checked(part: Tensor) -> Tensor:
    for i, name in enumerate(PARTS):
        if not (part == i).any():
            raise ValueError(
                f"the {name} part of the split is empty ({len(part)} sequences in all): give more "
                f"different sequences, or try data.split=random, a higher "
                f"data.similarity_threshold or larger fractions"
            )
    return part
