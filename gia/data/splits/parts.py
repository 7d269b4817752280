"""The parts of a split, none of which may be empty."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

PARTS = ("train", "val", "test")
# How a table's column may call them.
GIVEN = {"valid": "val", "validation": "val", "dev": "val"} | {part: part for part in PARTS}


@dataclass
class Split:
    """Where each of n sequences goes.

    Attributes:
        notes: what is to be known of it, a sentence each.

    Shapes:
        part: [n], int64, 0 for train, 1 for validation, 2 for test, -1 for none of them
        group: [n], int64, the group that was kept together
    """

    part: Tensor
    group: Tensor
    notes: list[str] = field(default_factory=list)

    def members(self, name: str) -> list[int]:
        """Which sequences are in one of :data:`PARTS`, ascending."""
        return (self.part == PARTS.index(name)).nonzero().flatten().tolist()


class EmptyPart(ValueError):
    """Nothing is left for a part of the split; other settings may do."""


def checked(part: Tensor, group: Tensor | None = None) -> Tensor:
    """The same parts.

    Args:
        part: of n items.
        group: of n items, which of them stay together; None if each stands alone.

    Shapes:
        part, group: [n], int64

    Raises:
        EmptyPart: if one of them is empty.
    """
    for i, name in enumerate(PARTS):
        if not (part == i).any():
            found = f"the {name} part of the split is empty: there are {len(part):,} items"
            if group is not None:
                sizes = torch.bincount(group)
                found += f" in {len(sizes):,} groups, the largest of {int(sizes.max()):,}"
            raise EmptyPart(found)
    return part


def identical(texts: Sequence[str]) -> Tensor:
    """The number of each text, the same for identical ones."""
    numbers: dict[str, int] = {}
    return torch.tensor([numbers.setdefault(text, len(numbers)) for text in texts])


def part_sizes(n: int, val_fraction: float, test_fraction: float) -> tuple[int, int]:
    """How many of n items are for validation and for the test.

    Raises:
        ValueError: if a share is out of range.
    """
    for name, fraction in (("val", val_fraction), ("test", test_fraction)):
        if not 0 < fraction < 1:
            raise ValueError(f"data.{name}_fraction must lie between 0 and 1, got {fraction}")
    if val_fraction + test_fraction >= 1:
        raise ValueError(
            f"data.val_fraction={val_fraction} and data.test_fraction={test_fraction} leave "
            f"nothing to train on: their sum must be below 1"
        )
    return max(1, round(val_fraction * n)), max(1, round(test_fraction * n))
