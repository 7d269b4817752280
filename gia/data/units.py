"""Units of targets, as they are written at axes and in tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def units_of(units: Any, target_names: Sequence[str]) -> tuple[list[str | None], list[str]]:
    """The unit of each target.

    Args:
        units: a text for all targets, a list with one for each, or texts by the targets' names;
            None where none is known.
        target_names: of the targets, ``[T]``.

    Returns:
        The units ``[T]``, None where a target has none; and what to say of those that are named for
        no target.

    Raises:
        ValueError: if they are anything else, or a list of another length.
    """
    if units is None:
        return [None] * len(target_names), []
    if isinstance(units, str):
        return [units or None] * len(target_names), []
    if isinstance(units, Mapping):
        named = {str(name): unit for name, unit in units.items() if unit is not None}
        found = [named.get(name) for name in target_names]
        others = [name for name in named if name not in target_names]
        said = [f"data.units names {name!r}, which is no target here" for name in others]
    elif isinstance(units, Sequence):
        found, said = list(units), []
        if len(found) != len(target_names):
            raise ValueError(
                f"data.units has {len(found)} units, but there are {len(target_names)} targets: "
                f"{', '.join(target_names)}"
            )
    else:
        found, said = [units], []
    wrong = [unit for unit in found if not isinstance(unit, str | None)]
    if wrong:
        raise ValueError(
            "data.units must be a text such as eV, a list with one for each target, or texts by "
            f"the targets' names, got {wrong[0]!r}"
        )
    return [unit or None for unit in found], said
