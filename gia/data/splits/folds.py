"""What classes ask of folds, said with the names of the settings."""

import warnings
from collections.abc import Sequence

import numpy as np


def check_folds(labels: np.ndarray, folds: int, class_names: Sequence[str] = ()) -> None:
    """See that some class can be in every fold, and warn of those that cannot.

    Args:
        labels: the number of each graph's class.
        folds: how many there are.
        class_names: what messages call them.

    Raises:
        ValueError: if no class has a graph for each fold.
    """
    numbers, counts = np.unique(labels, return_counts=True)
    if counts.max() < folds:
        raise ValueError(
            f"data.folds={folds}, but no class has so many different graphs: give data.folds of at "
            f"most {counts.max()}"
        )
    names = dict(enumerate(class_names))
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        if count < folds:
            warnings.warn(
                f"the class {names.get(number, number)!r} has {count} different graphs, fewer than "
                f"data.folds={folds}: {folds - count} of the folds test none of it",
                stacklevel=4,
            )


def check_fractions(labels: np.ndarray, n_val: int, val_fraction: float) -> None:
    """See that the val part and what is left can both hold all classes.

    Args:
        labels: of the graphs that are not tested, the number of each one's class.
        n_val: how many of them are validated.
        val_fraction: the setting that says so.

    Raises:
        ValueError: if they cannot.
    """
    classes = len(np.unique(labels))
    if not classes <= n_val <= len(labels) - classes:
        raise ValueError(
            f"data.val_fraction={val_fraction} makes {n_val} of {len(labels)} different graphs "
            f"the val part, but each of the {classes} classes must be in it and in the train part: "
            "give another data.val_fraction"
        )
