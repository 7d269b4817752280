"""Options of an adapter: checked when they are made, saved with its weights."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class AdapterConfig:
    """What the configurations of all kinds of adapters have in common."""

    def to_dict(self) -> dict[str, Any]:
        """All options as plain values, for JSON."""
        values = asdict(self)
        return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """What :meth:`to_dict` gave; options that are left out have their defaults.

        Raises:
            ValueError: If there is no such option.
        """
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                close = get_close_matches(str(name), known)
                hint = f"did you mean {' or '.join(close)}?" if close else "it may be misspelt"
                raise ValueError(f"{cls.__name__} has no option {name!r}: {hint}")
        return cls(**values)

    @classmethod
    def from_saved(cls, values: dict[str, Any]) -> Self:
        """What is in the file of an adapter, maybe of an earlier version."""
        return cls.from_dict(values)

    def _check_choices(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            choices, value = _choices(kind), getattr(self, name)
            if choices and value not in choices:
                options = ", ".join(map(repr, choices))
                raise ValueError(f"{name} must be one of {options}, got {value!r}")

    def _check_number(
        self,
        name: str,
        *,
        whole: bool = False,
        least: float = -math.inf,
        above: float = -math.inf,
        below: float = math.inf,
    ) -> None:
        value = getattr(self, name)
        if value is None and type(None) in get_args(get_type_hints(type(self))[name]):
            return
        kind, what = (int, "a whole number") if whole else ((int, float), "a finite number")
        limits = [(least, "of at least"), (above, "above"), (below, "below")]
        what += "".join(f" {word} {limit:g}" for limit, word in limits if math.isfinite(limit))
        fits = isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)
        if not (fits and value >= least and above < value < below):
            raise ValueError(f"{name} must be {what}, got {value!r}")

    def _check_layers(self) -> None:
        if self.layers is None:
            return
        layers = self.layers
        if isinstance(layers, str) or not isinstance(layers, Sequence):
            layers = [None]
        fit = all(isinstance(layer, int) and layer >= 0 for layer in layers)
        if not layers or not fit or len(set(layers)) < len(layers):
            raise ValueError(
                f"layers must be different numbers of layers, counted from 0, or None for all, "
                f"got {self.layers!r}"
            )
        object.__setattr__(self, "layers", tuple(layers))


def _choices(kind: Any) -> list:
    """The values of an option that has a few, from its type; none for numbers."""
    if kind is bool:
        return [True, False]
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    of_parts = [choice for part in get_args(kind) for choice in _choices(part)]  # of a union
    return [*of_parts, None] if of_parts else []
