"""How much targets and classes count in a loss."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

BALANCED = "balanced"
LISTED = 20  # names in a message


def target_weights(given: Any, names: Sequence[str]) -> Tensor:
    """The weights of targets, 1 in the mean.

    Args:
        given: a number for each target, or numbers by name, where the others are 1.
        names: of the T targets.

    Raises:
        ValueError: If these are no such weights.
    """
    weights = _of_names("task.target_weights", given, names, "target")
    return weights / weights.mean()


def class_weights(
    given: Any, classes: Sequence[Sequence[str]], counts: Sequence[Sequence[int]]
) -> Tensor:
    r"""The weights of classes, 1 in the mean over the training targets.

    Args:
        given: ``"balanced"``, :math:`n / (C n_c)` for :math:`n_c` of n targets in each of C
            classes; or a number for each class, or numbers by name, where the others are 1.
        classes: of each of T targets.
        counts: how often each is there in training; empty if that is not known.

    Returns:
        Tensor: ``[T, C]``, for the target with most classes; 1 where there is none.

    Raises:
        ValueError: If these are no such weights.
    """
    result = torch.ones(len(classes), max(map(len, classes)))
    known = [torch.tensor(of_target, dtype=torch.float) for of_target in counts]
    if given == BALANCED:
        if not known:
            raise ValueError("task.class_weights=balanced needs task.class_counts, of training")
        for row, count in zip(result, known, strict=True):
            row[: len(count)] = count.sum() / ((count > 0).sum() * count.clamp(min=1))
        return result
    if isinstance(given, str):
        raise ValueError(
            f"task.class_weights must be balanced, numbers or numbers by name, got {given!r}"
        )
    everywhere = dict.fromkeys(name for names in classes for name in names)
    for t, names in enumerate(classes):
        option, own = "task.class_weights", given
        if isinstance(given, Mapping):
            _of_names(option, given, list(everywhere), "class")  # names of any target
            own = {name: value for name, value in given.items() if str(name) in names}
        weights = _of_names(option, own, names, "class", some=isinstance(given, Mapping))
        if known:
            mean = (weights * known[t]).sum() / known[t].sum().clamp(min=1)
            if mean == 0:
                raise ValueError(f"{option} are 0 for all classes of the training targets")
            weights = weights / mean
        result[t, : len(names)] = weights
    return result


def _of_names(
    option: str, given: Any, names: Sequence[str], what: str, some: bool = False
) -> Tensor:
    """A weight for each name, some of which are above 0."""
    known = f"{', '.join(names[:LISTED])}{', ...' if len(names) > LISTED else ''}"
    if isinstance(given, Mapping):
        given = {str(name): value for name, value in given.items()}
        strange = [name for name in given if name not in names]
        if strange:
            raise ValueError(f"{option} names {strange[0]!r}, which is no {what}: {known}")
        values = [given.get(name, 1.0) for name in names]
    elif isinstance(given, Sequence) and not isinstance(given, str):
        values = list(given)
        if len(values) != len(names):
            raise ValueError(
                f"{option} has {len(values)} numbers for {len(names)}: one for each {what}, {known}"
            )
    else:
        raise ValueError(f"{option} must be numbers, or numbers by name, got {given!r}")
    for name, value in zip(names, values, strict=True):
        number = isinstance(value, (int, float)) and 0 <= value < math.inf
        if not number:
            raise ValueError(f"{option}: {value!r} for {name!r} is no number of at least 0")
    if not any(values) and not some:
        raise ValueError(f"{option} are all 0: nothing would be learned")
    return torch.tensor(values, dtype=torch.float)
